"""The authority's side of standing: user-svc says in Redis what it has committed to PostgreSQL, until Redis knows."""

import asyncio
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Final, Self
from uuid import UUID, uuid4

import asyncpg
import msgspec
import structlog
from msgspec import Struct
from redis.exceptions import RedisError

from common.auth.channel import identity, refusal_of
from common.auth.standing import BUDGET, CHANNEL, GOOD_FOR, READY, TOMBSTONE, Announcement, encode, key, standing
from common.database import Database
from common.dto import User
from common.outbox import Entry
from common.redis import TaggedRedis
from common.tasks import end

TOPIC: Final = "standing"
FLUSH_TIMEOUT: Final = 0.1  # seconds an answer waits for Redis to be told; the outbox tells it all the same
WATCH: Final = 0.5  # seconds between two looks whether Redis still holds every tombstone
PURGE: Final = 60.0  # seconds between two removals of tombstones that nothing needs any more
BATCH: Final = 1000

_TRUTH = """
SELECT w.id, extract(epoch FROM t.until)::float8, a.id, a.email, a.is_active, a.is_superuser, a.is_verified
FROM unnest($1::uuid[]) AS w (id)
LEFT JOIN tombstones t ON t.session_id = w.id
LEFT JOIN sessions s ON s.id = w.id AND s.revoked_at IS NULL AND s.expires_at > now()
LEFT JOIN accounts a ON a.id = s.account_id AND a.is_active
"""
_TOMBSTONES = """
SELECT session_id, extract(epoch FROM until)::float8 FROM tombstones WHERE until > now() ORDER BY session_id
"""
# Once dead, always dead: a delivery that was given up may still be on its way when a later one has arrived.
_SET_GOOD = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3]) end"
# Only in place of what stood there before the load: where Redis was flushed meanwhile, tombstones are gone again.
_SEAL = """
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('SET', KEYS[1], ARGV[2]) return 1 end
"""
_PURGE = "DELETE FROM tombstones WHERE until < now() - interval '1 minute'"

_log = structlog.get_logger()


class Posted(Struct, frozen=True):
    """The payload of an outbox entry: a session whose standing changed."""

    session: UUID


class StandingAuthority:
    """Sets, where everybody else only fills; `lifetime` is the longest an access token can live, in seconds."""

    def __init__(self, redis: TaggedRedis, database: Database, *, lifetime: int) -> None:
        self._redis = redis
        self._database = database
        self._lifetime = lifetime
        self._watcher: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._watcher = asyncio.create_task(self._watch(), name="standing watch")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await end(self._watcher)
        await self._redis.aclose()

    async def prime(self, session: UUID, user: User) -> None:
        """At login, so that the session's first request elsewhere is a hit already; never over a tombstone.

        Redis away is no error: the first request asks `/me`.
        """
        try:
            async with asyncio.timeout(BUDGET):
                await self._redis.set(self._key(session), encode(user, time.time()), ex=int(GOOD_FOR), nx=True)
        except (RedisError, OSError, TimeoutError) as error:
            _log.info("standing not primed", error=type(error).__name__)

    async def deliver(
        self, connection: "asyncpg.Connection[asyncpg.Record]", entries: Sequence[Entry]
    ) -> tuple[int, ...]:
        """The outbox's deliveries: not what was posted, but what is true now, so that the order cannot matter."""
        posted = {msgspec.json.decode(entry.payload, type=Posted).session: entry.posted_at for entry in entries}
        truth = await connection.fetch(_TRUTH, list(posted))
        async with self._redis.pipeline(transaction=False) as pipeline:
            for row in truth:
                news = self._announcement(row, posted[row[0]])
                place = self._key(news.session)
                if news.standing is None:
                    pipeline.set(place, TOMBSTONE, exat=int(news.until) + 1)
                else:
                    good = msgspec.json.encode(news.standing)
                    pipeline.eval(_SET_GOOD, 1, place, TOMBSTONE, good, int(GOOD_FOR))
                pipeline.publish(CHANNEL, msgspec.json.encode(news))
            await pipeline.execute()
        return ()

    def _key(self, session: UUID) -> str:
        return key(session, self._redis.tag)

    def _announcement(self, row: asyncpg.Record, posted_at: float) -> Announcement:
        session, until, *account = row
        now = time.time()
        if until is None and account[0] is not None:
            return Announcement(session, standing(User(*account), now), now + GOOD_FOR, posted_at)
        return Announcement(session, None, until or now + self._lifetime, posted_at)

    async def _watch(self) -> None:
        """Reload whenever this Redis is not the one that was loaded: flushed, restored, restarted, failed over."""
        purge_at, refusal = 0.0, None
        while True:
            try:
                server = await identity(self._redis, self._redis.tag)
                if await self._redis.get(self._redis.tag + READY) != server:
                    await self._load(server)
                if time.monotonic() >= purge_at:
                    await self._database.rows(_PURGE)
                    purge_at = time.monotonic() + PURGE
                refusal = None
            except Exception as error:  # noqa: BLE001 - nobody would notice a watch that has ended
                before, refusal = refusal, refusal_of(error)
                say = _log.warning if refusal and refusal != before else _log.debug
                say("standing not loaded", error=type(error).__name__, refusal=refusal)
            await asyncio.sleep(WATCH)

    async def _load(self, server: bytes) -> None:
        """Every tombstone that can matter, and then the word that they are all there."""
        ready = self._redis.tag + READY
        await self._redis.set(ready, uuid4().hex, nx=True)
        before = await self._redis.get(ready)
        rows = await self._database.rows(_TOMBSTONES)
        for start in range(0, len(rows), BATCH):
            async with self._redis.pipeline(transaction=False) as pipeline:
                for session, until in rows[start : start + BATCH]:
                    pipeline.set(self._key(session), TOMBSTONE, exat=int(until) + 1)
                await pipeline.execute()
        if await self._redis.eval(_SEAL, 1, ready, before or b"", server):
            _log.info("tombstones loaded", count=len(rows))
