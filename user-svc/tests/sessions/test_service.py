"""Logging in and out below HTTP."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from argon2 import PasswordHasher
from msgspec.structs import replace

from common.auth import Principal, Source
from common.database import Database
from common.errors import Unavailable
from common.http.client import Client
from common.outbox import Relay
from common.redis import connect
from common.testing import session_of
from user_svc.passwords import Passwords
from user_svc.sessions.refresh import RefreshTokens
from user_svc.sessions.repository import Lifetimes, SessionRepository
from user_svc.sessions.schemas import Credentials, TokenError
from user_svc.sessions.service import SessionService
from user_svc.sessions.tokens import AccessTokens
from user_svc.settings import Settings
from user_svc.standing import TOPIC, StandingAuthority

Rows = Callable[..., Awaitable[list[tuple[Any, ...]]]]
Remembered = Callable[[], Awaitable[dict[str, tuple[str, int]]]]
MakeRow = Callable[..., Awaitable[UUID]]
Make = Callable[[Settings], Awaitable[SessionService]]

ANN = Credentials("ann@example.com", "correct horse battery")
BROWSER = Client("192.0.2.7", "a browser")
OLD_HASH = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(ANN.password)

FUNCTION = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''no''; END'"
TRIGGER = """
CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON sessions
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()
"""


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    """Builds the service as `create_app` does, from any settings."""
    async with AsyncExitStack() as stack:

        async def make(settings: Settings) -> SessionService:
            dsn = settings.database_url.reveal()
            database = await stack.enter_async_context(Database(dsn, size=2, application="test"))
            standing = StandingAuthority(connect(settings.redis_url), database, lifetime=600)
            relay = Relay(dsn, TOPIC, standing.deliver)
            passwords = Passwords.of(settings)
            stack.callback(passwords.close)
            await stack.enter_async_context(standing)
            await stack.enter_async_context(relay)
            return SessionService(
                SessionRepository(database, token_lifetime=600),
                passwords,
                access=AccessTokens(settings),
                refresh=RefreshTokens(database, idle=600, grace=10),
                standing=standing,
                relay=relay,
                lifetimes=Lifetimes(session=timedelta(hours=1), idle=timedelta(minutes=10)),
            )

        yield make


@pytest.fixture
async def account(make_account: MakeRow) -> UUID:
    """Ann's."""
    return await make_account(password_hash=OLD_HASH)


@pytest.mark.usefixtures("account")
async def test_when_login_returns_the_session_is_committed_and_known(
    make: Make, settings: Settings, rows: Rows, remembered: Remembered
) -> None:
    """Nobody holds a token whose session is not in PostgreSQL, or that the others must ask about."""
    answer = await (await make(settings)).login(ANN, BROWSER)

    session = session_of(answer.access_token)
    assert await rows("SELECT id, expires_at > now() + interval '59 minutes' FROM sessions") == [(session, True)]
    assert list(await remembered()) == [f"standing:{session}"]


@pytest.mark.usefixtures("account")
async def test_a_failing_commit_is_no_login(make: Make, settings: Settings, rows: Rows, remembered: Remembered) -> None:
    """The better hash and the session stand or fall together, and no one is told of a session that is not."""
    await rows(FUNCTION)
    await rows(TRIGGER)
    service = await make(replace(settings, argon2_passes=2))

    with pytest.raises(asyncpg.RaiseError):
        await service.login(ANN, BROWSER)

    assert await rows("SELECT password_hash FROM accounts") == [(OLD_HASH,)]
    assert await rows("SELECT * FROM sessions") == []
    assert await remembered() == {}


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize("change", ["DELETE FROM accounts", "UPDATE accounts SET is_active = false"])
async def test_an_account_that_ends_during_the_check_logs_nobody_in(
    make: Make, settings: Settings, rows: Rows, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """Hashing takes its time; who is gone when it is over is refused like anybody else."""
    verify = Passwords.verify

    async def slow(passwords: Passwords, password_hash: str | None, password: str) -> str | None:
        await rows(change)
        return await verify(passwords, password_hash, password)

    monkeypatch.setattr(Passwords, "verify", slow)

    with pytest.raises(TokenError) as refusal:
        await (await make(settings)).login(ANN, BROWSER)

    assert refusal.value.code == "LOGIN_BAD_CREDENTIALS"
    assert await rows("SELECT * FROM sessions") == []


@pytest.mark.usefixtures("account")
async def test_logins_at_one_time_succeed_while_the_hash_is_renewed(make: Make, settings: Settings, rows: Rows) -> None:
    """The first keeps a better hash; the others, who have checked the old one, are not told that theirs was wrong."""
    service = await make(replace(settings, argon2_passes=2))

    await asyncio.gather(*(service.login(ANN, BROWSER) for _ in range(3)))

    assert len(await rows("SELECT FROM sessions")) == 3
    assert await rows("SELECT password_hash = $1 FROM accounts", OLD_HASH) == [(False,)]


async def test_a_logout_is_committed_and_made_known(
    make: Make, settings: Settings, account: UUID, make_session: MakeRow, rows: Rows, remembered: Remembered
) -> None:
    """When `logout` returns, PostgreSQL and Redis both say that the session is over."""
    session = await make_session(account)

    await (await make(settings)).logout(Principal(account, session, Source.USER_SVC, 0.0))

    assert await rows("SELECT id FROM sessions WHERE revoked_at IS NOT NULL") == [(session,)]
    assert {name: value for name, (value, _) in (await remembered()).items()} == {f"standing:{session}": "revoked"}


async def test_a_logout_that_could_not_be_stored_is_not_made_known(
    make: Make, settings: Settings, unconnected: Settings, remembered: Remembered
) -> None:
    """PostgreSQL away: the caller is told, and Redis says nothing that the truth does not."""
    service = await make(replace(unconnected, redis_url=settings.redis_url))

    with pytest.raises(Unavailable):
        await service.logout(Principal(uuid4(), uuid4(), Source.USER_SVC, 0.0))

    assert await remembered() == {}
