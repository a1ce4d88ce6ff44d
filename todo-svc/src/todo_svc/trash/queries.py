"""Reading the trash: one statement, straight from asyncpg."""

from datetime import datetime, timedelta
from uuid import UUID

from common.database import Statements
from common.dto import Page
from common.http.paging import Keyset
from common.sql import Owned, confined
from todo_svc.retention import KEPT
from todo_svc.trash.schemas import Trashed

DELETED = Keyset(name="-deleted_at", column="deleted_at", kind=datetime, sql_type="timestamptz", descending=True)

_LISTS = "SELECT 'list' AS kind, id, title AS name, NULL::uuid AS list_id, NULL::uuid AS deleted_with, deleted_at"
_TODOS = "SELECT 'todo', id, content, list_id, deleted_with, deleted_at"


class TrashQueries:
    """The owner's trash."""

    def __init__(self, database: Statements, owner: UUID, *, kept: timedelta = KEPT) -> None:
        self._database = database
        self._owner = owner
        self._kept = kept

    async def page(self, limit: int, cursor: str | None) -> Page[Trashed]:
        """Lists and todos, the last deleted first."""
        wanted = Owned(self._owner, lateral=True)
        wanted.after(DELETED, DELETED.position(cursor))
        conditions = f"WHERE {wanted.conditions} AND deleted_at IS NOT NULL"
        end = f"ORDER BY {DELETED.clause} LIMIT {wanted.bind(limit + 1)}"
        rows = await self._database.rows(
            confined(
                f"({_LISTS} FROM lists {conditions} {end}) UNION ALL ({_TODOS} FROM todos {conditions} {end}) {end}"
            ),
            *wanted.arguments,
        )
        items = [Trashed(*row, purged_at=row["deleted_at"] + self._kept) for row in rows]
        return DELETED.page(items, limit, lambda item: (item.deleted_at, item.id))
