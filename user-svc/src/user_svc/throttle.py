"""Throttling: so many tries a minute for each account and for each address, counted exactly across all processes.

The right password is throttled like a wrong one, or a guesser would learn which it was; nobody else is.
"""

import asyncio
import hmac
import math
import time
from collections import OrderedDict
from typing import Any, Final

import structlog
from msgspec import Struct
from redis.exceptions import RedisError

from common.errors import TooManyRequests
from common.http.client import Client, client_network
from common.redis import TaggedRedis
from common.telemetry.metrics import THROTTLED

BUDGET: Final = 0.05  # seconds one look at Redis may take
MINUTE: Final = 60_000  # milliseconds
HOUR: Final = 60 * MINUTE
MAILS: Final = frozenset({"forgot", "verify", "address"})  # what fills somebody's letter box
LOCAL_KEYS: Final = 100_000

# GCRA: a key holds when the next try would be on time; a burst of the whole limit may come before that. A try that one
# count refuses raises no other: who is held up at an address cannot use up an account's tries.
_SCRIPT = """
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
local wait, dues = 0, {}
for i, key in ipairs(KEYS) do
    local interval, burst = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
    dues[i] = math.max(tonumber(redis.call('GET', key) or now), now) + interval
    wait = math.max(wait, dues[i] - interval * burst - now)
end
if wait > 0 then return math.ceil(wait) end
for i, key in ipairs(KEYS) do redis.call('SET', key, dues[i], 'PX', math.ceil(dues[i] - now)) end
return 0
"""

_log = structlog.get_logger()


class Limits(Struct, frozen=True):
    """Tries a minute, and mails an hour for one account, of each kind separately; 0 is no limit."""

    account: int
    address: int
    mails: int


class Count(Struct, frozen=True):
    """One of the counts a try raises: at most `limit` in `period` milliseconds."""

    key: str
    limit: int
    period: int

    @property
    def interval(self) -> float:
        """Milliseconds between two tries that come evenly."""
        return self.period / self.limit


class Throttle:
    """Counts in Redis; while that is away each process counts for itself. Keys hold keyed hashes, and no address."""

    def __init__(self, redis: TaggedRedis, limits: Limits, secret: bytes) -> None:
        self._redis = redis
        self._limits = limits
        self._secret = secret
        self._local: OrderedDict[str, float] = OrderedDict()

    async def check(self, purpose: str, *, account: str = "", address: str = "") -> None:
        """Count a try.

        Raises:
            TooManyRequests: it is one too many; says when the next may come.

        """
        counts = self._counts(purpose, account, client_network(address))
        wait = await self._wait(counts) if counts else 0.0
        if wait > 0:
            THROTTLED.labels(purpose).inc()
            raise TooManyRequests("too many tries; wait before the next", retry_after=math.ceil(wait / 1000))

    async def close(self) -> None:
        """Give the connections back."""
        await self._redis.aclose()

    def _counts(self, purpose: str, account: str, address: str) -> list[Count]:
        limits = self._limits
        every = [
            ("account", account, limits.account, MINUTE),
            ("address", address, limits.address, MINUTE),
            ("mails", account, limits.mails if purpose in MAILS else 0, HOUR),
        ]
        return [
            Count(self._key(purpose, kind, value), limit, period)
            for kind, value, limit, period in every
            if value and limit
        ]

    def _key(self, purpose: str, kind: str, value: str) -> str:
        secret = hmac.new(self._secret, value.encode(), "sha256").hexdigest()[:32]
        return f"{self._redis.tag}throttle:{purpose}:{kind}:{secret}"

    async def _wait(self, counts: list[Count]) -> float:
        """Milliseconds until this try may come; 0 is now, and it has been counted."""
        keys = [count.key for count in counts]
        rates = [str(number) for count in counts for number in (count.interval, count.limit)]
        try:
            async with asyncio.timeout(BUDGET):
                waiting: Any = await self._redis.eval(_SCRIPT, len(keys), *keys, *rates)
                return float(waiting)
        except (RedisError, OSError, TimeoutError) as error:
            _log.info("throttle counts by itself", error=type(error).__name__)
            return self._wait_locally(counts)

    def _wait_locally(self, counts: list[Count]) -> float:
        now = time.monotonic() * 1000
        dues = {count.key: max(self._local.get(count.key, now), now) + count.interval for count in counts}
        wait = max(dues[count.key] - count.interval * count.limit - now for count in counts)
        if wait > 0:
            return wait
        for key, due in dues.items():
            self._local[key] = due
            self._local.move_to_end(key)
        while len(self._local) > LOCAL_KEYS:
            self._local.popitem(last=False)
        return 0.0


class Tries(Struct, frozen=True):
    """What a handler is given: the tries of the client whose request it is."""

    throttle: Throttle
    client: Client

    async def count(self, purpose: str, account: str = "") -> None:
        """Count one (see `Throttle.check`)."""
        await self.throttle.check(purpose, account=account, address=self.client.address)
