"""The Redis client: fails fast, is bounded, and is good again as soon as Redis is."""

import asyncio
import time
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from common import redis as module
from common.redis import connect
from common.values import RedisUrl
from devstack.embedded import Valkey

CONNECTIONS = 32
CONNECT = 0.3  # seconds
ANSWER = 0.5  # seconds
NOTICEABLE = 0.5  # seconds: what a busy machine may add
DEAD = RedisUrl.parse("redis://127.0.0.1:1")


async def fails_within(client: Redis, seconds: float) -> None:
    """A call fails, and in time."""
    started = time.perf_counter()
    with pytest.raises((RedisError, OSError)):
        await client.ping()
    assert time.perf_counter() - started < seconds + NOTICEABLE
    await client.aclose()


async def test_answers_are_bytes(redis: Redis) -> None:
    """A value is read as it was written."""
    await redis.set("key", b"\xff\x00")
    assert await redis.get("key") == b"\xff\x00"


async def test_nobody_there_is_noticed_at_once() -> None:
    """The client's own defaults would go on trying for seconds."""
    await fails_within(connect(DEAD), 0)


async def test_silence_is_noticed(silent: Any) -> None:
    """One that accepts and never answers is given up, twice at most."""
    await fails_within(connect(RedisUrl.parse(f"redis://{silent.address}")), 2 * ANSWER)
    assert len(silent.connections) <= 2


async def test_unreachable_host_is_noticed(serve: Any) -> None:
    """A connection that breaks before a word is said costs no waiting."""
    peer = await serve(lambda transport, _data: transport.abort())
    await fails_within(connect(RedisUrl.parse(f"redis://{peer.address}")), CONNECT)


async def test_wrong_password_is_an_error(redis_url: str) -> None:
    """And not a client that hangs."""
    url = RedisUrl.parse(redis_url.replace("redis://:", "redis://:x"))
    await fails_within(connect(url), 0)


async def test_connections_are_bounded_and_waited_for(
    redis: Redis, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More callers than connections wait their turn."""
    monkeypatch.setattr(module, "CONNECT", 10.0)
    monkeypatch.setattr(module, "ANSWER", 10.0)
    client = connect(RedisUrl.parse(redis_url))
    assert await asyncio.gather(*(client.echo(str(number)) for number in range(CONNECTIONS * 5))) == [
        str(number).encode() for number in range(CONNECTIONS * 5)
    ]
    ours = [entry for entry in await redis.client_list() if entry["cmd"] == "echo"]
    assert 1 < len(ours) <= CONNECTIONS
    await client.aclose()


async def test_stale_connections_are_no_error(redis: Redis, valkey_server: Valkey) -> None:
    """Redis was restarted between two calls: the second one works."""
    await redis.ping()
    valkey_server.stop()
    valkey_server.start()
    assert await redis.ping()


@pytest.mark.parametrize("turns", range(12))
async def test_cancellation_is_never_lost(redis_url: str, turns: int) -> None:
    """Wherever in a call it strikes: a caller that was told to end goes on with nothing."""
    client = connect(RedisUrl.parse(redis_url))
    await client.ping()

    async def go_on() -> None:
        await client.set("key", "value")
        await asyncio.Event().wait()

    caller = asyncio.create_task(go_on())
    for _ in range(turns):
        await asyncio.sleep(0)
    caller.cancel()
    await asyncio.wait([caller], timeout=1)
    assert caller.cancelled()
    await client.aclose()
