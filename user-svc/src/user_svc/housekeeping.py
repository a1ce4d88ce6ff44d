"""Housekeeping: what has been over for long is removed from PostgreSQL, a little at a time."""

import asyncio
from types import TracebackType
from typing import Final, Self

import structlog

from common.database import Database
from common.tasks import end

EVERY: Final = 3600.0  # seconds
BATCH: Final = 100  # rows, and what hangs on them, that one statement removes

# A session's refresh tokens go with it and not before: a used one that comes again must still end the session.
# Of the outbox mails alone may be dropped; nothing else that waits there is ever too late.
SWEEPS: Final = (
    """
    DELETE FROM sessions WHERE id IN (
        SELECT id FROM sessions WHERE least(expires_at, revoked_at) < now() - interval '1 day'
        LIMIT $1 FOR UPDATE SKIP LOCKED
    ) RETURNING 1
    """,
    """
    DELETE FROM outbox WHERE id IN (
        SELECT id FROM outbox WHERE topic = 'mail' AND created_at < now() - interval '2 days'
        LIMIT $1 FOR UPDATE SKIP LOCKED
    ) RETURNING 1
    """,
    """
    DELETE FROM idempotency_keys WHERE (scope, key) IN (
        SELECT scope, key FROM idempotency_keys WHERE created_at < now() - interval '24 hours'
        LIMIT $1 FOR UPDATE SKIP LOCKED
    ) RETURNING 1
    """,
)

_log = structlog.get_logger()


class Housekeeping:
    """Sweeps at start and every hour; processes that sweep at the same time take different rows."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="housekeeping")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await end(self._task)

    async def sweep(self) -> None:
        """Batch by batch, until nothing is left that is over."""
        for statement in SWEEPS:
            full = True
            while full:
                full = len(await self._database.rows(statement, BATCH)) == BATCH

    async def _run(self) -> None:
        while True:
            try:
                await self.sweep()
            except Exception as error:  # noqa: BLE001 - nobody would notice a broom that has broken
                _log.warning("not swept", error=type(error).__name__)
            await asyncio.sleep(EVERY)
