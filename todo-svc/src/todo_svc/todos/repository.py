"""Changing todos: each change is one statement wherever it can be, and all or nothing where it cannot."""

from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg
import msgspec
from uuid_utils.compat import uuid7

from common.database import Statements, Transactions
from common.dto import FieldError
from common.errors import PreconditionFailed, ServiceError, Unprocessable
from common.http.etag import Tags, require, version_tag
from common.http.strict import within_reason
from common.sql import ME, Owned, owned
from todo_svc.lists import queries as lists
from todo_svc.retention import DUE, KEPT
from todo_svc.todos import ordering
from todo_svc.todos.ordering import GAP, Wish
from todo_svc.todos.queries import COLUMNS, TodoQueries, existing, missing
from todo_svc.todos.schemas import CreateTodo, Todo, UpdateTodo
from todo_svc.turns import TURN, turn

_PLACES: Final = ("position", "before", "after")

_END = f"last_position($1, {{}}) + {GAP}"
# The statement has begun before its turn came: the lock looks at the list again, and the function at where it ends.
INSERT = f"""
INSERT INTO todos (owner_id, id, list_id, content, description, priority, due_at, labels, position)
SELECT $1, $2, l.id, $4, $5, $6, $7, $8, {_END.format("l.id")} FROM {ME} CROSS JOIN LATERAL {TURN}
CROSS JOIN LATERAL (
    SELECT id FROM lists WHERE {owned()} AND turn.seq >= 0 AND id = $3 AND deleted_at IS NULL LIMIT 1 FOR SHARE
) AS l
RETURNING {COLUMNS}
"""  # noqa: S608 - no value is in the text
_DELETE = f"""
WITH gone AS (
    UPDATE todos SET deleted_at = now(), version = version + 1
    WHERE owner_id = $1 AND id = $2 AND deleted_at IS NULL AND ($4::int[] IS NULL OR version = ANY($4))
    RETURNING id
)
{DUE.format("$3")} FROM gone WHERE owner_id = $1 RETURNING gone.id
"""  # noqa: S608 - no value is in the text
_LIST_OF = "SELECT list_id FROM todos WHERE owner_id = $1 AND id = $2 AND deleted_at IS NULL"


class TodoRepository:
    """The owner's todos; what is deleted stays in the trash for so long."""

    def __init__(self, database: Transactions, owner: UUID, *, kept: timedelta = KEPT) -> None:
        self._database = database
        self._owner = owner
        self._kept = kept

    async def create(self, list_id: UUID, new: CreateTodo) -> Todo:
        """Put a todo at the end of a list.

        Raises:
            NotFound: the owner has no such list.

        """
        due_at = new.due_at and within_reason(new.due_at, "body.due_at")
        values = new.content, new.description, new.priority.rank, due_at, _unique(new.labels)
        try:
            row = await self._database.row(INSERT, self._owner, uuid7(), list_id, *values)
        except asyncpg.ForeignKeyViolationError:  # the list was purged meanwhile
            row = None
        if row is None:
            raise lists.missing()
        return existing(row)

    async def update(self, todo_id: UUID, change: UpdateTodo, if_match: Tags | None = None) -> Todo:
        """Change what is given; an empty change changes nothing.

        Raises:
            NotFound: the owner has no such todo, or no such list to move it to.
            Unprocessable: it cannot stand at the place that is asked for.
            PreconditionFailed: it is in another state.

        """
        given = _given(change)
        if not given:
            todo = await TodoQueries(self._database, self._owner).one(todo_id)
            require(if_match, version_tag(todo.version), todo)
            return todo
        async with turn(self._database, self._owner) as transaction:
            await self._settle(transaction, todo_id, given)
            row = await transaction.row(*_update(self._owner, todo_id, given, if_match))
            if row is None:
                raise await self._refusal(transaction, todo_id, if_match)
        return existing(row)

    async def delete(self, todo_id: UUID, if_match: Tags | None = None) -> None:
        """Put a todo into the trash.

        Raises:
            NotFound: the owner has no such todo.
            PreconditionFailed: it is in another state.

        """
        versions = if_match and if_match.versions
        async with turn(self._database, self._owner) as transaction:
            if await transaction.row(_DELETE, self._owner, todo_id, self._kept, versions) is None:
                raise await self._refusal(transaction, todo_id, if_match)

    async def _settle(self, transaction: Statements, todo_id: UUID, given: dict[str, Any]) -> None:
        """See that the list it is to stand in is there, and turn its place there into a position."""
        side = next((name for name in _PLACES if name in given), None)
        list_id: Any = given.get("list_id")
        if list_id is not None:
            if await transaction.row(lists.ALIVE, self._owner, list_id) is None:
                raise lists.missing()
        elif side:
            row = await transaction.row(_LIST_OF, self._owner, todo_id)
            if row is None:
                raise missing()
            list_id = row["list_id"]
        if side:
            wish = Wish(todo_id=todo_id, list_id=list_id, side=side, anchor=given.pop(side))
            given["position"] = await ordering.place(transaction, self._owner, wish)

    async def _refusal(self, transaction: Statements, todo_id: UUID, if_match: Tags | None) -> ServiceError:
        """Why no row was changed: it was not there, whatever has come since, or it is in another state."""
        if if_match is None or if_match.anything:
            return missing()
        todo = await TodoQueries(transaction, self._owner).one(todo_id)
        return PreconditionFailed(version_tag(todo.version), todo)


