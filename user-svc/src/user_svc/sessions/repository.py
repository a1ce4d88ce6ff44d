"""Sessions in PostgreSQL: changes through advanced-alchemy, and the one read that every request needs, straight."""

from typing import Any
from uuid import UUID

import msgspec
from advanced_alchemy.repository import SQLAlchemyAsyncRepository

from common.database import Database
from common.dto import User
from user_svc.models import RefreshToken, Session
from user_svc.sessions.schemas import SessionInfo

_STANDING = """
SELECT a.id, a.email, a.is_active, a.is_superuser, a.is_verified
FROM sessions s JOIN accounts a ON a.id = s.account_id
WHERE s.id = $1 AND a.id = $2 AND s.revoked_at IS NULL AND s.expires_at > now() AND a.is_active
"""

_CREDENTIALS = "SELECT id, password_hash, is_active FROM accounts WHERE email_key = $1"

_OPEN = """
SELECT id, created_at, last_used_at, user_agent, address, id = $2 FROM sessions
WHERE account_id = $1 AND revoked_at IS NULL AND expires_at > now() ORDER BY last_used_at DESC, id DESC
"""


class Sessions(SQLAlchemyAsyncRepository[Session]):
    """Changes, inside a unit of work."""

    model_type = Session


class RefreshTokenRows(SQLAlchemyAsyncRepository[RefreshToken]):
    """Changes, inside a unit of work."""

    model_type = RefreshToken
    id_attribute = "token_hash"


class Credentials(msgspec.Struct, frozen=True):
    """What a login is checked against."""

    id: UUID
    password_hash: str
    is_active: bool


class SessionQueries:
    """Single statements; `token_lifetime` is the longest an access token can live, in seconds."""

    def __init__(self, database: Database, *, token_lifetime: int) -> None:
        self._database = database
        self._token_lifetime = token_lifetime

    async def standing(self, session: UUID, account: UUID) -> User | None:
        """The user of a session that is still good."""
        row = await self._database.row(_STANDING, session, account)
        return User(*row) if row else None

    async def credentials(self, email_key: str) -> Credentials | None:
        """Whose address this is, and the hash of the password."""
        row = await self._database.row(_CREDENTIALS, email_key)
        return Credentials(*row) if row else None

    async def open(self, account: UUID, current: UUID) -> list[SessionInfo]:
        """An account's sessions that still stand, the last used first."""
        return [SessionInfo(*row) for row in await self._database.rows(_OPEN, account, current)]

    async def end(self, statement: str, *arguments: Any) -> int:
        """End sessions, and see to it that Redis learns of it; how many (see `ending`)."""
        row = await self._database.row(statement, self._token_lifetime, *arguments)
        return int(row[0]) if row else 0
