"""Logging in and out."""

from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from common.auth import Principal
from common.dto import TokenResponse, User
from common.outbox import Relay
from common.unit_of_work import UnitOfWork
from user_svc.accounts.addresses import key
from user_svc.accounts.repository import Accounts, user
from user_svc.models import Session
from user_svc.passwords import Passwords
from user_svc.sessions.repository import SessionQueries, Sessions
from user_svc.sessions.schemas import Credentials, TokenError
from user_svc.sessions.tokens import AccessTokens
from user_svc.standing import StandingAuthority

TELLING: Final = 0.1  # seconds an answer waits for Redis to be told; the outbox tells it all the same


class SessionService:
    """Opens and ends sessions; `lifetime` is that of a session."""

    def __init__(
        self,
        unit_of_work: UnitOfWork,
        queries: SessionQueries,
        passwords: Passwords,
        tokens: AccessTokens,
        standing: StandingAuthority,
        relay: Relay,
        *,
        lifetime: timedelta,
    ) -> None:
        self._unit_of_work = unit_of_work
        self._queries = queries
        self._passwords = passwords
        self._tokens = tokens
        self._standing = standing
        self._relay = relay
        self._lifetime = lifetime

    async def login(self, credentials: Credentials) -> TokenResponse:
        """Check a password and open a session.

        Raises:
            TokenError: one answer for an unknown address, a wrong password and an inactive account, in the same time.

        """
        found = await self._queries.credentials(key(credentials.username))
        keep = await self._passwords.verify(found.password_hash if found else None, credentials.password)
        if found is None or keep is None or not found.is_active:
            raise bad_credentials()
        opened, owner = await self._open(found.id, rehashed=keep if keep != found.password_hash else None)
        await self._standing.prime(opened.id, owner)
        return self._tokens.issue(owner.id, opened.id)

    async def logout(self, principal: Principal) -> None:
        """End the caller's session; Redis has it, where it can, before the answer leaves."""
        await self._queries.revoke(principal.session)
        await self._relay.flush(timeout=TELLING)

    async def _open(self, account_id: UUID, *, rehashed: str | None) -> tuple[Session, User]:
        """The session, and the better hash where there is one, stand or fall together."""
        async with self._unit_of_work() as transaction:
            account = await Accounts(session=transaction).get_one_or_none(id=account_id)
            if account is None or not account.is_active:  # ended while the password was checked
                raise bad_credentials()
            if rehashed is not None:
                account.password_hash = rehashed
            opened = await Sessions(session=transaction).add(
                Session(account_id=account_id, expires_at=datetime.now(UTC) + self._lifetime)
            )
        return opened, user(account)


def bad_credentials() -> TokenError:
    """The one refusal of a login (RFC 6749 section 5.2)."""
    return TokenError("the address or the password is wrong", error="invalid_grant", code="LOGIN_BAD_CREDENTIALS")
