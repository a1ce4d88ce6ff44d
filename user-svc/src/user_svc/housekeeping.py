"""Housekeeping: what has been over for long is removed from PostgreSQL, a little at a time."""

from typing import Final

from common.database import Database
from common.housekeeping import Sweeper
from common.idempotency import FORGET

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
    FORGET,
)


class Housekeeping(Sweeper):
    """Sweeps at start and every hour; processes that sweep at the same time take different rows."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def sweep(self) -> None:
        """Batch by batch, until nothing is left that is over."""
        for statement in SWEEPS:
            full = True
            while full:
                full = len(await self._database.rows(statement, BATCH)) == BATCH
