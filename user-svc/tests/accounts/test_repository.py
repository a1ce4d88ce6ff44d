"""Accounts in PostgreSQL, and what of them others see."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import UUID

import msgspec
import pytest
from advanced_alchemy.exceptions import IntegrityError

from common.dto import User
from common.unit_of_work import UnitOfWork
from user_svc.accounts.repository import Accounts, user
from user_svc.models import Account
from user_svc.settings import Settings

Rows = Callable[..., Awaitable[list[tuple[Any, ...]]]]


@pytest.fixture
async def unit_of_work(settings: Settings) -> AsyncIterator[UnitOfWork]:
    """Transactions on the test's database."""
    unit_of_work = UnitOfWork(settings.database_url.reveal(), size=2, application="test")
    yield unit_of_work
    await unit_of_work.close()


def account(email_key: str = "ann@example.com") -> Account:
    """A row with all that the database does not make itself."""
    return Account(email="Ann@example.com", email_key=email_key, password_hash="$argon2id$")


async def test_an_added_account_has_what_the_database_made(unit_of_work: UnitOfWork, rows: Rows) -> None:
    """Id, flags and times are there after the commit: active, no superuser, not verified."""
    async with unit_of_work() as session:
        added = await Accounts(session=session).add(account())

    assert added.id.version == 7
    assert await rows("SELECT id, is_active, is_superuser, is_verified FROM accounts") == [
        (added.id, True, False, False)
    ]
    assert await rows("SELECT created_at = updated_at, created_at <= now() FROM accounts") == [(True, True)]


async def test_two_accounts_have_no_key_in_common(unit_of_work: UnitOfWork, rows: Rows) -> None:
    """The unique index says so, whatever the service looked up before."""
    async with unit_of_work() as session:
        await Accounts(session=session).add(account())
        with pytest.raises(IntegrityError):
            await Accounts(session=session).add(account())
        await session.rollback()

    assert await rows("SELECT * FROM accounts") == []


async def test_a_change_moves_updated_at(unit_of_work: UnitOfWork, rows: Rows) -> None:
    """Whoever changes a row need not think of its time."""
    async with unit_of_work() as session:
        added = await Accounts(session=session).add(account())
    async with unit_of_work() as session:
        (await Accounts(session=session).get(added.id)).password_hash = "$argon2id$new"

    assert await rows("SELECT updated_at > created_at, password_hash FROM accounts") == [(True, "$argon2id$new")]


async def test_deleting_an_account_deletes_its_sessions(unit_of_work: UnitOfWork, rows: Rows) -> None:
    """No session outlives its account."""
    async with unit_of_work() as session:
        added = await Accounts(session=session).add(account())
    await rows("INSERT INTO sessions (id, account_id, expires_at) VALUES ($1, $1, now())", added.id)

    await rows("DELETE FROM accounts")

    assert await rows("SELECT * FROM sessions") == []


def test_others_see_no_hash_and_no_key() -> None:
    """What leaves the service is the five fields of `User`, and nothing else of the row."""
    row = Account(
        id=UUID(int=1),
        email="Ann@example.com",
        email_key="ann@example.com",
        password_hash="$argon2id$",
        is_active=True,
        is_superuser=False,
        is_verified=True,
    )

    assert user(row) == User(UUID(int=1), "Ann@example.com", True, False, True)
    assert b"argon2id" not in msgspec.json.encode(user(row))
