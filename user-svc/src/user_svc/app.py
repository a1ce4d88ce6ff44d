"""user-svc: wired here, and nowhere else."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from litestar import Litestar

from common.auth import verifier
from common.cli import load_or_exit
from common.database import Database
from common.outbox import Relay
from common.redis import connect
from common.service import create_service
from common.unit_of_work import UnitOfWork
from user_svc.accounts.routes import AccountController
from user_svc.accounts.service import AccountService
from user_svc.passwords import Passwords
from user_svc.sessions.authenticator import LocalAuthenticator
from user_svc.sessions.repository import SessionQueries
from user_svc.sessions.routes import SessionController
from user_svc.sessions.service import SessionService
from user_svc.sessions.tokens import AccessTokens
from user_svc.settings import Settings
from user_svc.standing import StandingAuthority

NAME = "user-svc"


def create_app(settings: Settings | None = None) -> Litestar:
    """Build the service from its settings, which are read now and not at import."""
    settings = settings or load_or_exit(NAME, Settings)
    dsn = settings.database_url.reveal()
    database = Database(dsn, size=settings.database_pool_size, application=NAME)
    unit_of_work = UnitOfWork(dsn, size=settings.database_pool_size, application=NAME)
    passwords = Passwords.of(settings)
    lifetime = settings.access_token_seconds
    standing = StandingAuthority(connect(settings.redis_url), database, lifetime=lifetime)
    relay = Relay(dsn, standing.deliver)
    queries = SessionQueries(database, token_lifetime=lifetime)
    accounts = AccountService(unit_of_work, passwords)
    sessions = SessionService(
        unit_of_work,
        queries,
        passwords,
        AccessTokens(settings),
        standing,
        relay,
        lifetime=timedelta(seconds=settings.session_seconds),
    )

    @asynccontextmanager
    async def resources() -> AsyncIterator[None]:
        yield
        passwords.close()
        await unit_of_work.close()

    return create_service(
        NAME,
        settings=settings,
        routes=[AccountController, SessionController],
        auth=LocalAuthenticator(verifier(settings), queries),
        database=database,
        dependencies={"accounts": lambda: accounts, "sessions": lambda: sessions},
        lifespan=[resources(), standing, relay],
        description="Accounts, sessions, and the only signer of access tokens.",
    )
