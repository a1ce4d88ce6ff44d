"""A login that commits while the account changes: what ends the account's sessions ends that one too."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import httpx
import pytest

from common.testing import eventually
from user_svc.settings import Settings

Call = Callable[..., Awaitable[httpx.Response]]
Change = Callable[[httpx.AsyncClient, Any, Any], Awaitable[httpx.Response]]
Rows = Callable[..., Awaitable[list[tuple[Any, ...]]]]

WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
# In the middle of a login: the account is locked, the session is there, its refresh token is not.
GATE = """
CREATE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_advisory_xact_lock_shared(42); RETURN NEW; END $$;
CREATE TRIGGER gate BEFORE INSERT ON refresh_tokens FOR EACH ROW EXECUTE FUNCTION gate();
"""
PASSWORDS = {"current_password": "correct horse battery", "new_password": "another horse battery"}

CHANGES: dict[str, Change] = {
    "password": lambda client, ann, _: client.post("/users/me/password", json=PASSWORDS, headers=ann.headers),
    "demotion": lambda client, ann, root: client.patch(ann.path, json={"is_superuser": False}, headers=root.headers),
    "deactivation": lambda client, ann, root: client.patch(ann.path, json={"is_active": False}, headers=root.headers),
    "deletion": lambda client, ann, root: client.delete(ann.path, headers=root.headers),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_a_login_under_way_is_ended_too(
    client: httpx.AsyncClient,
    enrol: Callable[..., Awaitable[Any]],
    root: Any,
    login: Call,
    rows: Rows,
    *,
    settings: Settings,
    change: Change,
) -> None:
    """The login has opened its session, and not committed; the change waits for it, and then sees it."""
    ann = await enrol("ann", superuser=True)

    async def waiting(count: int) -> bool:
        return await rows(WAITING) == [(count,)]

    stop = await asyncpg.connect(settings.database_url.reveal())
    await stop.execute(GATE)
    async with stop.transaction():
        await stop.execute("SELECT pg_advisory_xact_lock(42)")
        late = asyncio.ensure_future(login("ann@example.com"))
        await eventually(lambda: waiting(1))
        changing = asyncio.ensure_future(change(client, ann, root))
        await eventually(lambda: waiting(2))
    await stop.close()
    opened, changed = await late, await changing

    assert (opened.status_code, changed.is_success) == (200, True)
    headers = {"Authorization": f"Bearer {opened.json()['access_token']}"}
    assert (await client.get("/me", headers=headers)).status_code == 401
    assert len(await rows("SELECT FROM tombstones")) >= 1


async def test_a_refresh_under_way_is_no_deadlock(
    client: httpx.AsyncClient, enrol: Callable[..., Awaitable[Any]], login: Call, rows: Rows, *, settings: Settings
) -> None:
    """It has used its token up, and not committed; the deletion of its account waits for it, and not it for that."""
    ann = await enrol("ann")
    form = {"grant_type": "refresh_token", "refresh_token": (await login("ann@example.com")).json()["refresh_token"]}

    async def waiting(count: int) -> bool:
        return await rows(WAITING) == [(count,)]

    stop = await asyncpg.connect(settings.database_url.reveal())
    await stop.execute(GATE.replace("INSERT", "UPDATE"))
    async with stop.transaction():
        await stop.execute("SELECT pg_advisory_xact_lock(42)")
        late = asyncio.ensure_future(client.post("/auth/jwt/refresh", data=form))
        await eventually(lambda: waiting(1))
        deleting = asyncio.ensure_future(client.delete("/users/me", headers=ann.headers))
        await eventually(lambda: waiting(2))
    await stop.close()

    assert [(await answer).status_code for answer in (late, deleting)] == [200, 204]
