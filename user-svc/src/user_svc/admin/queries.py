"""Reading accounts and the audit, for superusers."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from common.database import Database
from common.dto import Page, User
from common.http.paging import Keyset
from common.sql import like
from user_svc.accounts.addresses import key
from user_svc.admin.schemas import AuditRecord

_CREATED = Keyset(name="created_at", column="created_at", kind=datetime, sql_type="timestamptz")
_NEWEST = Keyset(name="-at", column="at", kind=datetime, sql_type="timestamptz", descending=True)

_ACCOUNTS = """
SELECT id, email, is_active, is_superuser, is_verified, created_at FROM accounts
WHERE ($1::text IS NULL OR email_key LIKE $1) AND (created_at, id) > (
    coalesce($2::timestamptz, '-infinity'), coalesce($3::uuid, '00000000-0000-0000-0000-000000000000')
) ORDER BY created_at, id LIMIT $4
"""
_ACCOUNT = "SELECT id, email, is_active, is_superuser, is_verified FROM accounts WHERE id = $1"
_BY_EMAIL = "SELECT id, email, is_active, is_superuser, is_verified FROM accounts WHERE email_key = $1"
_AUDIT = """
SELECT id, at, actor, actor_id, action, subject_id, details FROM audit
WHERE (at, id) < (
    coalesce($1::timestamptz, 'infinity'), coalesce($2::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
) ORDER BY at DESC, id DESC LIMIT $3
"""


def _record(row: Any) -> AuditRecord:
    return AuditRecord(row[0], row[1], row[2], row[3], row[4], row[5], msgspec.json.decode(row[6]))


class AdminQueries:
    """Accounts as superusers see them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, search: str | None, limit: int, cursor: str | None) -> Page[User]:
        """A page of accounts, the oldest first; `search` stands anywhere in the address."""
        position = _CREATED.position(cursor)
        rows = await self._database.rows(
            _ACCOUNTS,
            like(key(search), place="query.email") if search else None,
            position.value if position else None,
            position.id if position else None,
            limit + 1,
        )
        made = {row[0]: row[5] for row in rows}
        users = [User(*row[:5]) for row in rows]
        return _CREATED.page(users, limit, lambda user: (made[user.id], user.id))

    async def one(self, account: UUID) -> User | None:
        """One account."""
        row = await self._database.row(_ACCOUNT, account)
        return User(*row) if row else None

    async def by_email(self, email: str) -> User | None:
        """The account of an address."""
        row = await self._database.row(_BY_EMAIL, key(email))
        return User(*row) if row else None

    async def audit(self, limit: int, cursor: str | None) -> Page[AuditRecord]:
        """A page of the audit, the newest first."""
        position = _NEWEST.position(cursor)
        rows = await self._database.rows(
            _AUDIT, position.value if position else None, position.id if position else None, limit + 1
        )
        records = [_record(row) for row in rows]
        return _NEWEST.page(records, limit, lambda record: (record.at, record.id))
