"""The channel on a real Valkey: heard in milliseconds, believed only while it is there, back by itself."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from unittest.mock import Mock
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import msgspec
import pytest
from prometheus_client import REGISTRY
from redis.asyncio import Redis
from redis.exceptions import RedisError

from common.auth.channel import HEARTBEAT, StandingChannel, identity
from common.auth.memory import StandingMemory
from common.auth.standing import CHANNEL, Announcement, Standing, standing
from common.redis import listen
from common.telemetry import log
from common.testing import a_user, captured_logs, eventually
from common.values import RedisUrl
from devstack.embedded import Valkey

SOON = 10.0  # seconds a busy machine may take
SESSION = uuid4()
UNREADABLE = [b"", b"null", b"[]", b"{}", b"\xff", b'["x",null,1,1]', b"[" * 100_000, b'{"session":1}']


@asynccontextmanager
async def listening(url: str) -> AsyncIterator[StandingChannel]:
    """A channel that is subscribed."""
    async with StandingChannel(listen(RedisUrl(url)), StandingMemory()) as channel:
        await eventually(lambda: channel.memory.listening)
        yield channel


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    """user-svc's side of the server."""
    async with Redis.from_url(redis_url) as redis:
        yield redis


def dead(session: UUID = SESSION) -> bytes:
    """What is announced of a session that ended."""
    return msgspec.json.encode(Announcement(session, None, time.time() + 600, time.time()))


def good(known: Standing) -> bytes:
    """What is announced of a changed profile."""
    return msgspec.json.encode(Announcement(SESSION, known, time.time() + 60, time.time()))


async def test_want_of_a_right_is_said_once(redis_url: str, redis: Redis) -> None:
    """Redis refuses what the channel must ask: a person has to learn which right is missing, and not twice a second."""
    run: Any = redis.execute_command
    await run("ACL", "SETUSER", "limited", "on", ">secret", "~*", "&*", "+@all", "-info")
    parts = urlsplit(redis_url)
    channel = StandingChannel(
        listen(RedisUrl(f"redis://limited:secret@{parts.hostname}:{parts.port}/0")), StandingMemory()
    )

    async def is_tried_again() -> bool:
        errors: Any = await redis.info("errorstats")
        return sum(int(error["count"]) for error in errors.values()) >= 3

    await redis.config_resetstat()
    try:
        with captured_logs() as logs:
            log.configure("test", level="WARNING", form="json")
            async with channel:
                await eventually(is_tried_again)
        [line] = logs.lines
    finally:
        await run("ACL", "DELUSER", "limited")
    assert (line["event"], line["level"]) == ("standing channel lost", "warning")
    assert "INFO" in line["refusal"].upper() or "permission" in line["refusal"]


async def test_tombstone_evicts_in_milliseconds(redis_url: str, redis: Redis) -> None:
    """A session that is good here is dead a moment after it is announced, and the memory says until when."""
    async with listening(redis_url) as channel:
        channel.memory.remember(SESSION, standing(a_user(), time.time()))
        started = time.perf_counter()
        await redis.publish(CHANNEL, dead())
        await eventually(lambda: channel.memory.is_dead(SESSION))
        assert time.perf_counter() - started < 0.25
        assert channel.memory.good(SESSION) is None
        assert channel.memory._dead[SESSION] == pytest.approx(time.time() + 600, abs=5)


async def test_profile_takes_the_place_of_a_known_one(redis_url: str, redis: Redis) -> None:
    """A demotion is known where the session is, and nowhere else."""
    async with listening(redis_url) as channel:
        channel.memory.remember(SESSION, standing(a_user(is_superuser=True), time.time() - 1))
        demoted = standing(a_user(), time.time())
        await redis.publish(CHANNEL, good(demoted))
        await eventually(lambda: channel.memory.good(SESSION) == demoted)


async def test_lag_is_measured_from_the_commit(redis_url: str, redis: Redis) -> None:
    """`standing_lag_seconds` is the time from the change to its arrival here."""
    count, total = (f"standing_lag_seconds_{name}" for name in ("count", "sum"))
    before = [REGISTRY.get_sample_value(name) or 0.0 for name in (count, total)]
    async with listening(redis_url) as channel:
        await redis.publish(CHANNEL, msgspec.json.encode(Announcement(SESSION, None, 0.0, time.time() - 100)))
        await eventually(lambda: SESSION in channel.memory._dead)
    lag = (REGISTRY.get_sample_value(total) or 0.0) - before[1]
    assert REGISTRY.get_sample_value(count) == before[0] + 1
    assert lag == pytest.approx(100, abs=SOON)


async def test_unreadable_announcement_is_passed_over(redis_url: str, redis: Redis) -> None:
    """Whatever another version says, what comes after it is heard; it is logged without what it held."""
    with captured_logs() as logs:
        log.configure("svc-common", level="INFO", form="json")
        async with listening(redis_url) as channel:
            for text in UNREADABLE:
                await redis.publish(CHANNEL, text)
            await redis.publish(CHANNEL, dead())
            await eventually(lambda: channel.memory.is_dead(SESSION))
            assert channel.memory.listening
    told = [line for line in logs.lines if line["event"] == "announcement not understood"]
    assert [line.keys() & {"data", "message", "error"} for line in told] == [set()] * len(UNREADABLE)


