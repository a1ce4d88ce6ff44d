"""Standing in Redis: what is read, how a gap is filled, and that a slow or dead Redis costs little."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from redis.asyncio import Redis

from common.auth import standing
from common.auth.channel import identity
from common.auth.standing import READY, TOMBSTONE, Revoked, Standing, StandingStore, StoreUnavailable, encode, key
from common.dto import User
from common.resp import RespClient
from common.testing import a_user, eventually
from common.values import RedisUrl
from devstack.embedded import Valkey

SESSION = UUID("0198c0f4-0000-7000-8000-000000000001")
BUDGET = 0.05  # seconds a look at Redis may take
NOTICEABLE = 0.4  # seconds: what the event loop of a busy machine may add to a budget
CORRUPT: dict[str, bytes] = {
    "empty": b"",
    "a word": b"good",
    "the tombstone and more": b"revoked ",
    "the tombstone in upper case": b"REVOKED",
    "no object": b"[]",
    "an object of something else": b'{"id":1}',
    "half of one": encode(a_user(), 1.0)[:-1],
    "without a time": msgspec.json.encode(a_user()),
    "no UTF-8": b"\xff\xfe\x00",
    "no UTF-8 inside": encode(a_user(email="@"), 1.0).replace(b"@", b"\xff"),
    "nested beyond measure": b'{"x":' + b"[" * 100_000,
    "a raw token": b"eyJhbGciOiJIUzI1NiJ9.e30.AAAA",
}


@pytest.fixture
async def store(redis_url: str, clock: Any) -> AsyncIterator[StandingStore]:
    """The store on a real Valkey."""
    store = StandingStore(RespClient(RedisUrl(redis_url)), clock=clock)
    yield store
    await store.close()


async def test_nothing_is_known_at_first(store: StandingStore) -> None:
    """A gap is a gap."""
    assert (await store.recall(SESSION)).standing is None


async def test_what_was_filled_is_read_back(store: StandingStore, clock: Any) -> None:
    """The user of `/me`, whole, and when it was true."""
    user = a_user(email="grüße@example.com", is_superuser=True)
    await store.remember(SESSION, user, expires_at=clock() + 600)
    assert (await store.recall(SESSION)).standing == Standing(**msgspec.structs.asdict(user), as_of=clock())


async def test_sessions_are_kept_apart(store: StandingStore, clock: Any) -> None:
    """One key per session id."""
    await store.remember(SESSION, a_user(), expires_at=clock() + 600)
    assert (await store.recall(uuid4())).standing is None


async def test_tombstone_is_read(store: StandingStore, redis: Redis) -> None:
    """What user-svc buried is dead."""
    await redis.set(key(SESSION), TOMBSTONE)
    assert (await store.recall(SESSION)).standing is Revoked.REVOKED


@pytest.mark.parametrize("value", CORRUPT.values(), ids=list(CORRUPT))
async def test_value_that_cannot_be_read_is_none(store: StandingStore, redis: Redis, value: bytes) -> None:
    """Whoever wrote it, it neither admits, nor refuses, nor breaks anybody."""
    await redis.set(key(SESSION), value)
    assert (await store.recall(SESSION)).standing is None


async def test_key_of_another_kind_is_no_answer(store: StandingStore, redis: Redis) -> None:
    """A list under our key is none of ours."""
    await redis.lpush(key(SESSION), "x")
    assert (await store.recall(SESSION)).standing is None


@pytest.mark.parametrize("kept", [TOMBSTONE, encode(a_user(email="newer@example.com"), 2.0)], ids=["dead", "newer"])
async def test_fill_never_overwrites(store: StandingStore, redis: Redis, clock: Any, kept: bytes) -> None:
    """A slow good answer comes after the tombstone, or after a newer profile: it is dropped."""
    await redis.set(key(SESSION), kept, ex=600)
    await store.remember(SESSION, a_user(), expires_at=clock() + 600)
    assert await redis.get(key(SESSION)) == kept
    assert await redis.ttl(key(SESSION)) > 590


async def test_fill_lasts_a_minute_at_most(store: StandingStore, redis: Redis, clock: Any) -> None:
    """60 seconds less up to a tenth, so that sessions remembered together do not end together."""
    sessions = [uuid4() for _ in range(30)]
    for session in sessions:
        await store.remember(session, a_user(), expires_at=clock() + 600)
    lifetimes = [await redis.pttl(key(session)) / 1000 for session in sessions]
    assert all(53 < lifetime <= 60 for lifetime in lifetimes)
    assert max(lifetimes) - min(lifetimes) > 1


async def test_fill_ends_with_the_token(store: StandingStore, redis: Redis, clock: Any) -> None:
    """Nothing is remembered past `exp`."""
    await store.remember(SESSION, a_user(), expires_at=clock() + 3)
    assert 2000 < await redis.pttl(key(SESSION)) <= 3000


@pytest.mark.parametrize("left", [0.0, -1.0])
async def test_fill_of_an_expired_token_is_none(store: StandingStore, redis: Redis, clock: Any, left: float) -> None:
    """A `/me` that answered after `exp` leaves nothing."""
    await store.remember(SESSION, a_user(), expires_at=clock() + left)
    assert await redis.keys() == []


async def test_fill_of_the_last_instant_lasts_an_instant(store: StandingStore, redis: Redis, clock: Any) -> None:
    """Less than a millisecond is no lifetime that Redis knows; it must not become for ever."""
    await store.remember(SESSION, a_user(), expires_at=clock() + 0.0004)
    assert await redis.pttl(key(SESSION)) in {-2, 0, 1}


async def test_what_is_kept_is_the_user_and_nothing_else(store: StandingStore, redis: Redis, clock: Any) -> None:
    """Whoever reads Redis reads no credential."""
    user = a_user()
    await store.remember(SESSION, user, expires_at=clock() + 600)
    assert await redis.keys() == [f"standing:{SESSION}".encode()]
    kept = msgspec.json.decode(await redis.get(key(SESSION)) or b"")
    assert kept == {**msgspec.to_builtins(user), "as_of": clock()}


async def test_ready_is_a_servers_own_word(store: StandingStore, redis: Redis) -> None:
    """In a copy of another server's keys it proves nothing: the last of them may be missing."""
    own = await identity(redis)
    for said, believed in ((None, None), (b"of another", None), (own, own)):
        await (redis.set(READY, said) if said else redis.delete(READY))
        assert (await store.recall(SESSION)).ready == believed


