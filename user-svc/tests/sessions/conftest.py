"""Fixtures of the sessions' tests: rows in PostgreSQL, and what reads them."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from common.database import Database
from user_svc.sessions.repository import SessionRepository
from user_svc.settings import Settings

Rows = Callable[..., Awaitable[list[tuple[Any, ...]]]]
MakeRow = Callable[..., Awaitable[UUID]]
Remembered = Callable[[], Awaitable[dict[str, tuple[str, int]]]]
Buried = Callable[[UUID], Awaitable[None]]
Call = Callable[..., Awaitable[httpx.Response]]


@pytest.fixture
async def repository(settings: Settings) -> AsyncIterator[SessionRepository]:
    """The single statements, on a pool of their own."""
    async with Database(settings.database_url.reveal(), size=2, application="test") as database:
        yield SessionRepository(database, token_lifetime=600)


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


@pytest.fixture
async def tokens(register: Call, login: Call) -> dict[str, Any]:
    """What Ann's login answered, who has just registered."""
    assert (await register()).status_code == 201
    return dict((await login()).json())


@pytest.fixture
def refresh(client: httpx.AsyncClient) -> Call:
    """Use a refresh token, at another app than `client`'s where `at` names it."""

    async def refresh(token: str, *, at: httpx.AsyncClient | None = None) -> httpx.Response:
        form = {"grant_type": "refresh_token", "refresh_token": token}
        return await (at or client).post("/auth/jwt/refresh", data=form)

    return refresh


@pytest.fixture
def buried(remembered: Remembered) -> Buried:
    """Wait until Redis holds a session's tombstone."""

    async def buried(session: UUID) -> None:
        end = time.monotonic() + 5
        while (await remembered()).get(f"standing:{session}", ("",))[0] != "revoked":
            assert time.monotonic() < end, "Redis was not told"
            await asyncio.sleep(0.01)

    return buried
