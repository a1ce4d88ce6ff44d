"""Outbox: what must happen elsewhere is written in the transaction of its cause, and relayed until it has happened."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from datetime import datetime
from types import TracebackType
from typing import Any, Final, Self

import asyncpg
import structlog
from advanced_alchemy.base import AdvancedDeclarativeBase, CommonTableAttributes
from msgspec import Struct
from sqlalchemy import BigInteger, DateTime, Identity, Text, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from common.connection import dial
from common.tasks import end
from common.telemetry.metrics import OUTBOX_OLDEST

CHANNEL: Final = "outbox"  # of LISTEN and NOTIFY
BATCH: Final = 500
POLL: Final = 1.0  # seconds, for what was put off, and in case a notification was lost
LEAST: Final = 0.02  # seconds between two tries
URGENT: Final = 0.2  # seconds between two tries, at most, while an answer is held up
MOST: Final = 1.0  # seconds between two tries
LAST_TRY: Final = 1.5  # seconds for what is still to be delivered at the end; above the longest pause between two tries
HELD: Final = 300.0  # seconds another process may take to deliver what it has: a batch of mails, to a slow server
LOCK: Final = 716_440_315  # with the topic: one relay at a time drains it, so that nothing is overtaken

# The end of a statement whose CTE `posted` inserted into outbox: wakes the relays when it commits.
NOTIFY: Final = "SELECT pg_notify('outbox', '') FROM posted LIMIT 1"

# A statement of its own: the next one must see what the holder has done.
_WAIT = "SELECT pg_advisory_xact_lock($1, hashtext($2))"
_TAKE = """
SELECT id, payload, created_at, attempts FROM outbox WHERE topic = $1 AND not_before <= now() ORDER BY id LIMIT $2
"""
_DONE = "DELETE FROM outbox WHERE id = ANY($1)"
_LATER = """
UPDATE outbox SET attempts = attempts + 1,
    not_before = clock_timestamp() + least(2 ^ least(attempts, 9), 300) * interval '1 second'