@pytest.mark.usefixtures("budgets")
async def test_dead_redis_is_said_so_at_once(clock: Any) -> None:
    """Nobody listens: no verdict from here, and a fill is given up without an error."""
    store = StandingStore(RespClient(RedisUrl.parse("redis://127.0.0.1:1")), clock=clock)
    await gives_up_in_time(store, clock)
    await store.close()


@pytest.mark.usefixtures("budgets")
async def test_silent_redis_costs_its_budget(silent: Any, clock: Any) -> None:
    """A Redis that accepts and never answers is given 50 ms, again and again."""
    store = StandingStore(RespClient(RedisUrl.parse(f"redis://{silent.address}")), clock=clock)
    for _ in range(3):
        await gives_up_in_time(store, clock)
    await store.close()


@pytest.mark.usefixtures("budgets")
async def test_paused_redis_is_used_again_once_it_answers(
    store: StandingStore, redis: Redis, valkey_server: Valkey, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Questions given up while it was paused leave no connection behind that answers the next one wrongly."""
    users: dict[UUID, User] = {uuid4(): a_user() for _ in range(100)}
    for session, user in users.items():
        await redis.set(key(session), encode(user, clock()))
    valkey_server.pause()
    try:
        lost = await asyncio.gather(*map(store.recall, users), return_exceptions=True)
    finally:
        valkey_server.resume()
    assert {type(error) for error in lost} == {StoreUnavailable}
    monkeypatch.setattr(standing, "BUDGET", 10.0)
    found: list[object] = []

    async def is_answered(session: UUID) -> bool:
        with suppress(StoreUnavailable):
            found.append((await store.recall(session)).standing)
            return True
        return False

    first, *others = users
    await eventually(partial(is_answered, first))
    assert all([await is_answered(session) for session in others])
    assert [kept.id for kept in found if isinstance(kept, Standing)] == [user.id for user in users.values()]


async def gives_up_in_time(store: StandingStore, clock: Any) -> None:
    """Neither looking nor filling takes longer than the budget."""
    started = time.perf_counter()
    with pytest.raises(StoreUnavailable):
        await store.recall(SESSION)
    assert time.perf_counter() - started < BUDGET + NOTICEABLE
    started = time.perf_counter()
    await store.remember(SESSION, a_user(), expires_at=clock() + 600)
    assert time.perf_counter() - started < BUDGET + NOTICEABLE
