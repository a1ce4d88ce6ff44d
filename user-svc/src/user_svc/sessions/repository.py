"""Sessions in PostgreSQL: changes through advanced-alchemy, and the one read that every request needs, straight."""

from uuid import UUID

import msgspec
from advanced_alchemy.repository import SQLAlchemyAsyncRepository

from common.database import Database
from common.dto import User
from common.outbox import NOTIFY
from user_svc.models import Session

_STANDING = """
SELECT a.id, a.email, a.is_active, a.is_superuser, a.is_verified
FROM sessions s JOIN accounts a ON a.id = s.account_id
WHERE s.id = $1 AND a.id = $2 AND s.revoked_at IS NULL AND s.expires_at > now() AND a.is_active
"""

_CREDENTIALS = "SELECT id, password_hash, is_active FROM accounts WHERE email_key = $1"

_REVOKE = f"""
WITH ended AS (
    UPDATE sessions SET revoked_at = now(), updated_at = now() WHERE id = $1 AND revoked_at IS NULL RETURNING id
), buried AS (
    INSERT INTO tombstones (session_id, until) SELECT id, now() + $2 * interval '1 second' FROM ended
), posted AS (
    INSERT INTO outbox (topic, payload) SELECT 'standing', jsonb_build_object('session', id) FROM ended RETURNING id
)
{NOTIFY}
"""  # noqa: S608 - no value is in the text


class Sessions(SQLAlchemyAsyncRepository[Session]):
    """Changes, inside a unit of work."""

    model_type = Session


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

    async def revoke(self, session: UUID) -> None:
        """End a session, and see to it that Redis learns of it; ending it twice is harmless (RFC 7009 section 2.2)."""
        await self._database.row(_REVOKE, session, self._token_lifetime)
