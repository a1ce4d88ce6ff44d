"""Reading the trash: one statement, straight from asyncpg."""

from datetime import datetime, timedelta
from uuid import UUID

from common.database import Statements
from common.dto import Page
from common.http.etag import Tagged, Tags, has, page_tag
from common.http.paging import Keyset
from common.sql import Owned, clocked
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

    async def page(self, limit: int, cursor: str | None, seen: Tags | None = None) -> Tagged[Page[Trashed]]:
        """Lists and todos, the last deleted first; without a look at them if the reader has `seen` the page.

        Its tag names how long they are kept, for that shows in `purged_at`.
        """
        kept = self._kept // timedelta(seconds=1)
        wanted = Owned(self._owner, lateral=True)
        wanted.unless(seen, kept)
        wanted.after(DELETED, DELETED.position(cursor))
        rows = await self._database.rows(clocked(self._statement(wanted, limit)), *wanted.arguments)
        tag = page_tag(self._owner, rows[0]["clock"], kept)
        if has(seen, tag):
            return Tagged(tag, None)
        items = [Trashed(*row[1:]) for row in rows if row["id"] is not None]
        return Tagged(tag, DELETED.page(items, limit, lambda item: (item.deleted_at, item.id)))

    def _statement(self, wanted: Owned, limit: int) -> str:
        conditions = f"WHERE {wanted.conditions} AND deleted_at IS NOT NULL"
        end = f"ORDER BY {DELETED.clause} LIMIT {wanted.bind(limit + 1)}"
        kept = wanted.bind(self._kept)
        both = " UNION ALL ".join(f"({table.format(kept=kept)} {conditions} {end})" for table in (_LISTS, _TODOS))
        return f"{both} {end}"
