"""Reading todos: one statement each, straight from asyncpg."""

from collections.abc import Sequence
from operator import attrgetter
from typing import Any
from uuid import UUID

from common.database import Statements
from common.dto import Page
from common.errors import NotFound
from common.sql import ME, Owned, confined, owned
from todo_svc.todos.filters import POSITION, TodoFilters, Window
from todo_svc.todos.schemas import RANKS, Todo

__all__ = ["COLUMNS", "POSITION", "TodoQueries", "existing"]

COLUMNS = (
    "id, list_id, content, description, priority, due_at, completed_at, position, created_at, updated_at, version,"
    " labels"
)

_ONE = confined(f"SELECT {COLUMNS} FROM todos WHERE {owned()} AND deleted_at IS NULL AND id = $2 LIMIT 1")  # noqa: S608 - no value is in the text
_FIRST = f"""
SELECT found.* FROM {ME} CROSS JOIN LATERAL unnest($2::uuid[]) AS wanted (list_id) CROSS JOIN LATERAL (
    SELECT {COLUMNS} FROM todos
    WHERE {owned()} AND deleted_at IS NULL AND todos.list_id = wanted.list_id ORDER BY position, id LIMIT $3
) AS found
"""  # noqa: S608 - no value is in the text


class TodoQueries:
    """The owner's todos."""

    def __init__(self, database: Statements, owner: UUID) -> None:
        self._database = database
        self._owner = owner

    async def page(self, filters: TodoFilters, window: Window, list_id: UUID | None = None) -> Page[Todo]:
        """A page of todos, of one list or of all."""
        order = window.order
        wanted = Owned(self._owner, lateral=True)
        if list_id is not None:
            wanted.where("list_id = {}", list_id)
        filters.narrow(wanted)
        wanted.after(order, order.position(window.cursor))
        rows = await self._database.rows(
            confined(
                f"SELECT {COLUMNS} FROM todos WHERE {wanted.conditions} AND deleted_at IS NULL "  # noqa: S608 - no value is in the text
                f"ORDER BY {order.clause} LIMIT {wanted.bind(window.limit + 1)}"
            ),
            *wanted.arguments,
        )
        value = attrgetter(order.column)
        todos = [_todo(row) for row in rows]
        return order.page(todos, window.limit, lambda todo: (_sortable(value(todo)), todo.id))

    async def one(self, todo_id: UUID) -> Todo:
        """One todo.

        Raises:
            NotFound: the owner has no such todo.

        """
        return existing(await self._database.row(_ONE, self._owner, todo_id))

    async def first_of(self, lists: Sequence[UUID], limit: int) -> dict[UUID, list[Todo]]:
        """The first todos of each list, by position."""
        todos: dict[UUID, list[Todo]] = {list_id: [] for list_id in lists}
        for row in await self._database.rows(_FIRST, self._owner, list(lists), limit):
            todos[row["list_id"]].append(_todo(row))
        return todos


def existing(row: Any) -> Todo:
    """The todo of a row, or the 404 that says nothing about other people's."""
    if row is None:
        raise NotFound("there is no such todo", code="TODO_NOT_FOUND")
    return _todo(row)


def _todo(row: Any) -> Todo:
    completed_at = row[6]
    return Todo(
        row[0], row[1], row[2], row[3], RANKS[row[4] - 1], row[5], completed_at is not None, completed_at, *row[7:]
    )


def _sortable(value: Any) -> Any:
    """What a cursor keeps of a value: a priority's rank, anything else as it is."""
    return value.rank if hasattr(value, "rank") else value
