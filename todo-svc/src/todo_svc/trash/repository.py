"""Taking back what was deleted."""

from typing import Any
from uuid import UUID

import asyncpg

from common.database import Statements, Transactions
from common.errors import Conflict, NotFound
from todo_svc.lists import queries as lists
from todo_svc.lists.repository import taken
from todo_svc.todos import queries as todos
from todo_svc.trash.schemas import Restored

_LOCK = "SELECT id FROM lists WHERE owner_id = $1 AND id = $2 AND deleted_at IS NOT NULL FOR UPDATE"
_LIST = f"""
UPDATE lists SET deleted_at = NULL, version = version + 1, updated_at = now() WHERE owner_id = $1 AND id = $2
RETURNING {lists.COLUMNS}
"""  # noqa: S608 - no value is in the text
_LOCK_TODOS = """
WITH locked AS (
    SELECT id FROM todos WHERE owner_id = $1 AND list_id = $2 AND deleted_with = $2 ORDER BY id FOR NO KEY UPDATE
)
SELECT count(*) FROM locked
"""
_TODOS = """
UPDATE todos SET deleted_at = NULL, deleted_with = NULL, version = version + 1, updated_at = now()
WHERE owner_id = $1 AND list_id = $2 AND deleted_with = $2
"""
_LIST_OF = "SELECT list_id FROM todos WHERE owner_id = $1 AND id = $2 AND deleted_at IS NOT NULL"
_TODO = f"""
UPDATE todos SET deleted_at = NULL, deleted_with = NULL, version = version + 1, updated_at = now()
WHERE owner_id = $1 AND id = $2 AND deleted_at IS NOT NULL RETURNING {todos.COLUMNS}
"""  # noqa: S608 - no value is in the text


class TrashRepository:
    """The owner's trash."""

    def __init__(self, database: Transactions, owner: UUID) -> None:
        self._database = database
        self._owner = owner

    async def restore(self, row_id: UUID) -> Restored:
        """Take a list with the todos that went with it out of the trash, or a todo.

        Raises:
            NotFound: it is not in the owner's trash.
            Conflict: the list's title was given to another meanwhile, or the todo's list is in the trash itself.

        """
        try:
            async with self._database.owned(self._owner) as transaction:
                if await transaction.row(_LOCK, self._owner, row_id):
                    return Restored("list", list=await self._list(transaction, row_id))
                return Restored("todo", todo=await self._todo(transaction, row_id))
        except asyncpg.UniqueViolationError:
            raise taken() from None

    async def _list(self, transaction: Statements, list_id: UUID) -> Any:
        """The title is claimed while the owner's clock is free: whoever is claiming it too may be waiting for that."""
        await transaction.rows(_LOCK_TODOS, self._owner, list_id)
        restored = lists.existing(await transaction.row(_LIST, self._owner, list_id))
        await transaction.rows(_TODOS, self._owner, list_id)
        return restored

    async def _todo(self, transaction: Statements, todo_id: UUID) -> Any:
        row = await transaction.row(_LIST_OF, self._owner, todo_id)
        if row is None:
            raise _not_there()
        if await transaction.row(lists.LOCK + "KEY SHARE", self._owner, row["list_id"]) is None:
            raise Conflict("its list is in the trash; restore that", code="LIST_IN_TRASH")
        row = await transaction.row(_TODO, self._owner, todo_id)
        if row is None:  # somebody was faster
            raise _not_there()
        return todos.existing(row)


def _not_there() -> NotFound:
    return NotFound("there is no such thing in the trash", code="NOT_IN_TRASH")
