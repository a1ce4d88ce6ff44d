"""Housekeeping: what lay in the trash for its time goes, and keys that nobody will repeat any more."""

from datetime import timedelta
from typing import Final
from uuid import UUID

from common.database import Database, Transaction
from common.housekeeping import Sweeper
from common.idempotency import FORGET
from todo_svc.retention import KEPT
from todo_svc.turns import turn

BATCH: Final = 500  # rows that one transaction removes

_DUE = "SELECT owner_id FROM owners WHERE purge_at < now() AND owner_id <> ALL($2) ORDER BY purge_at LIMIT $1"
# What somebody else has, outside of the owner's turns, is left for the next time.
_TODOS = """
SELECT id FROM todos WHERE owner_id = $1 AND deleted_at < now() - $2::interval
ORDER BY id LIMIT $3 FOR UPDATE SKIP LOCKED
"""
_LISTS = """
SELECT id FROM lists WHERE owner_id = $1 AND deleted_at < now() - $2::interval
AND NOT EXISTS (SELECT FROM todos WHERE list_id = lists.id) ORDER BY id LIMIT $3 FOR UPDATE SKIP LOCKED
"""
_DELETE_TODOS = "DELETE FROM todos WHERE owner_id = $1 AND id = ANY($2)"
_DELETE_LISTS = "DELETE FROM lists WHERE owner_id = $1 AND id = ANY($2)"
_FORGET = """
WITH forgotten AS (DELETE FROM changes WHERE owner_id = $1 AND row_id = ANY($2) RETURNING seq)
SELECT coalesce(max(seq), 0) FROM forgotten
"""
_NEXT = """
UPDATE owners SET seq = seq + $4::boolean::int, horizon = greatest(horizon, $3), purge_at = $2::interval + least(
    (SELECT min(deleted_at) FROM lists WHERE owner_id = $1 AND deleted_at IS NOT NULL),
    (SELECT min(deleted_at) FROM todos WHERE owner_id = $1 AND deleted_at IS NOT NULL)
) WHERE owner_id = $1
"""


class Housekeeping(Sweeper):
    """Sweeps at start and every hour; processes that sweep at the same time take different rows."""

    def __init__(self, database: Database, *, kept: timedelta = KEPT) -> None:
        self._database = database
        self._kept = kept

    async def sweep(self) -> None:
        """Owner by owner, batch by batch, until nothing is left that is over."""
        swept: list[UUID] = []
        while owners := await self._database.rows(_DUE, BATCH, swept):
            for (owner,) in owners:
                while await self._purge(owner):
                    pass
                swept.append(owner)
        while len(await self._database.rows(FORGET, BATCH)) == BATCH:
            pass

    async def _purge(self, owner: UUID) -> bool:
        """Whether there may be more of this owner's."""
        async with turn(self._database, owner) as transaction:
            todos = await _ids(transaction, _TODOS, owner, self._kept)
            await transaction.rows(_DELETE_TODOS, owner, todos)
            lists = await _ids(transaction, _LISTS, owner, self._kept)
            await transaction.rows(_DELETE_LISTS, owner, lists)
            forgotten = await transaction.row(_FORGET, owner, [*todos, *lists])
            number = forgotten[0] if forgotten else 0
            await transaction.rows(_NEXT, owner, self._kept, number, bool(todos or lists))
        return BATCH in (len(todos), len(lists))


async def _ids(transaction: Transaction, statement: str, owner: UUID, kept: timedelta) -> list[UUID]:
    return [row[0] for row in await transaction.rows(statement, owner, kept, BATCH)]
