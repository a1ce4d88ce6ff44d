"""user-svc: wired here, and nowhere else."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta
from typing import Any, Final

from litestar import Litestar, Request
from litestar.di import NamedDependency
from litestar.params import RawBody
from msgspec import Struct

from common.auth import verifier
from common.cli import load_or_exit
from common.database import Database
from common.http import idempotency
from common.http.client import Client, Clients
from common.idempotency import Keyed
from common.outbox import Relay
from common.redis import connect
from common.service import create_service
from common.unit_of_work import UnitOfWork
from user_svc import events
from user_svc.accounts.changes import AccountChanges
from user_svc.accounts.routes import AccountController
from user_svc.accounts.service import AccountService, ProfileService
from user_svc.admin.queries import AdminQueries
from user_svc.admin.routes import AdminController
from user_svc.admin.service import Administration
from user_svc.housekeeping import Housekeeping
from user_svc.passwords import Passwords
from user_svc.recovery import delivery
from user_svc.recovery.delivery import Delivery
from user_svc.recovery.mail import Letters, mailer
from user_svc.recovery.pages import reset_page, verify_page
from user_svc.recovery.repository import TOPIC as MAIL
from user_svc.recovery.repository import RecoveryRepository
from user_svc.recovery.routes import RecoveryController
from user_svc.recovery.service import RecoveryService
from user_svc.sessions.authenticator import LocalAuthenticator
from user_svc.sessions.refresh import RefreshTokens
from user_svc.sessions.repository import Lifetimes, SessionRepository
from user_svc.sessions.routes import SessionController
from user_svc.sessions.service import SessionService
from user_svc.sessions.tokens import AccessTokens, ActionTokens
from user_svc.settings import Settings
from user_svc.standing import TOPIC, StandingAuthority
from user_svc.throttle import Limits, Throttle, Tries

NAME = "user-svc"
ROUTES: Final = (
    AccountController,
    SessionController,
    RecoveryController,
    verify_page,
    reset_page,
    AdminController,
    events.list_erasures,
)


class Ground(Struct, frozen=True):
    """What the rooms stand on; `relay` is the one that tells Redis of standings."""

    database: Database
    unit_of_work: UnitOfWork
    passwords: Passwords
    sessions: SessionRepository
    changes: AccountChanges
    actions: ActionTokens
    standing: StandingAuthority
    relay: Relay
    throttle: Throttle


def create_app(settings: Settings | None = None) -> Litestar:
    """Build the service from its settings, which are read now and not at import."""
    settings = settings or load_or_exit(NAME, Settings)
    ground = _ground(settings)
    clients = Clients(settings.trusted_proxies)

    def client(request: Request[Any, Any, Any]) -> Client:
        return clients.of(request.scope)

    def tries(client: NamedDependency[Client]) -> Tries:
        return Tries(ground.throttle, client)

    def keyed(request: Request[Any, Any, Any], body: RawBody) -> Keyed | None:
        return idempotency.keyed(settings.jwt_keys, request.scope, body)

    return create_service(
        NAME,
        settings=settings,
        routes=ROUTES,
        auth=LocalAuthenticator(verifier(settings), ground.sessions),
        database=ground.database,
        dependencies={"client": client, "tries": tries, "keyed": keyed, **_rooms(settings, ground)},
        lifespan=[
            _closing(ground),
            ground.standing,
            ground.relay,
            _events(settings),
            *_mails(settings, ground.actions),
            Housekeeping(ground.database),
        ],
        description="Accounts, sessions, and the only signer of access tokens.",
    )


def _ground(settings: Settings) -> Ground:
    """Build it; a tombstone lasts as long as any verifier would take a token, whatever it was signed for."""
    dsn, size, lifetime = settings.database_url.reveal(), settings.database_pool_size, settings.jwt_max_seconds
    database = Database(dsn, size=size, application=NAME, pooled=settings.is_pooled)
    standing = StandingAuthority(connect(settings.redis_url), database, lifetime=lifetime)
    limits = Limits(
        settings.throttle_account_per_minute, settings.throttle_address_per_minute, settings.throttle_mails_per_hour
    )
    return Ground(
        database,
        UnitOfWork(dsn, size=size, application=NAME, pooled=settings.is_pooled),
        Passwords.of(settings),
        SessionRepository(database, token_lifetime=lifetime),
        AccountChanges(database, token_lifetime=lifetime),
        ActionTokens(settings),
        standing,
        Relay(settings.session_url.reveal(), TOPIC, standing.deliver),
        Throttle(connect(settings.redis_url), limits, secret=settings.jwt_keys.signing[1]),
    )


def _rooms(settings: Settings, ground: Ground) -> Mapping[str, Callable[[], object]]:
    """What handlers name in their signatures."""
    passwords, changes, relay = ground.passwords, ground.changes, ground.relay
    rooms = {
        "accounts": AccountService(ground.unit_of_work, passwords),
        "profile": ProfileService(changes, passwords, relay),
        "recovery": RecoveryService(
            RecoveryRepository(ground.database), changes, passwords, tokens=ground.actions, relay=relay
        ),
        "sessions": _sessions(settings, ground),
        "erasures": events.Erasures(ground.database, settings.jwt_keys),
        "administration": Administration(ground.database, token_lifetime=settings.jwt_max_seconds),
        "admin_queries": AdminQueries(ground.database),
    }
    return {name: _always(room) for name, room in rooms.items()}


def _always(room: object) -> Callable[[], object]:
    return lambda: room


def _sessions(settings: Settings, ground: Ground) -> SessionService:
    idle = settings.refresh_idle_seconds
    return SessionService(
        ground.sessions,
        ground.passwords,
        access=AccessTokens(settings),
        refresh=RefreshTokens(ground.database, idle=idle, grace=settings.refresh_grace_seconds),
        standing=ground.standing,
        relay=ground.relay,
        lifetimes=Lifetimes(session=timedelta(seconds=settings.session_seconds), idle=timedelta(seconds=idle)),
    )


@asynccontextmanager
async def _events(settings: Settings) -> AsyncIterator[None]:
    """Relays what other services must learn of accounts."""
    async with (
        aclosing(connect(settings.redis_url)) as redis,
        Relay(settings.session_url.reveal(), events.TOPIC, events.EventStream(redis).deliver),
    ):
        yield


def _mails(settings: Settings, tokens: ActionTokens) -> list[Relay]:
    """What sends mails; without a mailer they wait."""
    way_out = mailer(settings)
    if way_out is None:
        return []
    deliver = Delivery(way_out, Letters.of(settings), tokens).deliver
    return [Relay(settings.session_url.reveal(), MAIL, deliver, batch=delivery.BATCH)]


@asynccontextmanager
async def _closing(ground: Ground) -> AsyncIterator[None]:
    try:
        yield
    finally:
        ground.passwords.close()
        await ground.unit_of_work.close()
        await ground.throttle.close()
