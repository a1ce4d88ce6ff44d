"""Standing: what Redis remembers of a session. One key per session id; no token, and no hash of one, ever gets here."""

import asyncio
import random
import time
from collections.abc import Callable
from enum import Enum
from typing import Any, Final, Protocol
from uuid import UUID

import msgspec
from hiredis import HiredisError
from msgspec import Struct
from redis.exceptions import RedisError

from common.auth.breaker import Breaker, BreakerOpen
from common.dto import User

TOMBSTONE: Final = b"revoked"
READY: Final = "standing:ready"
CHANNEL: Final = "standing"
BUDGET: Final = 0.05  # seconds one look at Redis may take
GOOD_FOR: Final = 60.0  # seconds a good answer of `/me` is remembered
STALE_AFTER: Final = 0.8 * GOOD_FOR  # seconds after which it is asked for anew, behind the answer
JITTER: Final = 0.1  # so that sessions remembered together are not asked about together

_AWAY: Final = (RedisError, HiredisError, OSError, TimeoutError)

# Takes the place of exactly the value that was read: a tombstone or a newer profile set meanwhile stays.
_REPLACE = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end"


class Standing(User, frozen=True, kw_only=True):
    """A good session's user, `as_of` seconds since the epoch."""

    as_of: float


class Revoked(Enum):
    """The tombstone: this session is dead, whatever its tokens prove."""

    REVOKED = TOMBSTONE


class Announcement(Struct, frozen=True, array_like=True):
    """What user-svc says on the channel; no standing means dead. Times are seconds since the epoch."""

    session: UUID
    standing: Standing | None
    until: float
    posted_at: float


class Recollection(Struct, frozen=True):
    """What Redis said of a session, and which load of tombstones it holds; `raw` is the value as it stood there."""

    standing: Standing | Revoked | None
    ready: bytes | None
    raw: bytes | None


class StoreUnavailable(Exception):
    """Redis did not answer in time; nothing follows for the session."""


class Commands(Protocol):
    """The one thing asked of a Redis client: redis-py's and our lean one both do it."""

    async def execute_command(self, *words: Any) -> Any:
        """Run one command."""
        ...

    async def aclose(self) -> None:
        """Close the connection."""
        ...


class StandingStore:
    """The side of everyone but user-svc: reads, and fills what is missing."""

    def __init__(self, redis: Commands, *, clock: Callable[[], float] = time.time) -> None:
        self._redis = redis
        self._clock = clock
        self._decoder = msgspec.json.Decoder(Standing)
        self._breaker = Breaker("redis", shortest=0.25, longest=2.0)

    async def recall(self, session: UUID) -> Recollection:
        """What is remembered; a value that cannot be read is none.

        Raises:
            StoreUnavailable: Redis is down or slow.

        """
        value, ready = await self._run("MGET", key(session), READY)
        return Recollection(self._read(value), ready, value)

    async def remember(self, session: UUID, user: User, *, expires_at: float, instead_of: bytes | None = None) -> None:
        """Keep a good answer of `/me`, never past the token's end; a lost one costs one more question.

        It fills a gap (NX) or takes the place of exactly what was read, which makes the classic race harmless: a slow,
        stale answer never overwrites a tombstone or a newer profile.
        """
        now = self._clock()
        lifetime = min(GOOD_FOR * (1 - JITTER * random.random()), expires_at - now)  # noqa: S311 - no secret
        milliseconds = int(lifetime * 1000)
        if milliseconds <= 0:
            return
        value = encode(user, now)
        try:
            if instead_of is None:
                await self._run("SET", key(session), value, "PX", milliseconds, "NX")
            else:
                await self._run("EVAL", _REPLACE, 1, key(session), instead_of, value, milliseconds)
        except StoreUnavailable:
            return

    async def close(self) -> None:
        """Give the connection back."""
        await self._redis.aclose()

    async def _run(self, *words: Any) -> Any:
        try:
            with self._breaker.attempt(*_AWAY):
                async with asyncio.timeout(BUDGET):
                    return await self._redis.execute_command(*words)
        except (BreakerOpen, *_AWAY) as error:
            raise StoreUnavailable from error

    def _read(self, value: bytes | None) -> Standing | Revoked | None:
        if value == TOMBSTONE:
            return Revoked.REVOKED
        try:
            return self._decoder.decode(value) if value else None
        except (ValueError, RecursionError):
            return None


def key(session: UUID) -> str:
    """Where the standing of a session is kept."""
    return f"standing:{session}"


def standing(user: User, as_of: float) -> Standing:
    """A user as he stood then."""
    return Standing(user.id, user.email, user.is_active, user.is_superuser, user.is_verified, as_of=as_of)


def encode(user: User, as_of: float) -> bytes:
    """A good standing as Redis keeps it: the `User` of `/me`, and when it was true."""
    return msgspec.json.encode(standing(user, as_of))
