"""Verifying addresses and resetting passwords."""

from common.dto import User
from common.errors import BadRequest
from common.outbox import Relay
from user_svc.accounts.addresses import key
from user_svc.accounts.changes import AccountChanges
from user_svc.passwords import Passwords
from user_svc.recovery.repository import Holder, RecoveryRepository
from user_svc.recovery.schemas import MailRequest, Reset, Verification
from user_svc.sessions.schemas import Action
from user_svc.sessions.tokens import ActionTokens
from user_svc.standing import FLUSH_TIMEOUT


class RecoveryService:
    """Asks for mails, and does what their links allow; `relay` is the one that tells of standings."""

    def __init__(
        self,
        repository: RecoveryRepository,
        changes: AccountChanges,
        passwords: Passwords,
        *,
        tokens: ActionTokens,
        relay: Relay,
    ) -> None:
        self._repository = repository
        self._changes = changes
        self._passwords = passwords
        self._tokens = tokens
        self._relay = relay

    async def request(self, action: Action, request: MailRequest) -> None:
        """Have a link mailed; nothing tells whether anybody has the address."""
        await self._repository.post(action, key(request.email))

    async def verify(self, verification: Verification) -> User:
        """The address of the link is its owner's.

        Raises:
            BadRequest: the token is not valid any more, or was used.

        """
        holder = await self._holder(Action.VERIFY, verification.token)
        if holder is None:
            raise BadRequest("the link is not valid any more", code="VERIFY_USER_BAD_TOKEN")
        user = await self._changes.verified(holder.id, holder.unverified_since)
        if user is None:
            raise BadRequest("the address is verified already", code="VERIFY_USER_ALREADY_VERIFIED")
        await self._relay.flush(timeout=FLUSH_TIMEOUT)
        return user

    async def reset(self, reset: Reset) -> None:
        """Another password; all sessions end.

        Raises:
            BadRequest: the token is not valid any more, or was used.
            Unprocessable: the password is not acceptable; the token can be used again.

        """
        holder = await self._holder(Action.RESET, reset.token)
        if holder is None:
            raise bad_reset_token()
        await self._passwords.check(reset.password, holder.email_key, code="RESET_PASSWORD_INVALID_PASSWORD")
        new = await self._passwords.hash(reset.password)
        if not await self._changes.password(holder.id, holder.password_hash, new, keep=None):
            raise bad_reset_token()
        await self._relay.flush(timeout=FLUSH_TIMEOUT)

    async def _holder(self, action: Action, token: str) -> Holder | None:
        """Whose token this is, while the account is as it was when it was signed; a bad one costs no I/O."""
        claims = self._tokens.read(action, token)
        holder = await self._repository.holder(claims.sub) if claims else None
        if claims is None or holder is None or holder.state(action) != claims.state:
            return None
        return holder


def bad_reset_token() -> BadRequest:
    """The one refusal of a reset."""
    return BadRequest("the link is not valid any more", code="RESET_PASSWORD_BAD_TOKEN")
