"""What can be done with an account."""

from uuid import UUID

import msgspec
from advanced_alchemy.exceptions import IntegrityError
from msgspec import UNSET

from common.auth import Principal
from common.dto import FieldError, User
from common.errors import BadRequest, Conflict, Unprocessable
from common.idempotency import Answer, Keyed
from common.outbox import Relay
from common.unit_of_work import SessionStatements, UnitOfWork
from user_svc.accounts.addresses import Address, key, parse
from user_svc.accounts.changes import AccountChanges
from user_svc.accounts.repository import Accounts, user
from user_svc.accounts.schemas import PasswordChange, ProfileChange, Registration
from user_svc.models import Account
from user_svc.passwords import Passwords
from user_svc.standing import TELLING


class AccountService:
    """Registers."""

    def __init__(self, unit_of_work: UnitOfWork, passwords: Passwords) -> None:
        self._unit_of_work = unit_of_work
        self._passwords = passwords

    async def register(self, registration: Registration, request: Keyed | None = None) -> User | Answer:
        """Make an account; the answer of before, where the request came with a key and has been done.

        Raises:
            Conflict: the address has one; the unique index says so, not a look-up that could be overtaken.
            Unprocessable: the address or the password is not acceptable, or the key came with another request.

        """
        address = parse(registration.email)
        await self._passwords.check(registration.password, address.key)
        password_hash = await self._passwords.hash(registration.password)
        try:
            return await self._add(address, password_hash, request)
        except IntegrityError:
            raise Conflict("this address has an account", code="REGISTER_USER_ALREADY_EXISTS") from None

    async def _add(self, address: Address, password_hash: str, request: Keyed | None) -> User | Answer:
        async with self._unit_of_work() as session:
            statements = SessionStatements(session)
            if request is not None and (known := await request.begin(statements, address.key)):
                return known
            account = await Accounts(session=session).add(_account(address, password_hash))
            if request is not None:
                await request.keep(statements, address.key, Answer(201, msgspec.json.encode(user(account))))
        return user(account)


class ProfileService:
    """What owners change of their own accounts, by their password."""

    def __init__(self, changes: AccountChanges, passwords: Passwords, relay: Relay) -> None:
        self._changes = changes
        self._passwords = passwords
        self._relay = relay

    async def change(self, owner: User, change: ProfileChange) -> User:
        """Another e-mail address, unverified until the mail to it is answered.

        Raises:
            BadRequest: the current password is wrong.
            Conflict: the address has an account.
            Unprocessable: the address is not acceptable, or the current password was left out.

        """
        if change.email is UNSET:
            return owner
        address = parse(change.email)
        if change.current_password is UNSET:
            place = FieldError("body.current_password", "is needed to change the e-mail address")
            raise Unprocessable("the current password is missing", errors=[place])
        current = await self._check(owner.id, change.current_password)
        if address.shown == owner.email:
            return owner
        changed = await self._changes.email(owner.id, address, password_hash=current)
        if changed is None:
            raise wrong_password()
        await self._relay.flush(timeout=TELLING)
        return changed

    async def change_password(self, caller: Principal, change: PasswordChange, *, email: str) -> None:
        """Another password; all the caller's sessions end but this one.

        Raises:
            BadRequest: the current password is wrong.
            Unprocessable: the new one is not acceptable.

        """
        current = await self._check(caller.id, change.current_password)
        await self._passwords.check(change.new_password, key(email), code="UPDATE_USER_INVALID_PASSWORD")
        new = await self._passwords.hash(change.new_password)
        if not await self._changes.password(caller.id, current, new, keep=caller.session):
            raise wrong_password()
        await self._relay.flush(timeout=TELLING)

    async def _check(self, account: UUID, password: str) -> str:
        """The hash that this password was found to match."""
        current = await self._changes.password_hash(account)
        if current is None or await self._passwords.verify(current, password) is None:
            raise wrong_password()
        return current


def wrong_password() -> BadRequest:
    """The refusal of a change by who does not know the password, or of one that another change overtook."""
    return BadRequest("the current password is wrong", code="CURRENT_PASSWORD_WRONG")


def _account(address: Address, password_hash: str) -> Account:
    """A new one: active, with no privilege, and still to be verified."""
    return Account(
        email=address.shown,
        email_key=address.key,
        password_hash=password_hash,
        is_active=True,
        is_superuser=False,
        is_verified=False,
    )
