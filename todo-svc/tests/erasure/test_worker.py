"""The worker: every deletion is taken in, whatever is away meanwhile."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any
from unittest.mock import AsyncMock
from uuid import UUID, uuid4

import asyncpg
import httpx
import msgspec
import pytest
from redis.asyncio import Redis

from common.database import Database
from common.dto import UserEvent
from common.events import STREAM
from common.testing import FlakyTransport
from devstack.embedded import Valkey
from devstack.fixtures import TestPostgres
from todo_svc import erasure
from todo_svc.erasure import Eraser

Running = Callable[[], Any]
Until = Callable[[Callable[[], Awaitable[Any]], Any], Awaitable[None]]
Sql = Callable[..., Awaitable[list[asyncpg.Record]]]
Erased = Callable[[UUID], Awaitable[int]]
Fill = Callable[..., Awaitable[UUID]]
Left = Callable[[UUID], Awaitable[int]]
OWNED = "SELECT (SELECT count(*) FROM lists WHERE owner_id = $1) + (SELECT count(*) FROM todos WHERE owner_id = $1)"
DEADLINE = 15.0


async def announce(redis: Redis, user: UUID) -> None:
    """As user-svc's relay does."""
    await redis.xadd(STREAM, {"event": msgspec.json.encode(UserEvent("user.deleted", user, 1))})


async def test_an_event_erases(until: Until, worker: Running, redis: Redis, fill: Fill, left: Left) -> None:
    """What the stream brings is done, and done again without harm."""
    ann, bob = await fill(), await fill()
    async with worker():
        await announce(redis, ann)
        await announce(redis, ann)
        await announce(redis, bob)
        await until(partial(left, bob), 0)

    assert await left(ann) == 0


async def test_a_lost_stream_is_made_up_for(
    worker: Running, redis: Redis, erased: Erased, fill: Fill, left: Left, *, eraser: Eraser, until: Until
) -> None:
    """Deletions whose events were lost in a FLUSHALL are pulled from user-svc, before the minute is over."""
    ann, bob = await fill(), await fill()
    at_start = await erased(uuid4())
    async with worker():
        await until(eraser.progress, at_start)
        await announce(redis, bob)
        await until(partial(left, bob), 0)
        sequence = await erased(ann)
        await redis.flushall()
        await until(partial(left, ann), 0)
        await until(eraser.progress, sequence)


async def test_start_catches_up(until: Until, worker: Running, erased: Erased, fill: Fill, left: Left) -> None:
    """What was deleted while this service was down goes when it starts, without any event."""
    ann = await fill()
    await erased(ann)
    async with worker():
        await until(partial(left, ann), 0)


async def test_user_svc_may_be_away(
    until: Until, worker: Running, way: FlakyTransport, erased: Erased, fill: Fill, left: Left
) -> None:
    """Catching up waits until user-svc answers."""
    ann = await fill()
    await erased(ann)
    way.fail = httpx.ConnectError("away")
    async with worker():
        asked = way.asked

        async def tried() -> bool:
            return way.asked > asked

        await until(tried, True)
        assert await left(ann) == 2
        way.fail = None
        await until(partial(left, ann), 0)


async def test_a_failing_statement_is_tried_again(
    worker: Running, way: FlakyTransport, erased: Erased, fill: Fill, left: Left, *, database: Database, until: Until
) -> None:
    """What PostgreSQL refuses, such as a table before its migration, ends no worker: a later try goes through."""
    ann = await fill()
    await erased(ann)
    await database.rows("ALTER TABLE erased_users RENAME TO later")
    async with worker():
        asked = way.asked

        async def tried_again() -> bool:
            return way.asked > asked + 1

        await until(tried_again, True)
        assert await left(ann) == 2
        await database.rows("ALTER TABLE later RENAME TO erased_users")
        await until(partial(left, ann), 0)


async def test_no_fault_of_ours_ends_it(
    worker: Running,
    erased: Erased,
    fill: Fill,
    left: Left,
    *,
    eraser: Eraser,
    until: Until,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody would notice a worker that has ended: it tries again."""
    ann = await fill()
    await erased(ann)
    monkeypatch.setattr(eraser, "progress", AsyncMock(side_effect=[KeyError("odd"), 0, 0]))
    async with worker():
        await until(partial(left, ann), 0)


async def test_redis_may_be_away(
    worker: Running, redis: Redis, valkey_server: Valkey, erased: Erased, fill: Fill, *, left: Left, until: Until
) -> None:
    """While Redis is away user-svc is asked; when it is back, its events are read."""
    ann, bob = await fill(), await fill()
    await erased(ann)
    valkey_server.stop()
    async with worker():
        await until(partial(left, ann), 0)
        valkey_server.start()  # in this thread: it lives as long as what started it
        await announce(redis, bob)
        await until(partial(left, bob), 0)


async def test_postgresql_may_be_away(
    until: Until, worker: Running, redis: Redis, postgres_server: TestPostgres, fill: Fill, left: Left
) -> None:
    """An event that comes while PostgreSQL is away is kept, and done when it is back."""
    ann = await fill()
    async with worker():
        postgres_server.stop()
        await announce(redis, ann)
        await until(lambda: _taken(redis), 1)
        postgres_server.start()  # in this thread: it lives as long as what started it
        await until(partial(left, ann), 0)
        await until(lambda: _taken(redis), 0)


async def _taken(redis: Redis) -> int:
    pending: Any = await redis.xpending(STREAM, erasure.GROUP)
    return int(pending["pending"])


async def test_the_worker_ends_at_once(worker: Running) -> None:
    """A service that stops is held up by neither of its tasks."""
    async with asyncio.timeout(DEADLINE):
        async with worker() as running:
            tasks = list(running._tasks)

    assert [task.done() for task in tasks] == [True, True]


async def test_deleting_an_account_empties_its_lists(
    until: Until, user_svc: httpx.AsyncClient, todo_svc: httpx.AsyncClient, bearer: dict[str, str], sql: Sql
) -> None:
    """End to end: `DELETE /users/me` at user-svc, and before long todo-svc holds nothing of that person."""
    owner = UUID((await user_svc.get("/me", headers=bearer)).json()["id"])
    made = (await todo_svc.post("/lists", json={"title": "Private"}, headers=bearer)).json()
    await todo_svc.post(f"/lists/{made['id']}/todos", json={"content": "Secret"}, headers=bearer)

    async def rows() -> int:
        return int((await sql(OWNED, owner))[0][0])

    assert await rows() == 2
    assert (await user_svc.delete("/users/me", headers=bearer)).status_code == 204
    await until(rows, 0)
    assert (await todo_svc.get("/lists", headers=bearer)).status_code == 401
