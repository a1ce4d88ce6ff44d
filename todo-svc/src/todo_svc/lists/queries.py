"""Reading lists: one statement each, straight from asyncpg."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from common.database import Statements
from common.dto import Page
from common.errors import NotFound
from common.http.etag import Tagged, Tags, has, page_tag, version_tag
from common.http.paging import MAXIMUM, Keyset
from common.sql import Owned, at_most, clocked, confined, owned
from todo_svc.lists.schemas import TodoList
from todo_svc.todos.filters import TodoFilters, Window
from todo_svc.todos.queries import COLUMNS as TODO_COLUMNS
from todo_svc.todos.queries import POSITION, TodoQueries, todo_of
from todo_svc.todos.schemas import Todo

COLUMNS = "id, title, description, created_at, updated_at, version"
_ONE = confined(f"SELECT {COLUMNS} FROM lists WHERE {owned()} AND id = $2 AND deleted_at IS NULL LIMIT 1")  # noqa: S608 - no value is in the text
_VERSION = confined(f"SELECT version FROM lists WHERE {owned()} AND id = $2 AND deleted_at IS NULL LIMIT 1")  # noqa: S608 - no value is in the text
ALIVE = "SELECT id FROM lists WHERE owner_id = $1 AND id = $2 AND deleted_at IS NULL"
CREATED = Keyset(name="created_at", column="created_at", kind=datetime, sql_type="timestamptz")


class ListQueries:
    """The owner's lists."""

    def __init__(self, database: Statements, owner: UUID) -> None:
        self._database = database
        self._owner = owner

    async def page(
        self, limit: int, cursor: str | None, *, nested: bool, seen: Tags | None = None
    ) -> Tagged[Page[TodoList]]:
        """A page of lists, in the order they were made; without a look at them if the reader has `seen` it."""
        wanted = Owned(self._owner, lateral=True)
        wanted.unless(seen)
        wanted.after(CREATED, CREATED.position(cursor))
        rows = await self._database.rows(
            clocked(
                f"SELECT {_columns(nested=nested)} FROM lists WHERE {wanted.conditions} AND deleted_at IS NULL "  # noqa: S608 - no value is in the text
                f"ORDER BY {CREATED.clause} LIMIT {wanted.bind(limit + 1)}"
            ),
            *wanted.arguments,
        )
        tag = page_tag(self._owner, rows[0]["clock"])
        if has(seen, tag):
            return Tagged(tag, None)
        lists = [_list(row[1:]) for row in rows if row["id"] is not None]
        return Tagged(tag, CREATED.page(lists, limit, lambda item: (item.created_at, item.id)))

    async def nested(self, list_id: UUID, seen: Tags | None) -> Tagged[TodoList]:
        """One list with its todos; if the reader has `seen` them, only whether it is there is read.

        Raises:
            NotFound: the owner has no such list.

        """
        wanted = Owned(self._owner, lateral=True)
        wanted.unless(seen)
        wanted.where("id = {}", list_id)
        statement = (
            f"SELECT {_columns(nested=True)} FROM lists WHERE {wanted.conditions} AND deleted_at IS NULL LIMIT 1"  # noqa: S608
        )
        [row] = await self._database.rows(clocked(statement), *wanted.arguments)
        tag = page_tag(self._owner, row["clock"])
        if has(seen, tag):
            await self.one(list_id)
            return Tagged(tag, None)
        return Tagged(tag, existing(row[1:] if row["id"] is not None else None))

    async def tagged(self, list_id: UUID, seen: Tags | None) -> Tagged[TodoList]:
        """One list with its tag; only that is read if the reader has `seen` it.

        Raises:
            NotFound: the owner has no such list.

        """
        if seen is not None:
            row = await self._database.row(_VERSION, self._owner, list_id)
            if row is not None and has(seen, tag := version_tag(row["version"])):
                return Tagged(tag, None)
        item = await self.one(list_id)
        return Tagged(version_tag(item.version), item)

    async def todos(self, list_id: UUID, filters: TodoFilters, window: Window, seen: Tags | None) -> Tagged[Page[Todo]]:
        """A page of a list's todos; whether the list is there is only asked where none are seen.

        Raises:
            NotFound: the owner has no such list.

        """
        page = await TodoQueries(self._database, self._owner).page(filters, window, list_id, seen)
        if page.content is None or not page.content.items:
            await self.one(list_id)
        return page

    async def one(self, list_id: UUID) -> TodoList:
        """One list.

        Raises:
            NotFound: the owner has no such list.

        """
        return existing(await self._database.row(_ONE, self._owner, list_id))


def existing(row: Any) -> TodoList:
    """The list of a row, or the 404 that says nothing about other people's."""
    if row is None:
        raise missing()
    return _list(row)


def _columns(*, nested: bool) -> str:
    """A list's columns, and its first todos in one more, so that all is of one moment."""
    if not nested:
        return COLUMNS
    return f"""{COLUMNS}, ARRAY(
        SELECT ROW({TODO_COLUMNS}) FROM todos
        WHERE {owned("todos.")} AND list_id = lists.id AND deleted_at IS NULL
        ORDER BY position, id {at_most(MAXIMUM + 1)}
    ) AS todos"""  # noqa: S608 - no value is in the text


def _list(row: Any) -> TodoList:
    item = TodoList(*row[:6])
    if len(row) == len(COLUMNS.split(",")):
        return item
    page = POSITION.page([todo_of(todo) for todo in row[6]], MAXIMUM, lambda todo: (todo.position, todo.id))
    return msgspec.structs.replace(item, todos=page.items, todos_next_cursor=page.next_cursor)


def missing() -> NotFound:
    """It is not there, or somebody else's."""
    return NotFound("there is no such list", code="LIST_NOT_FOUND")
