"""Throttling: the limit passes and no more, whoever counts; nobody but the guesser is held up."""

import asyncio
import contextlib
import hashlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest
from redis.asyncio import Redis

from common.errors import TooManyRequests
from common.redis import connect
from common.values import RedisUrl
from user_svc import throttle as module
from user_svc.throttle import Limits, Throttle

Call = Callable[..., Awaitable[httpx.Response]]
Remembered = Callable[[], Awaitable[dict[str, tuple[str, int]]]]
Make = Callable[..., Throttle]

ANN = "ann@example.com"
PASSWORD = "correct horse battery"
NOBODY = "redis://127.0.0.1:1/0"


@pytest.fixture
async def make(redis_url: str) -> AsyncIterator[Make]:
    """A throttle as each process has one; on the test's Valkey, if `url` names no other."""
    async with contextlib.AsyncExitStack() as stack:

        def make(
            account: int = 0, address: int = 0, mails: int = 0, *, url: str = redis_url, secret: bytes = b"secret"
        ) -> Throttle:
            throttle = Throttle(connect(RedisUrl(url)), Limits(account, address, mails), secret)
            stack.push_async_callback(throttle.close)
            return throttle

        yield make


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow machine is not Redis being away."""
    monkeypatch.setattr(module, "BUDGET", 10.0)


async def passes(throttle: Throttle, purpose: str = "login", *, account: str = ANN, address: str = "") -> bool:
    """Whether a try may come."""
    try:
        await throttle.check(purpose, account=account, address=address)
    except TooManyRequests:
        return False
    return True


async def held_up(throttle: Throttle) -> int:
    """The seconds that a try, which is one too many, is told to wait."""
    with pytest.raises(TooManyRequests) as refusal:
        await throttle.check("login", account=ANN)
    return int(refusal.value.headers["Retry-After"])


@pytest.mark.usefixtures("patient")
async def test_the_limit_passes_and_no_more(make: Make) -> None:
    """Forty tries at once over two processes with a limit of ten: exactly ten."""
    one, two = make(account=10), make(account=10)

    passed = await asyncio.gather(*(passes(throttle) for throttle in (one, two) * 20))

    assert passed.count(True) == 10


@pytest.mark.usefixtures("patient")
async def test_each_address_has_its_limit(make: Make) -> None:
    """The same holds for addresses, whichever accounts they try."""
    one, two = make(address=10), make(address=10)

    tries = [
        passes(throttle, account=f"{number}@example.com", address="203.0.113.9")
        for number, throttle in enumerate((one, two) * 20)
    ]

    assert (await asyncio.gather(*tries)).count(True) == 10


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("url", [None, NOBODY])
async def test_a_customer_of_ipv6_is_counted_whole(make: Make, url: str | None) -> None:
    """Whoever has a /64 does not get the limit 2^64 times; the next one has a limit of its own, as in IPv4."""
    throttle = make(address=2, **({"url": url} if url else {}))
    addresses = ("2001:db8:0:1::1", "2001:db8:0:1::2", "2001:db8:0:1:ffff::", "2001:db8:0:2::1")

    assert [await passes(throttle, address=address) for address in addresses] == [True, True, False, True]
    assert all([await passes(throttle, address=f"203.0.113.{number}") for number in range(5)])


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("url", [None, NOBODY])
async def test_what_one_count_refuses_raises_no_other(make: Make, url: str | None) -> None:
    """Whose address is held up does not use up the tries of Ann's account."""
    throttle = make(account=2, address=1, **({"url": url} if url else {}))
    assert await passes(throttle, address="203.0.113.9")

    assert not any([await passes(throttle, address="203.0.113.9") for _ in range(3)])
    assert [await passes(throttle, address=f"198.51.100.{number}") for number in (1, 2)] == [True, False]


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("url", [None, NOBODY])
async def test_mails_are_counted_by_the_hour_too(make: Make, url: str | None) -> None:
    """Three an hour of each kind: the next is twenty minutes away. What sends no mail has no such limit."""
    throttle = make(account=100, mails=3, **({"url": url} if url else {}))
    assert [await passes(throttle, "forgot") for _ in range(4)] == [True] * 3 + [False]
    with pytest.raises(TooManyRequests) as refusal:
        await throttle.check("forgot", account=ANN)

    assert int(refusal.value.headers["Retry-After"]) == pytest.approx(20 * 60, abs=5)
    assert await passes(throttle, "verify")
    assert await passes(throttle, "forgot", account="bob@example.com")
    assert all([await passes(throttle, "login") for _ in range(10)])


