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

_LISTS = """
SELECT 'list' AS kind, id, title AS name, NULL::uuid AS list_id, NULL::uuid AS deleted_with, deleted_at,
       deleted_at + {kept}::interval AS purged_at
FROM lists"""
_TODOS = """
SELECT 'todo', id, content, list_id, deleted_with, deleted_at, deleted_at + {kept}::interval FROM todos"""


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
        kept = wanted.bind(self._kept)
        both = " UNION ALL ".join(f"({table.format(kept=kept)} {conditions} {end})" for table in (_LISTS, _TODOS))
        rows = await self._database.rows(confined(f"{both} {end}"), *wanted.arguments)
        return DELETED.page([Trashed(*row) for row in rows], limit, lambda item: (item.deleted_at, item.id))
