"""Logging in, staying in, and ending sessions."""

from uuid import UUID

from uuid_utils.compat import uuid7

from common.auth import Principal
from common.dto import TokenResponse
from common.errors import NotFound
from common.http.client import Client
from common.outbox import Relay
from user_svc.accounts.addresses import key
from user_svc.passwords import Passwords
from user_svc.sessions.ending import END_ONE, END_OTHERS, END_OWN
from user_svc.sessions.refresh import RefreshToken, RefreshTokens, invalid_grant
from user_svc.sessions.repository import Lifetimes, NewSession, SessionRepository, StoredCredentials
from user_svc.sessions.schemas import Credentials, Refresh, SessionInfo, TokenError
from user_svc.sessions.tokens import AccessTokens
from user_svc.standing import FLUSH_TIMEOUT, StandingAuthority


class SessionService:
    """Opens, renews and ends sessions."""

    def __init__(
        self,
        repository: SessionRepository,
        passwords: Passwords,
        *,
        access: AccessTokens,
        refresh: RefreshTokens,
        standing: StandingAuthority,
        relay: Relay,
        lifetimes: Lifetimes,
    ) -> None:
        self._repository = repository
        self._passwords = passwords
        self._access = access
        self._refresh = refresh
        self._standing = standing
        self._relay = relay
        self._lifetimes = lifetimes

    async def login(self, credentials: Credentials, client: Client) -> TokenResponse:
        """Check a password and open a session.

        Raises:
            TokenError: one answer for an unknown address, a wrong password and an inactive account, in the same time.

        """
        first = RefreshToken.new()
        for _ in range(2):  # a login at the same time may have renewed the hash that was checked
            checked, keep = await self._checked(credentials)
            new = NewSession(uuid7(), keep, first.hash, client, self._lifetimes)
            owner = await self._repository.begin(checked, new)
            if owner is not None:
                await self._standing.prime(new.id, owner)
                return self._access.issue(owner.id, new.id, first.reveal())
        raise bad_credentials()

    async def refresh(self, refresh: Refresh) -> TokenResponse:
        """Take a refresh token for its successor and a new access token.

        Raises:
            TokenError: it is not valid; if it had been used before, its session has ended by now.

        """
        rotation = await self._refresh.rotate(RefreshToken.parse(refresh.refresh_token))
        if rotation.successor is None:
            await self._end(END_ONE, rotation.session)
            raise invalid_grant()
        return self._access.issue(rotation.account, rotation.session, rotation.successor.reveal())

    async def logout(self, principal: Principal) -> None:
        """End the caller's session; Redis has it, where it can, before the answer leaves."""
        await self._end(END_ONE, principal.session)

    async def open_sessions(self, principal: Principal) -> list[SessionInfo]:
        """The caller's sessions that still stand."""
        return await self._repository.open(principal.id, principal.session)

    async def end_one(self, principal: Principal, session: UUID) -> None:
        """End one of the caller's sessions.

        Raises:
            NotFound: the caller has no such session.

        """
        if not await self._end(END_OWN, session, principal.id):
            raise NotFound("there is no such session", code="SESSION_NOT_FOUND")

    async def end_others(self, principal: Principal) -> None:
        """End all the caller's sessions but this one."""
        await self._end(END_OTHERS, principal.session, principal.id)

    async def tell(self) -> None:
        """Wait, but not for long, until Redis knows what was committed."""
        await self._relay.flush(timeout=FLUSH_TIMEOUT)

    async def _checked(self, credentials: Credentials) -> tuple[StoredCredentials, str]:
        """What the password was found to match, and the hash to keep from now on."""
        found = await self._repository.credentials(key(credentials.username))
        keep = await self._passwords.verify(found.password_hash if found else None, credentials.password)
        if found is None or keep is None or not found.is_active:
            raise bad_credentials()
        return found, keep

    async def _end(self, statement: str, *arguments: UUID) -> int:
        ended = await self._repository.end(statement, *arguments)
        await self.tell()
        return ended


def bad_credentials() -> TokenError:
    """The one refusal of a login (RFC 6749 section 5.2)."""
    return TokenError("the address or the password is wrong", error="invalid_grant", code="LOGIN_BAD_CREDENTIALS")
