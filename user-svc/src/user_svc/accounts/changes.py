"""Changes of an account in one transaction with what they end, what they tell, and what they send."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg

from common.database import Database
from common.dto import User
from common.errors import Conflict
from user_svc.accounts.addresses import Address
from user_svc.sessions.ending import ending

_HASH: Final = "SELECT password_hash FROM accounts WHERE id = $1 AND is_active"

# First, so that a login under way is over, and its session seen, when the change is made.
_LOCK: Final = "SELECT FROM accounts WHERE id = $1 FOR NO KEY UPDATE"

_TELL: Final = """
WITH changed AS ({change} RETURNING id, email, is_active, is_superuser, is_verified), posted AS (
    INSERT INTO outbox (topic, payload)
    SELECT 'standing', jsonb_build_object('session', s.id) FROM sessions s JOIN changed c ON c.id = s.account_id
    WHERE s.revoked_at IS NULL AND s.expires_at > now()
    {posting}
)
SELECT id, email, is_active, is_superuser, is_verified, pg_notify('outbox', '') FROM changed
"""
_EMAIL: Final = _TELL.format(
    change="""
    UPDATE accounts SET email = $3, email_key = $4, is_verified = false,
        unverified_since = now(), updated_at = now()
    WHERE id = $1 AND password_hash = $2 AND is_active""",
    posting="UNION ALL SELECT 'mail', jsonb_build_object('action', 'verify', 'account', id) FROM changed",
)
_VERIFIED: Final = _TELL.format(
    change="""
    UPDATE accounts SET is_verified = true, updated_at = now()
    WHERE id = $1 AND unverified_since = $2 AND NOT is_verified AND is_active""",
    posting="",
)
_PASSWORD: Final = ending(
    "account_id IN (SELECT id FROM changed) AND id IS DISTINCT FROM $5",
    because="""
    UPDATE accounts SET password_hash = $4, updated_at = now()
    WHERE id = $2 AND password_hash = $3 AND is_active RETURNING id""",
)


class AccountChanges:
    """Each names what it was decided on, and does nothing where that is no longer so.

    `token_lifetime` is the longest an access token can live, in seconds.
    """

    def __init__(self, database: Database, *, token_lifetime: int) -> None:
        self._database = database
        self._token_lifetime = token_lifetime

    async def password_hash(self, account: UUID) -> str | None:
        """What a password of this account is checked against."""
        row = await self._database.row(_HASH, account)
        return row[0] if row else None

    async def email(self, account: UUID, address: Address, *, password_hash: str) -> User | None:
        """Another address, not yet verified; a mail asks for that, and every session's standing is told.

        Raises:
            Conflict: somebody has this address; the unique index says so.

        """
        try:
            row = await self._change(account, _EMAIL, account, password_hash, address.shown, address.key)
        except asyncpg.UniqueViolationError:
            raise Conflict("this address has an account", code="UPDATE_USER_EMAIL_ALREADY_EXISTS") from None
        return User(*row[:5]) if row else None

    async def verified(self, account: UUID, unverified_since: datetime) -> User | None:
        """The address is its owner's; every session's standing is told."""
        row = await self._change(account, _VERIFIED, account, unverified_since)
        return User(*row[:5]) if row else None

    async def password(self, account: UUID, old: str, new: str, *, keep: UUID | None) -> bool:
        """Another password, by hashes; all sessions end but the one to keep."""
        row = await self._change(account, _PASSWORD, self._token_lifetime, account, old, new, keep)
        return row is not None and row[0] > 0

    async def _change(self, account: UUID, statement: str, *arguments: Any) -> Any:
        async with self._database.transaction() as connection:
            await connection.execute(_LOCK, account)
            return await connection.fetchrow(statement, *arguments)
