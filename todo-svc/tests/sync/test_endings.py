"""A stream ends with its caller's standing, and not much later."""

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx
import pytest
from litestar import Litestar

from common.auth import recheck
from common.settings import load
from common.testing import FakeAuthenticator, FlakyTransport, eventually
from todo_svc.app import create_app
from todo_svc.settings import Settings
from todo_svc.sync import feeds

Listen = Callable[..., AbstractAsyncContextManager[Any]]


async def test_a_change_does_not_put_the_vigil_off(
    app: Litestar, ann: httpx.AsyncClient, token: str, listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream that is woken goes on waiting for what is left until its caller is judged, and not anew."""
    waits: list[float] = []
    wait = feeds._set_within

    async def noted(event: asyncio.Event, seconds: float) -> bool:
        if seconds <= recheck.EVERY:
            waits.append(seconds)
        return await wait(event, seconds)

    monkeypatch.setattr(recheck, "EVERY", 0.99)
    monkeypatch.setattr(feeds, "_set_within", noted)
    async with listen(app, token) as listener:
        await eventually(lambda: waits)
        for title in ("One", "Two"):
            await ann.post("/lists", json={"title": title})
            await listener.next()
        await eventually(lambda: len(waits) >= 3)
    assert waits[:3] == sorted(waits[:3], reverse=True)
    assert waits[2] < waits[0]


async def test_a_token_that_is_not_good_any_more(
    app: Litestar, authenticator: FakeAuthenticator, token: str, listen: Listen
) -> None:
    """The stream ends within a second, as a stream that is whole; another's goes on."""
    other = authenticator.admit()
    async with listen(app, token) as listener, listen(app, other) as stays:
        del authenticator.principals[token]
        started = time.perf_counter()
        async with asyncio.timeout(5):
            await listener.over.wait()
        assert time.perf_counter() - started < 1
        assert not stays.over.is_set()


async def test_a_logout(
    pair_variables: dict[str, str],
    way: FlakyTransport,
    running: Callable[[Litestar], Any],
    user_svc: httpx.AsyncClient,
    bearer: dict[str, str],
    listen: Listen,
) -> None:
    """At user-svc, through the real guard: the stream of that session ends within a second."""
    async with (
        running(create_app(load(Settings, pair_variables), transport=way)) as app,
        listen(app, bearer["Authorization"].removeprefix("Bearer ")) as listener,
    ):
        assert listener.status == 200
        started = time.perf_counter()
        assert (await user_svc.post("/auth/jwt/logout", headers=bearer)).status_code == 204
        async with asyncio.timeout(5):
            await listener.over.wait()
        assert time.perf_counter() - started < 1
