"""Taking back what was deleted."""

from typing import Any
from uuid import UUID

import asyncpg

from common.database import Statements, Transactions
from common.errors import Conflict, NotFound
from todo_svc.batches import in_batches
from todo_svc.lists import queries as lists
from todo_svc.lists.repository import taken
from todo_svc.todos import queries as todos
from todo_svc.trash.schemas import Restored
from todo_svc.turns import turn

_LIST = f"""
UPDATE lists SET deleted_at = NULL, version = version + 1, updated_at = now()
WHERE owner_id = $1 AND id = $2 AND deleted_at IS NOT NULL RETURNING {lists.COLUMNS}
"""  # noqa: S608 - no value is in the text
_TODOS = """
WITH back AS (
    UPDATE todos SET deleted_at = NULL, deleted_with = NULL, version = version + 1, updated_at = now()
    WHERE owner_id = $1 AND id = ANY(ARRAY(
        SELECT id FROM todos WHERE owner_id = $1 AND list_id = $2 AND deleted_with = $2 LIMIT $3
    )) RETURNING 1
)
SELECT count(*) FROM back
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
            async with turn(self._database, self._owner) as transaction:
                if row := await transaction.row(_LIST, self._owner, row_id):
                    await in_batches(transaction, _TODOS, self._owner, row_id)
                    return Restored("list", list=lists.existing(row))
                return Restored("todo", todo=await self._todo(transaction, row_id))
        except asyncpg.UniqueViolationError:
            raise taken() from None

    async def _todo(self, transaction: Statements, todo_id: UUID) -> Any:
        row = await transaction.row(_LIST_OF, self._owner, todo_id)
        if row is None:
            raise NotFound("there is no such thing in the trash", code="NOT_IN_TRASH")
        if await transaction.row(lists.ALIVE, self._owner, row["list_id"]) is None:
            raise Conflict("its list is in the trash; restore that", code="LIST_IN_TRASH")
        return todos.existing(await transaction.row(_TODO, self._owner, todo_id))
