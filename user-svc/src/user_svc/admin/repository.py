"""Changes to accounts that others must learn of: each of these runs in a transaction that `service` opened."""

from typing import Any, Final
from uuid import UUID

import msgspec

from common.dto import User, UserEvent
from user_svc.admin.schemas import Actor
from user_svc.sessions.ending import ending

SUPERUSERS: Final = 716_440_316  # one change of power at a time, so that two cannot demote each other
DELETIONS: Final = 716_440_317  # one deletion at a time, so that their sequence is the order of their commits

_LOCK = "SELECT pg_advisory_xact_lock($1)"
_ACCOUNT = "SELECT id, email, is_active, is_superuser, is_verified FROM accounts WHERE id = $1 FOR UPDATE"
_OTHERS = "SELECT EXISTS (SELECT FROM accounts WHERE is_superuser AND is_active AND id <> $1)"
_CHANGE = """
UPDATE accounts SET is_active = $2, is_superuser = $3, is_verified = $4, updated_at = now(),
    unverified_since = CASE WHEN is_verified AND NOT $4 THEN now() ELSE unverified_since END
WHERE id = $1
"""
_END_ALL = ending("account_id = $2")
_POST_FRESH = """
WITH posted AS (
    INSERT INTO outbox (topic, payload) SELECT 'standing', jsonb_build_object('session', id) FROM sessions
    WHERE account_id = $1 AND revoked_at IS NULL AND expires_at > now()
)
SELECT pg_notify('outbox', '')
"""
_POST_EVENT = "INSERT INTO outbox (topic, payload) VALUES ('events', $1::jsonb)"
_ERASE = "INSERT INTO erasures (account_id) VALUES ($1) RETURNING sequence"
_FORGET = "DELETE FROM idempotency_keys USING accounts WHERE accounts.id = $1 AND scope = email_key"
_DELETE = "DELETE FROM accounts WHERE id = $1"
_AUDIT = """
INSERT INTO audit (id, actor, actor_id, action, subject_id, details) VALUES ($1, $2, $3, $4, $5, $6::jsonb)
"""


class AdminChanges:
    """One transaction's changes; `token_lifetime` is the longest an access token can live, in seconds."""

    def __init__(self, connection: Any, *, token_lifetime: int) -> None:
        self._connection = connection
        self._token_lifetime = token_lifetime

    async def hold(self, account: UUID) -> User | None:
        """The account, nobody else's to change until the transaction ends."""
        await self._connection.execute(_LOCK, SUPERUSERS)
        row = await self._connection.fetchrow(_ACCOUNT, account)
        return User(*row) if row else None

    async def has_other_superuser(self, account: UUID) -> bool:
        """Whether somebody else could still administrate."""
        return bool(await self._connection.fetchval(_OTHERS, account))

    async def change(self, changed: User) -> None:
        """Set the flags; what other services remember of the account's sessions is renewed."""
        await self._connection.execute(
            _CHANGE, changed.id, changed.is_active, changed.is_superuser, changed.is_verified
        )
        await self._connection.execute(_POST_FRESH, changed.id)

    async def end_sessions(self, account: UUID) -> None:
        """End all of an account's sessions."""
        await self._connection.execute(_END_ALL, self._token_lifetime, account)

    async def announce(self, event: UserEvent) -> None:
        """Tell other services."""
        await self._connection.execute(_POST_EVENT, msgspec.json.encode(event).decode())

    async def erase(self, account: UUID) -> int:
        """Delete the account with all that hangs on it; the deletion's place among all deletions."""
        await self._connection.execute(_LOCK, DELETIONS)
        sequence = int(await self._connection.fetchval(_ERASE, account))
        await self._connection.execute(_FORGET, account)
        await self._connection.execute(_DELETE, account)
        return sequence

    async def audit(self, entry: UUID, actor: Actor, action: str, subject: UUID, details: dict[str, Any]) -> None:
        """Write down who did what to whom."""
        await self._connection.execute(
            _AUDIT, entry, actor.kind, actor.id, action, subject, msgspec.json.encode(details).decode()
        )