@pytest.mark.usefixtures("patient")
async def test_others_are_not_held_up(make: Make) -> None:
    """Another account, another address and another kind of try have counts of their own."""
    throttle = make(account=1, address=1)
    assert await passes(throttle, address="203.0.113.9")
    assert not await passes(throttle, address="203.0.113.9")

    assert not await passes(throttle, address="198.51.100.7")
    assert not await passes(throttle, account="bob@example.com", address="203.0.113.9")
    assert await passes(throttle, account="eve@example.com", address="192.0.2.1")
    assert await passes(throttle, "refresh", address="203.0.113.9")


@pytest.mark.usefixtures("patient")
async def test_the_next_comes_free_after_a_while(make: Make, redis: Redis, remembered: Remembered) -> None:
    """Of two a minute, one is free again after thirty seconds, and tries in between do not put that off."""
    throttle = make(account=2)
    assert [await passes(throttle) for _ in range(2)] == [True, True]
    waits = [await held_up(throttle) for _ in range(3)]
    [(key, (due, _))] = (await remembered()).items()

    await redis.set(key, float(due) - 30_000, keepttl=True)

    assert waits == pytest.approx([30] * 3, abs=2)
    assert [await passes(throttle) for _ in range(2)] == [True, False]


@pytest.mark.usefixtures("patient")
async def test_counts_do_not_stay(make: Make, redis: Redis) -> None:
    """A key is gone when it no longer holds anybody up: within a minute."""
    throttle = make(account=3)
    for _ in range(5):
        await passes(throttle)

    [key] = await redis.keys()
    assert 0 < await redis.pttl(key) <= 60_000


async def test_without_redis_each_process_counts_for_itself(make: Make) -> None:
    """Guessing does not come free with an outage: the limit holds, locally, and the wait is told."""
    throttle = make(account=3, address=100, url=NOBODY)

    assert [await passes(throttle, address="203.0.113.9") for _ in range(5)] == [True] * 3 + [False] * 2
    assert await passes(throttle, account="bob@example.com", address="203.0.113.9")
    assert await held_up(throttle) == pytest.approx(20, abs=2)


async def test_the_local_count_is_bounded(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many addresses do not fill the memory: the oldest is forgotten."""
    monkeypatch.setattr(module, "LOCAL_KEYS", 3)
    throttle = make(account=1, url=NOBODY)

    for number in range(5):
        await passes(throttle, account=f"{number}@example.com")

    assert len(throttle._local) == 3
    assert [await passes(throttle, account=f"{number}@example.com") for number in (4, 0)] == [False, True]


async def test_a_silent_redis_holds_nobody_up(make: Make) -> None:
    """One that takes connections and never answers costs a login a twentieth of a second, no more."""
    writers = []
    server = await asyncio.start_server(lambda _, writer: writers.append(writer), "127.0.0.1", 0)
    throttle = make(account=1, url="redis://{}:{}/0".format(*server.sockets[0].getsockname()))

    started = time.monotonic()
    passed = [await passes(throttle) for _ in range(2)]
    took = time.monotonic() - started
    server.close()
    for writer in writers:
        writer.transport.abort()

    assert passed == [True, False]
    assert 0.1 <= took < 1.0


@pytest.mark.parametrize("url", [None, NOBODY])
async def test_nought_is_no_limit(make: Make, redis: Redis, url: str | None) -> None:
    """Neither here nor in Redis is anything counted."""
    throttle = make(url=url) if url else make()

    assert all([await passes(throttle, address="203.0.113.9") for _ in range(200)])
    assert (await redis.keys(), throttle._local) == ([], {})


@pytest.mark.usefixtures("patient")
async def test_keys_tell_nothing(make: Make, remembered: Remembered) -> None:
    """No address, no e-mail, and no plain hash that could be guessed back: only with our secret are they made."""
    for secret in (b"one", b"two"):
        await passes(make(account=3, address=3, secret=secret), address="203.0.113.9")

    keys = list(await remembered())
    assert len(keys) == 4
    assert {key.rpartition(":")[0] for key in keys} == {"throttle:login:account", "throttle:login:address"}
    for value in (ANN, "203.0.113.9"):
        told = (value, hashlib.sha256(value.encode()).hexdigest()[:32], hashlib.md5(value.encode()).hexdigest())
        assert not any(part in key for part in told for key in keys)
