"""Fixtures of the sessions' tests: rows in PostgreSQL, and what reads them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from common.database import Database
from user_svc.sessions.repository import SessionQueries
from user_svc.settings import Settings

Rows = Callable[..., Awaitable[list[tuple[Any, ...]]]]
MakeRow = Callable[..., Awaitable[UUID]]


@pytest.fixture
async def queries(settings: Settings) -> AsyncIterator[SessionQueries]:
    """The single statements, on a pool of their own."""
    async with Database(settings.database_url.reveal(), size=2, application="test") as database:
        yield SessionQueries(database, token_lifetime=600)


@pytest.fixture
def make_account(rows: Rows) -> MakeRow:
    """Write an account as registration would."""

    async def make(email: str = "ann@example.com", password_hash: str = "", *, active: bool = True) -> UUID:
        statement = "INSERT INTO accounts (id, email, email_key, password_hash, is_active) VALUES ($1, $2, $2, $3, $4)"
        account = uuid4()
        await rows(statement, account, email, password_hash, active)
        return account

    return make


@pytest.fixture
def make_session(rows: Rows) -> MakeRow:
    """Write a session as login would; it ends `ends_in` seconds from now."""

    async def make(account: UUID, *, ends_in: float = 60.0, revoked: bool = False) -> UUID:
        statement = "INSERT INTO sessions (id, account_id, expires_at, revoked_at) VALUES ($1, $2, $3, $4)"
        session, now = uuid4(), datetime.now(UTC)
        await rows(statement, session, account, now + timedelta(seconds=ends_in), now if revoked else None)
        return session

    return make
