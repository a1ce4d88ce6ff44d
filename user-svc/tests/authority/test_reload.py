"""A Redis that lost its tombstones gets them back, and only then says so."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from common.auth.channel import identity
from common.auth.standing import READY, TOMBSTONE, key
from common.testing import eventually
from devstack.embedded import Valkey
from devstack.fixtures import TestPostgres
from user_svc import standing

SOON = 10.0  # seconds a busy machine may take
LIFETIME = 600


async def test_flushed_redis_gets_every_tombstone_back(authority: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within two seconds; and only then does it say that it holds them all."""
    monkeypatch.setattr(standing, "BATCH", 3)
    sessions = [uuid4() for _ in range(10)]
    for session in sessions:
        await authority.bury(session)
    old = uuid4()
    await authority.bury(old, -1)
    async with authority.side:
        await eventually(authority.is_ready)
        await authority.redis.flushall()
        assert not await authority.is_ready()
        await eventually(authority.is_ready, seconds=2)
        assert [await authority.kept(session) for session in sessions] == [TOMBSTONE] * 10
        assert await authority.kept(old) is None
    assert LIFETIME - SOON < await authority.redis.ttl(key(sessions[0])) <= LIFETIME + 2


async def test_redis_is_not_ready_before_the_last_tombstone_is_there(
    authority: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A load that broke off half-way has said nothing."""
    monkeypatch.setattr(standing, "BATCH", 1)
    for _ in range(3):
        await authority.bury(uuid4())
    original = authority.side._redis.eval

    async def note(script: str, *arguments: Any) -> Any:
        if script == standing._SEAL:
            assert (len(await authority.redis.keys("standing:????????-*")), await authority.is_ready()) == (3, False)
        return await original(script, *arguments)

    monkeypatch.setattr(authority.side._redis, "eval", note)
    async with authority.side:
        await eventually(authority.is_ready)


async def test_redis_flushed_while_it_is_loaded_is_loaded_again(
    authority: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was set before the flush is gone: nothing is said of it before it is there again."""
    monkeypatch.setattr(standing, "WATCH", 0.02)
    session = uuid4()
    await authority.bury(session)
    original, flushes = authority.side._redis.eval, [authority.redis.flushall]

    async def flush_once(script: str, *arguments: Any) -> Any:
        if script == standing._SEAL and flushes:
            await flushes.pop()()
        return await original(script, *arguments)

    monkeypatch.setattr(authority.side._redis, "eval", flush_once)
    async with authority.side:
        await eventually(authority.is_ready)
    assert (flushes, await authority.kept(session)) == ([], TOMBSTONE)


async def test_restarted_redis_gets_every_tombstone_back(authority: Any, valkey_server: Valkey) -> None:
    """It is another server, and empty: the same process loads it, and says so with the new identity."""
    session = uuid4()
    await authority.bury(session)
    async with authority.side:
        await eventually(authority.is_ready)
        before = await identity(authority.redis)
        valkey_server.kill()
        valkey_server.start()
        await eventually(authority.is_ready)
        assert await identity(authority.redis) != before
        assert await authority.kept(session) == TOMBSTONE


async def test_redis_restored_from_another_is_loaded_too(authority: Any) -> None:
    """A `standing:ready` that names another server is none."""
    session = uuid4()
    await authority.bury(session)
    await authority.redis.set(READY, b"another server")
    async with authority.side:
        await eventually(authority.is_ready)
    assert await authority.kept(session) == TOMBSTONE


async def test_watch_outlives_postgresql(authority: Any, postgres_server: TestPostgres) -> None:
    """With PostgreSQL away nothing is said to be loaded; it is once that is back."""
    postgres_server.stop()
    try:
        async with authority.side:
            assert authority.side._watcher is not None
            done, _ = await asyncio.wait({authority.side._watcher}, timeout=1.2)
            assert (done, await authority.is_ready()) == (set(), False)
            postgres_server.start()
            await eventually(authority.is_ready)
    finally:
        if not postgres_server.alive:
            postgres_server.start()


async def test_watch_outlives_a_missing_table(authority: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Started before its first migration, a service still loads Redis once that is through."""
    monkeypatch.setattr(standing, "WATCH", 0.02)
    await authority.database.rows("ALTER TABLE tombstones RENAME TO later")
    async with authority.side:
        assert authority.side._watcher is not None
        done, _ = await asyncio.wait({authority.side._watcher}, timeout=0.5)
        assert (done, await authority.is_ready()) == (set(), False)
        await authority.database.rows("ALTER TABLE later RENAME TO tombstones")
        await eventually(authority.is_ready)


async def test_expired_tombstones_are_purged(authority: Any) -> None:
    """A minute after the last token of a session must have expired its tombstone goes; the others stay."""
    await authority.bury(uuid4(), -70)
    await authority.bury(uuid4(), -10)
    await authority.bury(uuid4(), 10)
    async with authority.side:
        await eventually(lambda: authority.holds("tombstones", 2))


async def test_expired_tombstones_are_purged_in_ordinary_times(authority: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where Redis is never lost: the table does not grow with every logout."""
    monkeypatch.setattr(standing, "WATCH", 0.02)
    monkeypatch.setattr(standing, "PURGE", 0.1)
    async with authority.side:
        await eventually(authority.is_ready)
        await authority.bury(uuid4(), -70)
        await eventually(lambda: authority.holds("tombstones", 0))
