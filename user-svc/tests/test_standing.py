"""The authority's side of standing, on a real Valkey."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import uuid4

import msgspec
import pytest
from msgspec.structs import asdict
from redis.asyncio import Redis

from common.auth.standing import TOMBSTONE, Revoked, Standing, StandingStore
from common.database import Database
from common.redis import connect
from common.resp import RespClient
from common.telemetry import log
from common.testing import a_user, captured_logs
from common.values import RedisUrl
from devstack.embedded import Valkey
from user_svc.standing import StandingAuthority

Remembered = Callable[[], Awaitable[dict[str, tuple[str, int]]]]

SESSION = uuid4()


@pytest.fixture
async def authority(redis_url: str) -> AsyncIterator[StandingAuthority]:
    """user-svc's side; its deliveries and its watch are tried in `authority/`."""
    async with Database("postgresql://127.0.0.1:1/none", size=1, application="test") as database:
        redis = connect(RedisUrl(redis_url))
        yield StandingAuthority(redis, database, lifetime=600)
        await redis.aclose()


@pytest.fixture
async def unconnected_authority() -> AsyncIterator[StandingAuthority]:
    """One that finds nothing there."""
    async with Database("postgresql://127.0.0.1:1/none", size=1, application="test") as database:
        redis = connect(RedisUrl("redis://127.0.0.1:1/0"))
        yield StandingAuthority(redis, database, lifetime=600)
        await redis.aclose()


@pytest.fixture
async def store(redis_url: str) -> AsyncIterator[StandingStore]:
    """Everybody else's side."""
    store = StandingStore(RespClient(RedisUrl(redis_url)))
    yield store
    await store.close()


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    """A plain client."""
    async with Redis.from_url(redis_url, decode_responses=True) as redis:
        yield redis


async def test_a_primed_session_is_found_by_the_others(
    authority: StandingAuthority, store: StandingStore, remembered: Remembered
) -> None:
    """The `User` of `/me` and when it was true, under the session's id, for a minute and no longer."""
    user = a_user()

    await authority.prime(SESSION, user)

    [(name, (value, seconds))] = (await remembered()).items()
    found = (await store.recall(SESSION)).standing
    assert name == f"standing:{SESSION}"
    assert 55 <= seconds <= 60
    assert msgspec.json.decode(value, type=dict[str, object]).keys() == {*asdict(user), "as_of"}
    assert found not in (None, Revoked.REVOKED)
    assert isinstance(found, type(user))
    assert {name: getattr(found, name) for name in asdict(user)} == asdict(user)
    assert found.as_of == pytest.approx(time.time(), abs=5)


async def test_a_primed_session_is_never_raised_from_the_dead(
    authority: StandingAuthority, store: StandingStore, redis: Redis
) -> None:
    """A login that is slow to tell Redis does not write over the tombstone that came meanwhile."""
    await redis.set(f"standing:{SESSION}", TOMBSTONE)

    await authority.prime(SESSION, a_user())

    assert (await store.recall(SESSION)).standing is Revoked.REVOKED


async def test_without_redis_a_change_is_no_error(unconnected_authority: StandingAuthority) -> None:
    """Redis away fails no login, costs little time, and is logged without the user's address."""
    with captured_logs() as logs:
        log.configure("user-svc", level="INFO", form="json")
        started = time.perf_counter()
        await unconnected_authority.prime(SESSION, a_user())

    assert time.perf_counter() - started < 2.0
    assert "standing not primed" in logs.text
    assert "ann@example.com" not in logs.text


async def test_a_redis_that_hangs_holds_nobody_up(authority: StandingAuthority, valkey_server: Valkey) -> None:
    """A paused Redis delays a login by 50 ms and no more; afterwards it is used again."""
    valkey_server.pause()
    try:
        async with asyncio.timeout(0.8):
            await authority.prime(SESSION, a_user())
    finally:
        valkey_server.resume()

    await authority.prime(SESSION, a_user())


async def test_it_is_used_again_when_redis_is_back(
    authority: StandingAuthority, store: StandingStore, valkey_server: Valkey
) -> None:
    """After a restart of Redis the next login is there, with no restart of ours."""
    await authority.prime(SESSION, a_user())
    valkey_server.stop()
    await authority.prime(SESSION, a_user())
    valkey_server.start()

    await authority.prime(SESSION, a_user())

    assert isinstance((await store.recall(SESSION)).standing, Standing)
