"""Registration below HTTP."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from argon2 import PasswordHasher
from msgspec.structs import replace

from common.errors import Conflict, Unavailable, Unprocessable
from common.unit_of_work import UnitOfWork
from user_svc.accounts.schemas import Registration
from user_svc.accounts.service import AccountService
from user_svc.passwords import Passwords
from user_svc.settings import Settings

Rows = Callable[..., Awaitable[list[tuple[Any, ...]]]]

ANN = Registration("Ann@example.com", "correct horse battery")


@pytest.fixture
async def service(settings: Settings) -> AsyncIterator[AccountService]:
    """As `create_app` wires it."""
    unit_of_work = UnitOfWork(settings.database_url.reveal(), size=2, application="test")
    passwords = Passwords.of(settings)
    yield AccountService(unit_of_work, passwords)
    passwords.close()
    await unit_of_work.close()


async def test_what_was_registered_is_committed(service: AccountService, rows: Rows) -> None:
    """When `register` returns, another connection sees the account it told of."""
    user = await service.register(ANN)

    assert await rows("SELECT id, email FROM accounts") == [(user.id, "Ann@example.com")]


async def test_a_second_account_of_one_address_is_a_conflict(service: AccountService, rows: Rows) -> None:
    """The conflict names neither the address nor its account."""
    await service.register(ANN)

    with pytest.raises(Conflict) as refusal:
        await service.register(replace(ANN, email="ANN@EXAMPLE.COM"))

    assert refusal.value.code == "REGISTER_USER_ALREADY_EXISTS"
    assert "ann" not in refusal.value.detail.lower().split()
    assert len(await rows("SELECT * FROM accounts")) == 1


@pytest.mark.parametrize("changes", [{"email": "ann"}, {"password": "short"}], ids=["address", "password"])
async def test_what_is_not_acceptable_is_not_hashed(
    service: AccountService, rows: Rows, monkeypatch: pytest.MonkeyPatch, changes: dict[str, str]
) -> None:
    """A registration that must fail costs no argon2id, and stores nothing."""
    monkeypatch.delattr(PasswordHasher, "hash")

    with pytest.raises(Unprocessable):
        await service.register(replace(ANN, **changes))

    assert await rows("SELECT * FROM accounts") == []


async def test_without_postgresql_a_registration_is_unavailable(unconnected: Settings) -> None:
    """Nobody there is 503, and nothing was promised."""
    unit_of_work = UnitOfWork(unconnected.database_url.reveal(), size=1, application="test")
    passwords = Passwords.of(unconnected)

    with pytest.raises(Unavailable):
        await AccountService(unit_of_work, passwords).register(ANN)

    passwords.close()
    await unit_of_work.close()
