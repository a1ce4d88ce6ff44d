"""Changing lists: each change is one statement wherever it can be, and all or nothing where it cannot."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
from uuid_utils.compat import uuid7

from common.database import Statements, Transactions
from common.errors import Conflict, PreconditionFailed, ServiceError
from common.http.etag import Tags, require, version_tag
from common.sql import ME, Owned
from todo_svc.batches import in_batches
from todo_svc.erasure import refusing_erased
from todo_svc.lists.queries import COLUMNS, ListQueries, existing, missing
from todo_svc.lists.schemas import CreateList, TodoList, UpdateList
from todo_svc.retention import DUE, KEPT
from todo_svc.turns import TURN, turn

_INSERT = f"""
INSERT INTO lists (owner_id, id, title, description)
SELECT $1, $2, $3, $4 FROM {ME} LEFT JOIN LATERAL {TURN} ON true WHERE me.owner IS NOT NULL
RETURNING {COLUMNS}
"""  # noqa: S608 - no value is in the text
_DELETE_TODOS = """
WITH gone AS (
    UPDATE todos SET deleted_at = now(), deleted_with = $2, version = version + 1
    WHERE owner_id = $1 AND id = ANY(ARRAY(
        SELECT id FROM todos WHERE owner_id = $1 AND list_id = $2 AND deleted_at IS NULL LIMIT $3
    )) RETURNING 1
)
SELECT count(*) FROM gone
"""
_DELETE = f"""
WITH gone AS (
    UPDATE lists SET deleted_at = now(), version = version + 1
    WHERE owner_id = $1 AND id = $2 AND deleted_at IS NULL AND ($4::int[] IS NULL OR version = ANY($4)) RETURNING id
)
{DUE.format("$3")} FROM gone WHERE owner_id = $1 RETURNING gone.id
"""  # noqa: S608 - no value is in the text


class ListRepository:
    """The owner's lists; what is deleted stays in the trash for so long."""

    def __init__(self, database: Transactions, owner: UUID, *, kept: timedelta = KEPT) -> None:
        self._database = database
        self._owner = owner
        self._kept = kept

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
            raise taken() from None
        return existing(row)

    async def update(self, list_id: UUID, change: UpdateList, if_match: Tags | None = None) -> TodoList:
        """Change what is given; an empty change changes nothing.

        Raises:
            NotFound: the owner has no such list.
            Conflict: the owner has another of this title.
            PreconditionFailed: it is in another state.

        """
        changes = {name: value for name, value in msgspec.structs.asdict(change).items() if value is not msgspec.UNSET}
        if not changes:
            item = await ListQueries(self._database, self._owner).one(list_id)
            require(if_match, version_tag(item.version), item)
            return item
        try:
            async with turn(self._database, self._owner) as transaction:
                row = await transaction.row(*_update(self._owner, list_id, changes, if_match))
                if row is None:
                    raise await self._refusal(transaction, list_id, if_match)
        except asyncpg.UniqueViolationError:
            raise taken() from None
        return existing(row)

    async def delete(self, list_id: UUID, if_match: Tags | None = None) -> None:
        """Put a list with its todos into the trash.

        Raises:
            NotFound: the owner has no such list.
            PreconditionFailed: it is in another state.

        """
        versions = if_match and if_match.versions
        async with turn(self._database, self._owner) as transaction:
            if await transaction.row(_DELETE, self._owner, list_id, self._kept, versions) is None:
                raise await self._refusal(transaction, list_id, if_match)
            await in_batches(transaction, _DELETE_TODOS, self._owner, list_id)

    async def _refusal(self, transaction: Statements, list_id: UUID, if_match: Tags | None) -> ServiceError:
        """Why no row was changed: it was not there, whatever has come since, or it is in another state."""
        if if_match is None or if_match.anything:
            return missing()
        item = await ListQueries(transaction, self._owner).one(list_id)
        return PreconditionFailed(version_tag(item.version), item)


def taken() -> Conflict:
    """Of two lists with one title the second is refused."""
    return Conflict("another list has this title", code="LIST_TITLE_TAKEN")


def _update(owner: UUID, list_id: UUID, changes: dict[str, Any], if_match: Tags | None) -> tuple[Any, ...]:
    """The statement and its arguments; PostgreSQL decides which of several with one tag is first."""
    wanted = Owned(owner)
    assignments = ", ".join(f"{name} = {wanted.bind(value)}" for name, value in changes.items())
    wanted.where("id = {}", list_id)
    if if_match is not None and if_match.versions is not None:
        wanted.where("version = ANY({}::int[])", if_match.versions)
    statement = (
        f"UPDATE lists SET {assignments}, version = version + 1, updated_at = now() "  # noqa: S608
        f"WHERE {wanted.conditions} AND deleted_at IS NULL RETURNING {COLUMNS}"
    )
    return statement, *wanted.arguments