async def test_lost_connection_empties_the_memory(redis_url: str, redis: Redis) -> None:
    """What may have been missed is not believed: nothing good is left, tombstones are, and it comes back by itself."""
    ended = uuid4()
    async with listening(redis_url) as channel:
        channel.memory.remember(SESSION, standing(a_user(), time.time()))
        channel.memory.bury(ended, time.time() + 600)
        channel.subscribed.clear()
        await redis.client_kill_filter(_type="pubsub")
        await eventually(lambda: not channel.memory.listening)
        assert channel.memory._good == {}
        assert channel.memory.is_dead(ended)
        assert channel.server is None
        await eventually(channel.subscribed.is_set)
        assert channel.memory.listening
        await redis.publish(CHANNEL, dead())
        await eventually(lambda: channel.memory.is_dead(SESSION))


async def test_no_fault_of_ours_ends_it(redis_url: str, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is as if the connection was lost: a service that hears nothing ever after would ask `/me` each time."""
    with captured_logs() as logs:
        log.configure("svc-common", level="INFO", form="json")
        async with listening(redis_url) as channel:
            with monkeypatch.context() as broken:
                broken.setattr(channel, "hear", Mock(side_effect=KeyError("odd")))
                await redis.publish(CHANNEL, dead())
                await eventually(lambda: not channel.memory.listening)
            await eventually(lambda: channel.memory.listening)
            await redis.publish(CHANNEL, dead())
            await eventually(lambda: channel.memory.is_dead(SESSION))
    assert [(line["event"], line["error"]) for line in logs.lines] == [("standing channel lost", "KeyError")]


async def test_restarted_server_is_another_one(redis_url: str, valkey_server: Valkey) -> None:
    """Its identity is read anew, so that a `standing:ready` of before proves nothing."""
    async with listening(redis_url) as channel:
        before = channel.server
        await channel._check()
        valkey_server.kill()
        await eventually(lambda: not channel.memory.listening)
        valkey_server.start()
        await eventually(lambda: channel.memory.listening)
        async with Redis.from_url(redis_url) as redis:
            assert channel.server == await identity(redis)
        await channel._check()  # by no connection of before
        assert before not in {None, channel.server}


async def test_server_that_may_not_be_written_to_is_not_believed(redis_url: str, redis: Redis) -> None:
    """As one that is cut off from its replicas, where it is told to mind: its successor may be at work already."""
    async with listening(redis_url) as channel:
        await redis.config_set("min-replicas-to-write", 1)
        try:
            with pytest.raises(RedisError, match="NOREPLICAS"):
                await channel._check()
        finally:
            await redis.config_set("min-replicas-to-write", 0)


async def test_heartbeat_notices_a_server_that_hangs(redis_url: str, valkey_server: Valkey) -> None:
    """A server that accepts and says nothing is not listened to for longer than two heartbeats."""
    async with listening(redis_url) as channel:
        channel.memory.remember(SESSION, standing(a_user(), time.time()))
        started = time.perf_counter()
        valkey_server.pause()
        try:
            await eventually(lambda: not channel.memory.listening)
            assert time.perf_counter() - started < 2 * HEARTBEAT + 0.5
            assert channel.memory._good == {}
        finally:
            valkey_server.resume()
        await eventually(lambda: channel.memory.listening)


async def test_silence_of_a_good_server_is_no_fault(redis_url: str) -> None:
    """Where nobody has anything to say, the heartbeat is answered and the subscription stays."""
    async with listening(redis_url) as channel:
        server = channel.server
        lost = asyncio.create_task(eventually(lambda: not channel.memory.listening))
        done, _ = await asyncio.wait({lost}, timeout=2.5 * HEARTBEAT)
        lost.cancel()
        assert (done, channel.server) == (set(), server)


async def test_server_that_never_answers_is_given_up() -> None:
    """One that accepts the connection and says nothing, not even to the subscription, is tried again and again."""
    accepted: list[asyncio.BaseTransport] = []

    class Mute(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            accepted.append(transport)

    server = await asyncio.get_running_loop().create_server(Mute, "127.0.0.1", 0)
    async with server:
        url = "redis://:secret@{}:{}/0".format(*server.sockets[0].getsockname())
        async with StandingChannel(listen(RedisUrl(url)), StandingMemory()) as channel:
            await eventually(lambda: len(accepted) >= 2)
            assert not channel.memory.listening


async def test_it_starts_without_a_server(valkey_server: Valkey, redis_url: str) -> None:
    """A service starts while Redis is away, and hears it once it is there."""
    valkey_server.stop()
    async with StandingChannel(listen(RedisUrl(redis_url)), StandingMemory()) as channel:
        assert not channel.memory.listening
        valkey_server.start()
        await eventually(lambda: channel.memory.listening)
        assert channel.server is not None


async def test_end_leaves_nothing_behind(redis_url: str, redis: Redis) -> None:
    """At shutdown the subscription and its task are gone."""
    async with listening(redis_url) as channel:
        task = channel._task
        assert await redis.pubsub_numsub(CHANNEL) == [(CHANNEL.encode(), 1)]
    assert task is not None
    assert task.done()
    assert not channel.memory.listening

    async def nobody_listens() -> bool:
        return bool(await redis.pubsub_numsub(CHANNEL) == [(CHANNEL.encode(), 0)])

    await eventually(nobody_listens)
