"""Standing: what Redis remembers of a session. One key per session id; no token, and no hash of one, ever gets here."""

import asyncio
import random
import time
from collections.abc import Callable
from enum import Enum
from typing import Any, Final
from uuid import UUID

import msgspec
from hiredis import HiredisError
from msgspec import Struct

from common.auth.breaker import Breaker, BreakerOpen
from common.dto import User
from common.resp import RespClient

TOMBSTONE: Final = b"revoked"
READY: Final = "standing:ready"
CHANNEL: Final = "standing"
BUDGET: Final = 0.05  # seconds one look at Redis may take
GOOD_FOR: Final = 60.0  # seconds a good answer of `/me` is remembered
STALE_AFTER: Final = 0.8 * GOOD_FOR  # seconds after which it is asked for anew, behind the answer
JITTER: Final = 0.1  # so that sessions remembered together are not asked about together

_AWAY: Final = (HiredisError, OSError, TimeoutError)

# Takes the place of exactly the value that was read: a tombstone or a newer profile set meanwhile stays.
_REPLACE = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end"

# By a write that changes nothing: who takes it is no replica, and in a cluster the owner of our keys.
# Process and history: a master that was a replica meanwhile has a new one, and lost what the other had not.
_WHO = """
redis.call('PERSIST', KEYS[1])
local run, history = redis.call('INFO', 'server'), redis.call('INFO', 'replication')
return string.match(run, 'run_id:(%x+)') .. '-' .. (string.match(history, 'master_replid:(%x+)') or '')
"""


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
    """What Redis said of a session; `raw` is the value as it stood there.

    `ready` names the server that said it, if that holds every tombstone, and is None where it names another: then it
    came with a copy of that one's data, restored or replicated, which may lack the last tombstones.
    """

    standing: Standing | Revoked | None
    ready: bytes | None
    raw: bytes | None


class StoreUnavailable(Exception):
    """Redis did not answer in time; nothing follows for the session."""


class StandingStore:
    """The side of everyone but user-svc: reads, and fills what is missing."""

    def __init__(self, redis: RespClient, *, clock: Callable[[], float] = time.time) -> None:
        self._redis = redis
        self._redis.greet(*who(redis.tag))
        self._clock = clock
        self._decoder = msgspec.json.Decoder(Standing)
        self._breaker = Breaker("redis", shortest=0.25, longest=2.0)

    async def recall(self, session: UUID) -> Recollection:
        """What is remembered; a value that cannot be read is none.

        Raises:
            StoreUnavailable: Redis is down or slow.

        """
        value, ready = await self._run("MGET", key(session, self._redis.tag), self._redis.tag + READY)
        return Recollection(self._read(value), ready if ready == self._redis.greeting else None, value)

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
                await self._run("SET", key(session, self._redis.tag), value, "PX", milliseconds, "NX")
            else:
                await self._run("EVAL", _REPLACE, 1, key(session, self._redis.tag), instead_of, value, milliseconds)
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


def key(session: UUID, tag: str = "") -> str:
    """Where the standing of a session is kept; `tag` is what a cluster's keys begin with."""
    return f"{tag}standing:{session}"


def who(tag: str) -> tuple[str | int, ...]:
    """The command whose answer is the identity of a server, another one after a restart or a promotion."""
    return ("EVAL", _WHO, 1, tag + READY)


def standing(user: User, as_of: float) -> Standing:
    """A user as he stood then."""
    return Standing(user.id, user.email, user.is_active, user.is_superuser, user.is_verified, as_of=as_of)


def encode(user: User, as_of: float) -> bytes:
    """A good standing as Redis keeps it: the `User` of `/me`, and when it was true."""
    return msgspec.json.encode(standing(user, as_of))