WHERE id = ANY($1)
"""
# What was put off waits too.
_OLDEST = "SELECT extract(epoch FROM now() - min(created_at)) FROM outbox WHERE topic = $1"

_log = structlog.get_logger()


class OutboxRow(CommonTableAttributes, AdvancedDeclarativeBase):
    """The table; each service that has one binds it."""

    __abstract__ = True
    __tablename__ = "outbox"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    topic: Mapped[str] = mapped_column(Text)
    payload: Mapped[dict[str, Any]] = mapped_column(JSONB)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    not_before: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class Entry(Struct, frozen=True):
    """One thing to do elsewhere; `payload` is JSON, `posted_at` in seconds since the epoch, `attempts` that failed."""

    id: int
    payload: str
    posted_at: float
    attempts: int


# Does it, and names the entries to try again later; an exception has all of them tried again at once.
Deliver = Callable[["asyncpg.Connection[asyncpg.Record]", Sequence[Entry]], Awaitable[Collection[int]]]


class Relay:
    """Delivers a topic's entries in order, woken by whoever commits one, and tries again until it has.

    Entries may be delivered twice (a crash between delivery and its record), at most `batch` of them: `deliver` must
    not mind. Before it ends it delivers what is left, if that can be done soon: while the service is away nobody else
    will. `dsn` leads past any pooler: it takes a session of its own to hear of news.
    """

    def __init__(self, dsn: str, topic: str, deliver: Deliver, *, batch: int = BATCH) -> None:
        self._dsn = dsn
        self._topic = topic
        self._deliver = deliver
        self._batch = batch
        self._oldest = OUTBOX_OLDEST.labels(topic)
        self._news = asyncio.Event()
        self._waiting: list[asyncio.Future[None]] = []
        self._task: asyncio.Task[None] | None = None
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None
        self._behind = False  # something was taken and is not delivered yet
        self._ended = False

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name=f"outbox relay of {self._topic}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if (self._behind or self._waiting) and self._task and not self._task.done():
            await self.flush(LAST_TRY)
        self._ended = True
        await end(self._task)

    async def flush(self, timeout: float) -> bool:  # noqa: ASYNC109 - running out of time is an answer here, no error
        """Wait until what is committed by now has been delivered; False if that takes longer than `timeout` seconds."""
        delivered = asyncio.get_running_loop().create_future()
        self._waiting.append(delivered)
        self._news.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await delivered
        return delivered.done() and not delivered.cancelled()

    async def _run(self) -> None:
        outage = _Outage(self._topic)
        try:
            while True:
                self._news.clear()
                try:
                    await self._relay(await self._connected())
                except Exception as error:  # noqa: BLE001 - whatever it is, what is committed must be delivered in the end
                    if self._ended:  # a rollback on a dead connection has swallowed the cancellation
                        return
                    if not isinstance(error, _UndeliveredError):
                        self._hang_up()
                    urgent = any(not one.done() for one in self._waiting)  # an answer is held up
                    await outage.pause(error.__cause__ or error, self._news, urgent=urgent)
                else:
                    outage.over()
                    await _heard(self._news, POLL)
        finally:
            self._hang_up()

    async def _connected(self) -> "asyncpg.Connection[asyncpg.Record]":
        """The connection that hears of news; a new one after any failure but that of a delivery."""
        if self._connection is None:
            self._connection = await dial(self._dsn)
            await self._connection.add_listener(CHANNEL, lambda *_: self._news.set())
        return self._connection

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
        self._connection = None

    async def _relay(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        """Deliver all there is, and tell those who have waited for it since before it began."""
        waiting, self._waiting = self._waiting, []
        try:
            await self._drain(connection)
        except BaseException:
            self._waiting = [one for one in waiting if not one.done()] + self._waiting
            raise
        self._behind = False
        _tell(waiting)

    async def _drain(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        """Batch by batch until none is left, after whichever process is at it already."""
        full = True
        while full:
            async with connection.transaction():
                await connection.execute(_WAIT, LOCK, self._topic, timeout=HELD)
                rows = await connection.fetch(_TAKE, self._topic, self._batch)
                entries = [Entry(row[0], row[1], row[2].timestamp(), row[3]) for row in rows]
                if entries:
                    self._behind = True
                    self._oldest.set(max(0.0, time.time() - entries[0].posted_at))
                    later = await self._delivered(connection, entries)
                    await connection.execute(_DONE, [entry.id for entry in entries if entry.id not in later])
                    if later:
                        await connection.execute(_LATER, list(later))
                full = len(entries) == self._batch
        self._oldest.set(await connection.fetchval(_OLDEST, self._topic) or 0.0)

    async def _delivered(
        self, connection: "asyncpg.Connection[asyncpg.Record]", entries: Sequence[Entry]
    ) -> Collection[int]:
        try:
            return set(await self._deliver(connection, entries))
        except Exception as error:
            raise _UndeliveredError from error


class _UndeliveredError(Exception):
    """The delivery failed. Where this leaves the transaction, the connection has just taken a ROLLBACK: it is good."""


class _Outage:
    """Said when it begins and when it is over; its pauses grow from 20 ms to a second, or to 0.2 s where urgent."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._since: float | None = None
        self._upper = LEAST

    async def pause(self, error: BaseException, news: asyncio.Event, *, urgent: bool) -> None:
        """Wait for the next try, with jitter; news, as of somebody who waits, cuts it short."""
        if self._since is None:
            self._since = time.monotonic()
            _log.warning("outbox waits", topic=self._topic, error=type(error).__name__)
        upper = min(self._upper, URGENT) if urgent else self._upper
        await asyncio.sleep(LEAST)
        await _heard(news, random.uniform(upper / 2, upper) - LEAST)  # noqa: S311 - no secret
        self._upper = min(MOST, upper * 2)

    def over(self) -> None:
        """A try has succeeded."""
        if self._since is not None:
            _log.info("outbox goes on", topic=self._topic, seconds=round(time.monotonic() - self._since, 1))
        self._since, self._upper = None, LEAST


async def _heard(news: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await news.wait()


def _tell(waiting: Sequence[asyncio.Future[None]]) -> None:
    for future in waiting:
        if not future.done():
            future.set_result(None)
