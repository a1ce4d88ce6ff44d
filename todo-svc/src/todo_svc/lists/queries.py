"""Reading lists: one statement each, straight from asyncpg."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from common.database import Statements
from common.dto import Page
from common.errors import NotFound
from common.http.paging import MAXIMUM, Keyset
from common.sql import Owned, confined, owned
from todo_svc.lists.schemas import TodoList
from todo_svc.todos.queries import POSITION, TodoQueries

COLUMNS = "id, title, description, created_at, updated_at, version"
_ONE = confined(f"SELECT {COLUMNS} FROM lists WHERE {owned()} AND id = $2 AND deleted_at IS NULL LIMIT 1")  # noqa: S608 - no value is in the text
CREATED = Keyset(name="created_at", column="created_at", kind=datetime, sql_type="timestamptz")


class ListQueries:
    """The owner's lists."""

    def __init__(self, database: Statements, owner: UUID) -> None:
        self._database = database
        self._owner = owner
        self._todos = TodoQueries(database, owner)

    async def page(self, limit: int, cursor: str | None, *, nested: bool) -> Page[TodoList]:
        """A page of lists, in the order they were made."""
        wanted = Owned(self._owner, lateral=True)
        wanted.after(CREATED, CREATED.position(cursor))
        rows = await self._database.rows(
            confined(
                f"SELECT {COLUMNS} FROM lists WHERE {wanted.conditions} AND deleted_at IS NULL "  # noqa: S608 - no value is in the text
                f"ORDER BY {CREATED.clause} LIMIT {wanted.bind(limit + 1)}"
            ),
            *wanted.arguments,
        )
        page = CREATED.page([TodoList(*row) for row in rows], limit, lambda item: (item.created_at, item.id))
        return Page(await self._with_todos(page.items), page.next_cursor) if nested else page

    async def one(self, list_id: UUID, *, nested: bool = False) -> TodoList:
        """One list.

        Raises:
            NotFound: the owner has no such list.

        """
        item = existing(await self._database.row(_ONE, self._owner, list_id))
        return (await self._with_todos([item]))[0] if nested else item

    async def _with_todos(self, lists: list[TodoList]) -> list[TodoList]:
        todos = await self._todos.first_of([item.id for item in lists], MAXIMUM + 1)
        nested = []
        for item in lists:
            page = POSITION.page(todos[item.id], MAXIMUM, lambda todo: (todo.position, todo.id))
            nested.append(msgspec.structs.replace(item, todos=page.items, todos_next_cursor=page.next_cursor))
        return nested


def existing(row: Any) -> TodoList:
    """The list of a row, or the 404 that says nothing about other people's."""
    if row is None:
        raise NotFound("there is no such list", code="LIST_NOT_FOUND")
    return TodoList(*row)
