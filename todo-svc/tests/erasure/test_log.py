"""user-svc's record of deletions, as todo-svc reads it."""

import secrets
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from common.auth import KeyRing
from common.errors import Unavailable
from common.testing import FlakyTransport
from todo_svc.erasure import ErasureLog

Erased = Callable[[UUID], Awaitable[int]]
Fill = Callable[..., Awaitable[UUID]]
Left = Callable[[UUID], Awaitable[int]]


async def test_the_log_is_read_stretch_by_stretch(
    log: ErasureLog, erased: Erased, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it behind a place, in order, however long."""
    monkeypatch.setattr("user_svc.events.PAGE", 2)
    users = [uuid4() for _ in range(5)]
    sequences = [await erased(user) for user in users]
    stretches = [[item.user for item in stretch.items] async for stretch in log.after(sequences[0] - 1)]

    assert stretches == [users[:2], users[2:4], users[4:]]


@pytest.mark.parametrize(
    "failure",
    [
        httpx.ConnectError("away"),
        lambda: httpx.Response(503),
        lambda: httpx.Response(401),
        lambda: httpx.Response(200, content=b"<html>"),
    ],
)
async def test_a_log_that_cannot_be_read(log: ErasureLog, way: FlakyTransport, failure: Any) -> None:
    """Whatever is wrong there, it is tried again later."""
    way.fail = failure
    with pytest.raises(Unavailable):
        await anext(aiter(log.after(0)))


async def test_another_secret_reads_nothing(erased: Erased, way: FlakyTransport) -> None:
    """A service without the shared key is told nothing."""
    await erased(uuid4())
    stranger = ErasureLog("http://user.test", KeyRing.parse(_keys()), transport=way)
    with pytest.raises(Unavailable):
        await anext(aiter(stranger.after(0)))


def _keys() -> str:
    return f"test:{secrets.token_urlsafe(32)}"
