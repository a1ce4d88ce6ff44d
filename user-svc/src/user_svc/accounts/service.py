"""What can be done with an account."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import msgspec
from advanced_alchemy.exceptions import IntegrityError
from msgspec import UNSET
from sqlalchemy.ext.asyncio import AsyncSession

from common.auth import Principal
from common.dto import FieldError, User
from common.errors import BadRequest, Conflict, Unprocessable
from common.idempotency import Answer, Keyed
from common.outbox import Relay
from common.unit_of_work import SessionStatements, UnitOfWork
from user_svc.accounts.addresses import key, parse
from user_svc.accounts.changes import AccountChanges
from user_svc.accounts.repository import Accounts, user
from user_svc.accounts.schemas import PasswordChange, ProfileChange, Registration
from user_svc.models import Account
from user_svc.passwords import Passwords
from user_svc.standing import FLUSH_TIMEOUT


class AccountService:
    """Registers."""

    def __init__(self, unit_of_work: UnitOfWork, passwords: Passwords) -> None:
        self._unit_of_work = unit_of_work
        self._passwords = passwords

    async def register(self, registration: Registration) -> User:
        """Make an account.

        Raises:
            Conflict: the address has one; the unique index says so, not a look-up that could be overtaken.
            Unprocessable: the address or the password is not acceptable.

        """
        account = await self._account(registration)
        async with self._adding() as session:
            return user(await Accounts(session=session).add(account))

    async def register_once(self, registration: Registration, request: Keyed) -> User | Answer:
        """Make an account; the answer of before, if this request has been done. Raises as `register` and `Keyed` do."""
        account = await self._account(registration)
        async with self._adding() as session:
            statements, scope = SessionStatements(session), account.email_key
            if (known := await request.begin(statements, scope)) is not None:
                return known
            registered = user(await Accounts(session=session).add(account))
            await request.keep(statements, scope, Answer(201, msgspec.json.encode(registered)))
            return registered

    async def _account(self, registration: Registration) -> Account:
        """What is to be added: active, with no privilege, and still to be verified."""
        address = parse(registration.email)
        await self._passwords.check(registration.password, address.key)
        return Account(
            email=address.shown,
            email_key=address.key,
            password_hash=await self._passwords.hash(registration.password),
            is_active=True,
            is_superuser=False,
            is_verified=False,
        )

    @asynccontextmanager
    async def _adding(self) -> AsyncIterator[AsyncSession]:
        try:
            async with self._unit_of_work() as session:
                yield session
        except IntegrityError:
            raise Conflict("this address has an account", code="REGISTER_USER_ALREADY_EXISTS") from None


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
        await self._relay.flush(timeout=FLUSH_TIMEOUT)
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
        await self._relay.flush(timeout=FLUSH_TIMEOUT)

    async def _check(self, account: UUID, password: str) -> str:
        """The hash that this password was found to match."""
        current = await self._changes.password_hash(account)
        if current is None or await self._passwords.verify(current, password) is None:
            raise wrong_password()
        return current


def wrong_password() -> BadRequest:
    """The refusal of a change by who does not know the password, or of one that another change overtook."""
    return BadRequest("the current password is wrong", code="CURRENT_PASSWORD_WRONG")
