"""Changes of accounts: whole or not at all, one at a time, and told to everybody."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import msgspec
import pytest
from redis.asyncio import Redis

from common.database import Database
from common.dto import UserEvent
from common.events import STREAM
from user_svc.admin.repository import SUPERUSERS
from user_svc.admin.schemas import Actor, Flags
from user_svc.admin.service import Administration
from user_svc.settings import Settings

Rows = Callable[..., Awaitable[list[tuple[Any, ...]]]]
WAITING = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = $1 AND NOT granted"
DEADLINE = 10.0


async def until(met: Callable[[], Awaitable[bool]]) -> None:
    """Wait for it."""
    end = time.monotonic() + DEADLINE
    while not await met():
        assert time.monotonic() < end, "it did not come about"
        await asyncio.sleep(0.02)


@pytest.fixture
async def administration(settings: Settings) -> AsyncIterator[Administration]:
    """On a pool of its own."""
    async with Database(settings.database_url.reveal(), size=2, application="test") as database:
        yield Administration(database, token_lifetime=600)


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
async def test_two_superusers_cannot_remove_each_other(
    client: httpx.AsyncClient,
    root: Any,
    enrol: Callable[..., Awaitable[Any]],
    settings: Settings,
    rows: Rows,
    method: str,
) -> None:
    """Both are let in, both wait for the lock: one goes through, the other is told that he is the last."""
    bob = await enrol("bob", superuser=True)
    body = {"is_superuser": False} if method == "PATCH" else None
    lock = await asyncpg.connect(settings.database_url.reveal())
    await lock.execute("SELECT pg_advisory_lock($1)", SUPERUSERS)
    both = [
        asyncio.ensure_future(client.request(method, whom.path, json=body, headers=who.headers))
        for who, whom in ((root, bob), (bob, root))
    ]

    async def both_wait() -> bool:
        return await rows(WAITING, SUPERUSERS) == [(2,)]

    await until(both_wait)
    await lock.close()
    answers = sorted(
        [(answer.status_code, answer.headers.get("content-type", "")) for answer in await asyncio.gather(*both)]
    )

    assert [status for status, _ in answers] == [200 if method == "PATCH" else 204, 409]
    assert await rows("SELECT count(*) FROM accounts WHERE is_superuser AND is_active") == [(1,)]


@pytest.mark.parametrize("change", [Flags(is_active=False), None])
async def test_no_audit_no_change(administration: Administration, ann: Any, rows: Rows, change: Flags | None) -> None:
    """A change that cannot be written down does not happen: account, session and outbox stay as they were."""
    await rows("ALTER TABLE audit ADD CONSTRAINT refuse CHECK (false)")

    with pytest.raises(asyncpg.CheckViolationError):
        await (
            administration.change(Actor("cli"), ann.id, change)
            if change
            else administration.delete(Actor("cli"), ann.id)
        )

    assert await rows("SELECT is_active FROM accounts") == [(True,)]
    assert await rows("SELECT revoked_at FROM sessions") == [(None,)]
    assert await rows("SELECT FROM tombstones UNION ALL SELECT FROM erasures") == []


async def test_deletion_takes_everything_of_the_account(
    client: httpx.AsyncClient, root: Any, ann: Any, rows: Rows
) -> None:
    """Account, sessions and refresh tokens go; the tombstone and the deletion's record stay; others keep theirs."""
    await client.delete(ann.path, headers=root.headers)

    assert await rows("SELECT id FROM accounts") == [(root.id,)]
    assert await rows("SELECT id FROM sessions") == [(root.session,)]
    assert await rows("SELECT DISTINCT session_id FROM refresh_tokens") == [(root.session,)]
    assert await rows("SELECT session_id FROM tombstones") == [(ann.session,)]
    assert await rows("SELECT account_id FROM erasures") == [(ann.id,)]
    assert (await client.get("/me", headers=root.headers)).status_code == 200


async def test_deactivation_and_deletion_are_announced(
    client: httpx.AsyncClient, root: Any, ann: Any, rows: Rows, redis: Redis
) -> None:
    """Both reach the stream in order; the deletion with its place among all deletions."""
    await client.patch(ann.path, json={"is_active": False}, headers=root.headers)
    await client.delete(ann.path, headers=root.headers)

    async def both_there() -> bool:
        return int(await redis.xlen(STREAM)) == 2

    await until(both_there)
    entries: Any = await redis.xrange(STREAM)
    told = [msgspec.json.decode(fields["event"], type=UserEvent) for _, fields in entries]
    sequence = (await rows("SELECT sequence FROM erasures"))[0][0]
    assert told == [UserEvent("user.deactivated", ann.id), UserEvent("user.deleted", ann.id, sequence)]


async def test_deletions_are_numbered_as_they_commit(
    administration: Administration, enrol: Callable[..., Awaitable[Any]], settings: Settings, rows: Rows
) -> None:
    """A deletion under way holds all others off, so that no reader can see a number before a smaller one."""
    people: list[UUID] = [(await enrol(name)).id for name in ("ann", "bob")]
    holder = await asyncpg.connect(settings.database_url.reveal())
    await holder.execute("BEGIN")
    await holder.execute("SELECT id FROM accounts WHERE id = $1 FOR UPDATE", people[0])
    first = asyncio.ensure_future(administration.delete(Actor("cli"), people[0]))

    async def first_waits() -> bool:
        return await rows("SELECT count(*) FROM pg_locks WHERE locktype = 'transactionid' AND NOT granted") == [(1,)]

    async def second_waits() -> bool:
        return await rows(WAITING, SUPERUSERS) == [(1,)]

    await until(first_waits)
    second = asyncio.ensure_future(administration.delete(Actor("cli"), people[1]))
    await until(second_waits)
    await holder.close()
    await asyncio.gather(first, second)

    assert await rows("SELECT account_id FROM erasures ORDER BY sequence") == [(people[0],), (people[1],)]
