"""Changing lists: each change is one statement, whole in itself."""

from uuid import UUID

import asyncpg
import msgspec
from uuid_utils.compat import uuid7

from common.database import Database
from common.errors import Conflict, NotFound
from common.sql import Owned
from todo_svc.erasure import refusing_erased
from todo_svc.lists.queries import COLUMNS, ListQueries, existing
from todo_svc.lists.schemas import CreateList, TodoList, UpdateList

_INSERT = f"INSERT INTO lists (owner_id, id, title, description) VALUES ($1, $2, $3, $4) RETURNING {COLUMNS}"  # noqa: S608
_DELETE = "DELETE FROM lists WHERE owner_id = $1 AND id = $2 RETURNING id"


class ListRepository:
    """The owner's lists."""

    def __init__(self, database: Database, owner: UUID) -> None:
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
        owned = Owned(self._owner)
        assignments = ", ".join(f"{name} = {owned.bind(value)}" for name, value in changes.items())
        owned.where("id = {}", list_id)
        try:
            row = await self._database.row(
                f"UPDATE lists SET {assignments}, version = version + 1, updated_at = now() "  # noqa: S608
                f"WHERE {owned.conditions} RETURNING {COLUMNS}",
                *owned.arguments,
            )
        except asyncpg.UniqueViolationError:
            raise _taken() from None
        return existing(row)

    async def delete(self, list_id: UUID) -> None:
        """Remove a list with its todos.

        Raises:
            NotFound: the owner has no such list.

        """
        if await self._database.row(_DELETE, self._owner, list_id) is None:
            raise NotFound("there is no such list", code="LIST_NOT_FOUND")


def _taken() -> Conflict:
    return Conflict("another list has this title", code="LIST_TITLE_TAKEN")
