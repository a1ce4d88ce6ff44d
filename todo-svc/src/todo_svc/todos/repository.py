"""Changing todos: each change is one statement, whole in itself."""

from typing import Any, Final
from uuid import UUID

import asyncpg
import msgspec
from uuid_utils.compat import uuid7

from common.database import Transactions
from common.errors import NotFound
from common.http.strict import within_reason
from common.sql import ME, Owned, owned
from todo_svc.todos.queries import COLUMNS, TodoQueries, existing
from todo_svc.todos.schemas import CreateTodo, Todo, UpdateTodo

GAP: Final = 1024  # between positions, so that a todo can be put between two others

_END = f"""coalesce((
    SELECT max(o.position) FROM todos o WHERE o.owner_id = $1 AND o.list_id = {{}} AND o.deleted_at IS NULL
), 0) + {GAP}"""  # noqa: S608
_INSERT = f"""
INSERT INTO todos (owner_id, id, list_id, content, description, priority, due_at, position)
SELECT $1, $2, l.id, $4, $5, $6, $7, {_END.format("l.id")} FROM {ME} CROSS JOIN LATERAL (
    SELECT id FROM lists WHERE {owned()} AND id = $3 AND deleted_at IS NULL LIMIT 1 FOR KEY SHARE
) AS l
RETURNING {COLUMNS}
"""  # noqa: S608 - no value is in the text
_DELETE = """
UPDATE todos SET deleted_at = now(), version = version + 1 WHERE owner_id = $1 AND id = $2 AND deleted_at IS NULL
RETURNING id
"""


class TodoRepository:
    """The owner's todos."""

    def __init__(self, database: Transactions, owner: UUID) -> None:
        self._database = database
        self._owner = owner
        self._queries = TodoQueries(database, owner)

    async def create(self, list_id: UUID, new: CreateTodo) -> Todo:
        """Put a todo at the end of a list.

        Raises:
            NotFound: the owner has no such list.

        """
        due_at = new.due_at and within_reason(new.due_at, "body.due_at")
        try:
            row = await self._database.row(
                _INSERT, self._owner, uuid7(), list_id, new.content, new.description, new.priority.rank, due_at
            )
        except asyncpg.ForeignKeyViolationError:  # the list was deleted meanwhile
            row = None
        if row is None:
            raise _no_list()
        return existing(row)

    async def update(self, todo_id: UUID, change: UpdateTodo) -> Todo:
        """Change what is given; an empty change changes nothing.

        Raises:
            NotFound: the owner has no such todo, or no such list to move it to.

        """
        wanted = Owned(self._owner)
        assignments = _assignments(wanted, change)
        if not assignments:
            return await self._queries.one(todo_id)
        wanted.where("id = {}", todo_id)
        try:
            async with self._database.owned(self._owner) as transaction:
                row = await transaction.row(
                    f"UPDATE todos SET {', '.join(assignments)}, version = version + 1, updated_at = now() "  # noqa: S608
                    f"WHERE {wanted.conditions} AND deleted_at IS NULL RETURNING {COLUMNS}",
                    *wanted.arguments,
                )
        except asyncpg.ForeignKeyViolationError:
            raise _no_list() from None
        return existing(row)

    async def delete(self, todo_id: UUID) -> None:
        """Remove a todo.

        Raises:
            NotFound: the owner has no such todo.

        """
        async with self._database.owned(self._owner) as transaction:
            row = await transaction.row(_DELETE, self._owner, todo_id)
        if row is None:
            raise NotFound("there is no such todo", code="TODO_NOT_FOUND")


def _assignments(owned: Owned, change: UpdateTodo) -> list[str]:
    """What SET says, from the fields that are there."""
    given = {name: value for name, value in msgspec.structs.asdict(change).items() if value is not msgspec.UNSET}
    assignments = [_assignment(owned, name, value) for name, value in given.items()]
    if "list_id" in given and "position" not in given:
        assignments.append(_to_the_end(owned, given["list_id"]))
    return assignments


def _assignment(owned: Owned, name: str, value: Any) -> str:
    match name:
        case "completed":
            return f"completed_at = {'coalesce(completed_at, now())' if value else 'NULL'}"
        case "priority":
            return f"priority = {owned.bind(value.rank)}"
        case "due_at" if value is not None:
            return f"due_at = {owned.bind(within_reason(value, 'body.due_at'))}"
        case _:
            return f"{name} = {owned.bind(value)}"


def _to_the_end(owned: Owned, list_id: UUID) -> str:
    """A todo that comes from another list goes behind the others."""
    target = owned.bind(list_id)
    return f"position = CASE WHEN list_id = {target} THEN position ELSE {_END.format(target)} END"


def _no_list() -> NotFound:
    return NotFound("there is no such list", code="LIST_NOT_FOUND")