def _given(change: UpdateTodo) -> dict[str, Any]:
    """The fields that are there, in the order of the struct.

    Raises:
        Unprocessable: more than one says where it is to stand.

    """
    every = {name: getattr(change, name) for name in UpdateTodo.__struct_fields__}
    given = {name: value for name, value in every.items() if value is not msgspec.UNSET}
    places = [name for name in _PLACES if name in given]
    if len(places) > 1:
        errors = [FieldError(f"body.{name}", f"only one of {', '.join(_PLACES)}") for name in places]
        raise Unprocessable("it can stand at one place only", errors=errors)
    return given


def _update(owner: UUID, todo_id: UUID, given: dict[str, Any], if_match: Tags | None) -> tuple[Any, ...]:
    """The statement and its arguments; PostgreSQL decides which of several with one tag is first."""
    wanted = Owned(owner)
    assignments = [_assignment(wanted, name, value) for name, value in given.items()]
    if "list_id" in given and "position" not in given:
        assignments.append(_to_the_end(wanted, given["list_id"]))
    wanted.where("id = {}", todo_id)
    if if_match is not None and if_match.versions is not None:
        wanted.where("version = ANY({}::int[])", if_match.versions)
    statement = (
        f"UPDATE todos SET {', '.join(assignments)}, version = version + 1, updated_at = now() "  # noqa: S608
        f"WHERE {wanted.conditions} AND deleted_at IS NULL RETURNING {COLUMNS}"
    )
    return statement, *wanted.arguments


def _assignment(owned: Owned, name: str, value: Any) -> str:
    match name:
        case "completed":
            return f"completed_at = {'coalesce(completed_at, now())' if value else 'NULL'}"
        case "priority":
            return f"priority = {owned.bind(value.rank)}"
        case "labels":
            return f"labels = {owned.bind(_unique(value))}"
        case "due_at" if value is not None:
            return f"due_at = {owned.bind(within_reason(value, 'body.due_at'))}"
        case _:
            return f"{name} = {owned.bind(value)}"


def _to_the_end(owned: Owned, list_id: UUID) -> str:
    """A todo that comes from another list goes behind the others."""
    target = owned.bind(list_id)
    return f"position = CASE WHEN list_id = {target} THEN position ELSE {_END.format(target)} END"


def _unique(labels: list[str]) -> list[str]:
    return list(dict.fromkeys(labels))
