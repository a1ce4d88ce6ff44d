"""Erasure: what a deleted account leaves here goes, at once or when we next can, and does not come back."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Final, Self
from uuid import UUID

import asyncpg
import httpx
import msgspec
import structlog

from common.auth import KeyRing
from common.auth.services import authorization
from common.database import Database
from common.dto import ErasedUsers, UserEvent
from common.errors import InvalidToken, Unavailable
from common.events import Consumer
from common.http.lean import client_to
from common.redis import TaggedRedis
from common.tasks import end
from todo_svc.turns import turn

GROUP: Final = "todo-svc"
DELETED: Final = "user.deleted"
PULL: Final = 60.0  # seconds between two looks whether the stream lost something
RETRY: Final = 1.0  # seconds after a look that failed
ERASED: Final = "GH001"  # SQLSTATE of the trigger `refuse_erased_owner`

# The lock is the other side of the trigger's: an insert under way ends first, a later one sees the tombstone.
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended($1::text, 0))"
_TOMBSTONE = "INSERT INTO erased_users (user_id, event) VALUES ($1, $2) ON CONFLICT DO NOTHING"
_DELETE = (
    "DELETE FROM lists WHERE owner_id = $1",
    "DELETE FROM changes WHERE owner_id = $1",
    "DELETE FROM idempotency_keys WHERE scope = $1::uuid::text",
    "DELETE FROM owners WHERE owner_id = $1",
)
_PROGRESS = "SELECT coalesce(max(sequence), 0) FROM erasure_progress"
_ADVANCE = """
INSERT INTO erasure_progress (id, sequence) VALUES (1, $1)
ON CONFLICT (id) DO UPDATE SET sequence = greatest(erasure_progress.sequence, excluded.sequence)
"""
_ORPHANS = """
SELECT owner_id FROM owners WHERE owner_id = ANY($1) ORDER BY owner_id
"""

_log = structlog.get_logger()


class Eraser:
    """Deletes an account's rows and keeps a tombstone of it, in one transaction; a repeat finds nothing to do."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def erase(self, user: UUID, event: str) -> None:
        """Lists go, and their todos with them."""
        async with turn(self._database, user) as transaction:
            await transaction.rows(_LOCK, str(user))
            await transaction.rows(_TOMBSTONE, user, event)
            for statement in _DELETE:
                await transaction.rows(statement, user)

    async def handle(self, event: UserEvent, entry: str) -> None:
        """What the stream brings; events of other kinds concern others."""
        if event.type == DELETED:
            await self.erase(event.user, entry)

    async def progress(self) -> int:
        """The last deletion up to which nothing can be missing."""
        row = await self._database.row(_PROGRESS)
        return int(row[0]) if row else 0

    async def advance(self, sequence: int) -> None:
        """Everything up to this deletion has been taken in."""
        await self._database.rows(_ADVANCE, sequence)

    async def orphans(self, users: list[UUID]) -> list[UUID]:
        """Who of these still has rows here."""
        return [row[0] for row in await self._database.rows(_ORPHANS, users)]


class ErasureLog:
    """user-svc's own record of deletions."""

    def __init__(self, base_url: str, keys: KeyRing, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._client = client_to(base_url, timeout=5.0, transport=transport)
        self._keys = keys

    async def after(self, sequence: int) -> AsyncIterator[ErasedUsers]:
        """Stretch by stretch.

        Raises:
            Unavailable: user-svc cannot be asked.

        """
        while True:
            stretch = await self._get(f"/internal/erasures?after={sequence}")
            if not stretch.items:
                return
            yield stretch
            sequence = stretch.items[-1].sequence

    async def close(self) -> None:
        """Give the connections back."""
        await self._client.aclose()

    async def _get(self, target: str) -> ErasedUsers:
        headers = {"Authorization": authorization(self._keys, "GET", target)}
        try:
            answer = (await self._client.get(target, headers=headers)).raise_for_status()
            return msgspec.json.decode(answer.content, type=ErasedUsers)
        except (httpx.HTTPError, ValueError) as error:
            raise Unavailable("the deletions cannot be asked for") from error


class ErasureWorker:
    """Reads the stream, and pulls what the stream may have lost, for as long as the service runs."""

    def __init__(self, redis: TaggedRedis, eraser: Eraser, log: ErasureLog) -> None:
        self._redis = redis
        self._eraser = eraser
        self._log = log
        self._consumer = Consumer(redis, GROUP, eraser.handle, self._hurry)
        self._pull_now = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._consumer.run()), asyncio.create_task(self._pull())]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            await end(task)
        await self._redis.aclose()
        await self._log.close()

    async def catch_up(self) -> None:
        """Take in every deletion that user-svc knows and we do not."""
        async for stretch in self._log.after(await self._eraser.progress()):
            for erased in stretch.items:
                await self._eraser.erase(erased.user, f"erasure {erased.sequence}")
            await self._eraser.advance(stretch.items[-1].sequence)

    async def _hurry(self) -> None:
        self._pull_now.set()

    async def _pull(self) -> None:
        """At start, when the stream had to be made anew, and every minute; sooner after a failure."""
        while True:
            pause = PULL
            self._pull_now.clear()
            try:
                await self.catch_up()
            except (Unavailable, asyncpg.PostgresError) as error:
                _log.info("erasures wait", error=type(error).__name__)
                pause = RETRY
            except Exception:  # noqa: BLE001 - nobody would notice a worker that has ended
                _log.exception("erasures wait")
                pause = RETRY
            try:
                async with asyncio.timeout(pause):
                    await self._pull_now.wait()
            except TimeoutError:
                continue


@contextmanager
def refusing_erased() -> Iterator[None]:
    """Turns the trigger's refusal into the answer that a dead session gets.

    Raises:
        InvalidToken: the account was deleted.

    """
    try:
        yield
    except asyncpg.PostgresError as error:
        if error.sqlstate != ERASED:
            raise
        raise InvalidToken("revoked", "the account of this access token was deleted", source="user-svc") from None
