"""Accounts in PostgreSQL."""

from advanced_alchemy.repository import SQLAlchemyAsyncRepository

from common.dto import User
from user_svc.models import Account


class Accounts(SQLAlchemyAsyncRepository[Account]):
    """Changes, inside a unit of work."""

    model_type = Account


def user(account: Account) -> User:
    """An account as others may see it."""
    return User(account.id, account.email, account.is_active, account.is_superuser, account.is_verified)
