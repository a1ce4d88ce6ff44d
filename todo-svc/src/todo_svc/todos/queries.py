"""Reading todos: one statement each, straight from asyncpg."""

from collections.abc import Sequence
from operator import attrgetter
from typing import Any
from uuid import UUID

from common.database import Statements
from common.dto import Page
from common.errors import NotFound
from common.http.etag import Tagged, Tags, has, page_tag, version_tag
from common.http.paging import Keyset
from common.sql import Owned, clocked, confined, owned
from todo_svc.todos.filters import POSITION, RELEVANCE, TodoFilters, Window, order_of
from todo_svc.todos.schemas import RANKS, Todo
from todo_svc.todos.search import Search

__all__ = ["COLUMNS", "ONE", "POSITION", "TodoQueries", "existing", "todo_of"]

COLUMNS = (
    "id, list_id, content, description, priority, due_at, completed_at, position, created_at, updated_at, version,"
    " labels"
)
CREATED = order_of("created_at")

ONE = confined(f"SELECT {COLUMNS} FROM todos WHERE {owned()} AND deleted_at IS NULL AND id = $2 LIMIT 1")  # noqa: S608 - no value is in the text
_VERSION = confined(f"SELECT version FROM todos WHERE {owned()} AND deleted_at IS NULL AND id = $2 LIMIT 1")  # noqa: S608 - no value is in the text


class TodoQueries:
    """The owner's todos."""

    def __init__(self, database: Statements, owner: UUID) -> None:
        self._database = database
        self._owner = owner

    async def page(
        self, filters: TodoFilters, window: Window, list_id: UUID | None = None, seen: Tags | None = None
    ) -> Tagged[Page[Todo]]:
        """A page of todos, of one list or of all; without a look at them if the reader has `seen` it."""
        wanted = Owned(self._owner, lateral=True)
        wanted.unless(seen)
        if list_id is not None:
            wanted.where("list_id = {}", list_id)
        filters.narrow(wanted)
        order = window.order or (RELEVANCE if filters.search else CREATED)
        statement = _statement(filters, window, wanted, order)
        rows = await self._database.rows(clocked(statement), *wanted.arguments)
        tag = page_tag(self._owner, rows[0]["clock"])
        if has(seen, tag):
            return Tagged(tag, None)
        return Tagged(tag, _page(rows, window.limit, order))

    async def tagged(self, todo_id: UUID, seen: Tags | None) -> Tagged[Todo]:
        """One todo with its tag; only that is read if the reader has `seen` it.

        Raises:
            NotFound: the owner has no such todo.

        """
        if seen is not None:
            row = await self._database.row(_VERSION, self._owner, todo_id)
            if row is not None and has(seen, tag := version_tag(row["version"])):
                return Tagged(tag, None)
        todo = await self.one(todo_id)
        return Tagged(version_tag(todo.version), todo)

    async def one(self, todo_id: UUID) -> Todo:
        """One todo.

        Raises:
            NotFound: the owner has no such todo.

        """
        return existing(await self._database.row(ONE, self._owner, todo_id))


def existing(row: Any) -> Todo:
    """The todo of a row, or the 404 that says nothing about other people's."""
    if row is None:
        raise missing()
    return todo_of(row)


def todo_of(row: Any) -> Todo:
    """The todo of a row of `COLUMNS`."""
    completed_at = row[6]
    return Todo(
        row[0], row[1], row[2], row[3], RANKS[row[4] - 1], row[5], completed_at is not None, completed_at, *row[7:]
    )


def _statement(filters: TodoFilters, window: Window, wanted: Owned, order: Keyset) -> str:
    """What is lateral to the owner's clock; each row has its class in front, which only a search tells apart."""
    limit, position = window.limit + 1, order.position(window.cursor)
    if order is RELEVANCE:
        return Search(filters, wanted, COLUMNS, limit).ranked(position)
    wanted.after(order, position)
    if filters.search or filters.labels:
        return Search(filters, wanted, COLUMNS, limit).ordered(order)
    return (
        f"SELECT 0 AS class, {COLUMNS} FROM todos WHERE {wanted.conditions} AND deleted_at IS NULL "  # noqa: S608 - no value is in the text
        f"ORDER BY {order.clause} LIMIT {wanted.bind(limit)}"
    )


def _page(rows: Sequence[Any], limit: int, order: Keyset) -> Page[Todo]:
    value = attrgetter(order.column)
    found = [(row["class"], todo_of(row[2:])) for row in rows if row["id"] is not None]

    def key(item: tuple[int, Todo]) -> tuple[Any, UUID]:
        rank, todo = item
        place = (rank, todo.created_at) if order is RELEVANCE else _sortable(value(todo))
        return place, todo.id

    page = order.page(found, limit, key)
    return Page([todo for _, todo in page.items], page.next_cursor)


def _sortable(value: Any) -> Any:
    """What a cursor keeps of a value: a priority's rank, anything else as it is."""
    return value.rank if hasattr(value, "rank") else value


def missing() -> NotFound:
    """It is not there, or somebody else's."""
    return NotFound("there is no such todo", code="TODO_NOT_FOUND")
