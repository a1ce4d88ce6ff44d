"""Sessions in PostgreSQL: each read and each change is one statement, straight on asyncpg."""

from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import msgspec

from common.database import Database
from common.dto import User
from common.http.client import Client
from user_svc.sessions.ending import ended
from user_svc.sessions.schemas import SessionInfo

SESSIONS: Final = 1000  # of one account; a login past that ends the one that was used longest ago

_STANDING = """
SELECT a.id, a.email, a.is_active, a.is_superuser, a.is_verified
FROM sessions s JOIN accounts a ON a.id = s.account_id
WHERE s.id = $1 AND a.id = $2 AND s.revoked_at IS NULL AND s.expires_at > now() AND a.is_active
"""

_CREDENTIALS = "SELECT id, password_hash, is_active FROM accounts WHERE email_key = $1"

# The account is read again under a lock: a password changed since it was checked opens nothing.
# Those that another statement is about to end are left to it, rather than to wait for each other.
_BEGIN = f"""
WITH account AS (
    SELECT id, email, is_active, is_superuser, is_verified FROM accounts
    WHERE id = $2 AND password_hash = $3 AND is_active FOR UPDATE
), kept AS (
    UPDATE accounts SET password_hash = $4, updated_at = now() FROM account
    WHERE accounts.id = account.id AND accounts.password_hash <> $4
), opened AS (
    INSERT INTO sessions (id, account_id, expires_at, user_agent, address)
    SELECT $5, id, now() + $6::interval, $7, $8 FROM account RETURNING id
), first AS (
    INSERT INTO refresh_tokens (token_hash, session_id, expires_at) SELECT $9, id, now() + $10::interval FROM opened
), surplus AS (
    SELECT id FROM sessions WHERE id IN (
        SELECT s.id FROM sessions s JOIN account ON account.id = s.account_id
        WHERE s.revoked_at IS NULL AND s.expires_at > now()
        ORDER BY s.last_used_at DESC, s.id DESC OFFSET {SESSIONS - 1}
    ) FOR UPDATE SKIP LOCKED
), {ended("id IN (SELECT id FROM surplus)")}
SELECT *, (SELECT pg_notify('outbox', '') FROM ended LIMIT 1) FROM account
"""  # noqa: S608 - constants

_OPEN = """
SELECT id, created_at, last_used_at, user_agent, address, id = $2 FROM sessions
WHERE account_id = $1 AND revoked_at IS NULL AND expires_at > now() ORDER BY last_used_at DESC, id DESC
"""


class StoredCredentials(msgspec.Struct, frozen=True):
    """What a login is checked against."""

    id: UUID
    password_hash: str
    is_active: bool


class Lifetimes(msgspec.Struct, frozen=True):
    """How long a session lasts in all, and how long its refresh token may lie unused."""

    session: timedelta
    idle: timedelta


class NewSession(msgspec.Struct, frozen=True):
    """A session to open; `keep` is the hash to have from now on, `first` that of its first refresh token."""

    id: UUID
    keep: str
    first: bytes
    client: Client
    lifetimes: Lifetimes


class SessionRepository:
    """Single statements; `token_lifetime` is the longest an access token can live, in seconds."""

    def __init__(self, database: Database, *, token_lifetime: int) -> None:
        self._database = database
        self._token_lifetime = token_lifetime

    async def standing(self, session: UUID, account: UUID) -> User | None:
        """The user of a session that is still good."""
        row = await self._database.row(_STANDING, session, account)
        return User(*row) if row else None

    async def credentials(self, email_key: str) -> StoredCredentials | None:
        """Whose address this is, and the hash of the password."""
        row = await self._database.row(_CREDENTIALS, email_key)
        return StoredCredentials(*row) if row else None

    async def begin(self, checked: StoredCredentials, new: NewSession) -> User | None:
        """Open a session, with its first refresh token; None if the account is not what was checked any more.

        Of more than `SESSIONS` the one that was used longest ago ends: how long it takes to end them all is bounded.
        """
        lasts, idle = new.lifetimes.session, min(new.lifetimes.idle, new.lifetimes.session)
        client = new.client
        row = await self._database.row(
            _BEGIN,
            self._token_lifetime,
            *(checked.id, checked.password_hash, new.keep),
            *(new.id, lasts, client.user_agent, client.address),
            *(new.first, idle),
        )
        return User(*row[:5]) if row else None

    async def open(self, account: UUID, current: UUID) -> list[SessionInfo]:
        """An account's sessions that still stand, the last used first."""
        return [SessionInfo(*row) for row in await self._database.rows(_OPEN, account, current)]

    async def end(self, statement: str, *arguments: Any) -> int:
        """End sessions, and see to it that Redis learns of it; how many (see `ending`)."""
        row = await self._database.row(statement, self._token_lifetime, *arguments)
        return int(row[0]) if row else 0
