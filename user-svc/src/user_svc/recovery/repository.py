"""Mails to be sent, and the accounts they are for, in PostgreSQL."""

from datetime import datetime
from hashlib import sha256
from typing import Any, Final, Self
from uuid import UUID

from msgspec import Struct

from common.database import Database
from common.outbox import NOTIFY
from user_svc.sessions.schemas import Action

TOPIC: Final = "mail"

# The same rows are written whether the address is known or not, so that the time tells nothing.
_POST = f"""
WITH posted AS (
    INSERT INTO outbox (topic, payload) SELECT '{TOPIC}', jsonb_build_object(
        'action', $2::text, 'account', (SELECT id FROM accounts WHERE email_key = $1)
    ) RETURNING id
) {NOTIFY}
"""  # noqa: S608 - constants
HOLDERS: Final = """
SELECT id, email, email_key, password_hash, is_verified, unverified_since FROM accounts WHERE id = ANY($1) AND is_active
"""


class Holder(Struct, frozen=True):
    """The active account that a mailed link is for."""

    id: UUID
    email: str
    email_key: str
    password_hash: str
    is_verified: bool
    unverified_since: datetime

    @classmethod
    def of(cls, row: Any) -> Self:
        """From a row of `HOLDERS`."""
        return cls(*row)

    def state(self, action: Action) -> str:
        """The hash of what the link would change; another address, however alike, makes either link void.

        The address' own time is in it, or a link that was used would work again where the address came back.
        """
        changed = self.password_hash if action is Action.RESET else self.unverified_since.isoformat()
        return sha256(f"{self.email}\0{changed}".encode()).hexdigest()


class RecoveryRepository:
    """Single statements."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def post(self, action: Action, email_key: str) -> None:
        """Have a mail sent to the account of this address, if there is one."""
        await self._database.row(_POST, email_key, action)

    async def holder(self, account: UUID) -> Holder | None:
        """Whose link this is."""
        row = await self._database.row(HOLDERS, [account])
        return Holder.of(row) if row else None
