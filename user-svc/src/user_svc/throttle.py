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
from redis.asyncio import Redis
from redis.exceptions import RedisError

from common.errors import TooManyRequests
from common.telemetry.metrics import THROTTLED

BUDGET: Final = 0.05  # seconds one look at Redis may take
MINUTE: Final = 60_000  # milliseconds
LOCAL_KEYS: Final = 100_000

# GCRA: the key holds when the next try would be on time; a burst of the whole limit may come before that.
_SCRIPT = """
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
local interval, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local due = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now)
local wait = due + interval - interval * burst - now
if wait > 0 then return math.ceil(wait) end
redis.call('SET', KEYS[1], due + interval, 'PX', math.ceil(due + interval - now))
return 0
"""

_log = structlog.get_logger()


class Limits(Struct, frozen=True):
    """Tries a minute, for each kind of try separately; 0 is no limit."""

    account: int
    address: int


class Throttle:
    """Counts in Redis; while that is away each process counts for itself. Keys hold keyed hashes, and no address."""

    def __init__(self, redis: Redis, limits: Limits, secret: bytes) -> None:
        self._redis = redis
        self._limits = limits
        self._secret = secret
        self._local: OrderedDict[str, float] = OrderedDict()

    async def check(self, purpose: str, *, account: str = "", address: str = "") -> None:
        """Count a try.

        Raises:
            TooManyRequests: it is one too many; says when the next may come.

        """
        wait = 0.0
        limits = self._limits
        for kind, value, limit in (("account", account, limits.account), ("address", address, limits.address)):
            if value and limit:
                wait = max(wait, await self._wait(self._key(purpose, kind, value), limit))
        if wait > 0:
            THROTTLED.labels(purpose).inc()
            raise TooManyRequests("too many tries; wait before the next", retry_after=math.ceil(wait / 1000))

    async def close(self) -> None:
        """Give the connections back."""
        await self._redis.aclose()

    def _key(self, purpose: str, kind: str, value: str) -> str:
        return f"throttle:{purpose}:{kind}:{hmac.new(self._secret, value.encode(), 'sha256').hexdigest()[:32]}"

    async def _wait(self, key: str, limit: int) -> float:
        """Milliseconds until this try may come; 0 is now, and it has been counted."""
        interval = MINUTE / limit
        try:
            async with asyncio.timeout(BUDGET):
                waiting: Any = await self._redis.eval(_SCRIPT, 1, key, str(interval), str(limit))
                return float(waiting)
        except (RedisError, OSError, TimeoutError) as error:
            _log.info("throttle counts by itself", error=type(error).__name__)
            return self._wait_locally(key, interval, limit)

    def _wait_locally(self, key: str, interval: float, limit: int) -> float:
        now = time.monotonic() * 1000
        due = max(self._local.get(key, now), now)
        wait = due + interval - interval * limit - now
        if wait > 0:
            return wait
        self._local[key] = due + interval
        self._local.move_to_end(key)
        if len(self._local) > LOCAL_KEYS:
            self._local.popitem(last=False)
        return 0.0
