"""Changing lists: each change is one statement, whole in itself."""

from uuid import UUID

import asyncpg
import msgspec
from uuid_utils.compat import uuid7

from common.database import Transactions
from common.errors import Conflict, NotFound
from common.sql import ME, Owned
from todo_svc.erasure import refusing_erased
from todo_svc.lists.queries import COLUMNS, ListQueries, existing
from todo_svc.lists.schemas import CreateList, TodoList, UpdateList

_INSERT = f"""
INSERT INTO lists (owner_id, id, title, description) SELECT $1, $2, $3, $4 FROM {ME} WHERE me.owner IS NOT NULL
RETURNING {COLUMNS}
"""  # noqa: S608 - no value is in the text
_DELETE = """
UPDATE lists SET deleted_at = now(), version = version + 1 WHERE owner_id = $1 AND id = $2 AND deleted_at IS NULL
RETURNING id
"""
_DELETE_TODOS = """
UPDATE todos SET deleted_at = now(), deleted_with = $2, version = version + 1
WHERE owner_id = $1 AND list_id = $2 AND deleted_at IS NULL
"""


class ListRepository:
    """The owner's lists."""

    def __init__(self, database: Transactions, owner: UUID) -> None:
        self._database = database
        self._owner = owner
        self._queries = ListQueries(database, owner)

    async def create(self, new: CreateList) -> TodoList:
        """Make a list.

        Raises:
            Conflict: the owner has one of this title.
            InvalidToken: the owner's account was deleted.

        """
        try:
            with refusing_erased():
                row = await self._database.row(_INSERT, self._owner, uuid7(), new.title, new.description)
        except asyncpg.UniqueViolationError:
            raise _taken() from None
        return existing(row)

    async def update(self, list_id: UUID, change: UpdateList) -> TodoList:
        """Change what is given; an empty change changes nothing.

        Raises:
            NotFound: the owner has no such list.
            Conflict: the owner has another of this title.

        """
        changes = {name: value for name, value in msgspec.structs.asdict(change).items() if value is not msgspec.UNSET}
        if not changes:
            return await self._queries.one(list_id)
        wanted = Owned(self._owner)
        assignments = ", ".join(f"{name} = {wanted.bind(value)}" for name, value in changes.items())
        wanted.where("id = {}", list_id)
        try:
            async with self._database.owned(self._owner) as transaction:
                row = await transaction.row(
                    f"UPDATE lists SET {assignments}, version = version + 1, updated_at = now() "  # noqa: S608
                    f"WHERE {wanted.conditions} AND deleted_at IS NULL RETURNING {COLUMNS}",
                    *wanted.arguments,
                )
        except asyncpg.UniqueViolationError:
            raise _taken() from None
        return existing(row)

    async def delete(self, list_id: UUID) -> None:
        """Remove a list with its todos.

        Raises:
            NotFound: the owner has no such list.

        """
        async with self._database.owned(self._owner) as transaction:
            row = await transaction.row(_DELETE, self._owner, list_id)
            await transaction.rows(_DELETE_TODOS, self._owner, list_id)
        if row is None:
            raise NotFound("there is no such list", code="LIST_NOT_FOUND")


def _taken() -> Conflict:
    return Conflict("another list has this title", code="LIST_TITLE_TAKEN")
