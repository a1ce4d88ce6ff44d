"""Fixtures of administration's tests: people who are logged in, some of them with power."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import httpx
import pytest
from msgspec import Struct

from common.testing import session_of

Call = Callable[..., Awaitable[httpx.Response]]
Rows = Callable[..., Awaitable[list[tuple[Any, ...]]]]


class Person(Struct, frozen=True):
    """Somebody, and what his requests carry."""

    id: UUID
    session: UUID
    headers: dict[str, str]
    refresh_token: str

    @property
    def path(self) -> str:
        """Where his account is."""
        return f"/users/{self.id}"


@pytest.fixture
def enrol(register: Call, login: Call, rows: Rows) -> Callable[..., Awaitable[Person]]:
    """Register and log in."""

    async def enrol(name: str, *, superuser: bool = False) -> Person:
        account = UUID((await register(f"{name}@example.com")).json()["id"])
        if superuser:
            await rows("UPDATE accounts SET is_superuser = true WHERE id = $1", account)
        answer = (await login(f"{name}@example.com")).json()
        token = answer["access_token"]
        return Person(account, session_of(token), {"Authorization": f"Bearer {token}"}, answer["refresh_token"])

    return enrol


@pytest.fixture
async def root(enrol: Callable[..., Awaitable[Person]]) -> Person:
    """The only superuser."""
    return await enrol("root", superuser=True)


@pytest.fixture
async def ann(enrol: Callable[..., Awaitable[Person]]) -> Person:
    """A user."""
    return await enrol("ann")
