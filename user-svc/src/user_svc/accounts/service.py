"""What can be done with an account."""

from advanced_alchemy.exceptions import IntegrityError

from common.dto import User
from common.errors import Conflict
from common.unit_of_work import UnitOfWork
from user_svc.accounts.addresses import parse
from user_svc.accounts.repository import Accounts, user
from user_svc.accounts.schemas import Registration
from user_svc.models import Account
from user_svc.passwords import Passwords


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
        address = parse(registration.email)
        self._passwords.check(registration.password)
        password_hash = await self._passwords.hash(registration.password)
        try:
            async with self._unit_of_work() as session:
                account = await Accounts(session=session).add(
                    Account(
                        email=address.shown,
                        email_key=address.key,
                        password_hash=password_hash,
                        is_active=True,
                        is_superuser=False,
                        is_verified=False,
                    )
                )
        except IntegrityError:
            raise Conflict("this address has an account", code="REGISTER_USER_ALREADY_EXISTS") from None
        return user(account)
