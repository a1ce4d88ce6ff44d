"""The wiring of user-svc."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any
from unittest.mock import AsyncMock

import pytest
from litestar import Litestar
from litestar.routes import HTTPRoute
from msgspec.structs import replace
from redis.asyncio import Redis

from common.auth import KeyRing
from common.testing import client_of, random_keys
from common.unit_of_work import UnitOfWork
from devstack.processes import wait_until
from user_svc.app import create_app
from user_svc.housekeeping import Housekeeping
from user_svc.settings import Settings
from user_svc.throttle import Throttle

Rows = Callable[..., Awaitable[list[tuple[Any, ...]]]]

OPEN = {
    ("POST", "/auth/register"),
    ("POST", "/auth/jwt/login"),
    ("POST", "/auth/jwt/refresh"),
    ("POST", "/auth/request-verify-token"),
    ("POST", "/auth/verify"),
    ("GET", "/auth/verify"),
    ("POST", "/auth/forgot-password"),
    ("POST", "/auth/reset-password"),
    ("GET", "/auth/reset-password"),
    ("GET", "/health/live"),
    ("GET", "/health/ready"),
    ("GET", "/metrics"),
    ("GET", "/docs"),
    ("GET", "/openapi.json"),
}
GUARDED = {
    ("POST", "/auth/jwt/logout"),
    ("GET", "/me"),
    ("GET", "/users/me"),
    ("PATCH", "/users/me"),
    ("DELETE", "/users/me"),
    ("POST", "/users/me/password"),
    ("GET", "/users/me/sessions"),
    ("DELETE", "/users/me/sessions"),
    ("DELETE", "/users/me/sessions/{session_id:uuid}"),
    ("GET", "/users"),
    ("GET", "/users/{user_id:uuid}"),
    ("PATCH", "/users/{user_id:uuid}"),
    ("DELETE", "/users/{user_id:uuid}"),
    ("GET", "/audit"),
    ("GET", "/internal/erasures"),  # by a service's own signature
}


def routes(app: Litestar) -> set[tuple[str, str]]:
    """Every method and path, but for the documentation's script."""
    return {
        (method, route.path)
        for route in app.routes
        if isinstance(route, HTTPRoute) and not route.path.endswith(".js")
        for method in route.methods
        if method != "OPTIONS"
    }


async def test_every_route_but_the_named_ones_is_guarded(unconnected: Settings) -> None:
    """Guarded is the default: without a token each route is 401 that is not on the list of open ones."""
    app = create_app(unconnected)
    async with client_of(app) as client:
        refused = {
            (method, path) for method, path in routes(app) if (await client.request(method, path)).status_code == 401
        }

    assert (refused, routes(app) - refused) == (GUARDED, OPEN)


def test_without_settings_it_reads_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each worker of uvicorn builds the app by its name: what it is told is in the environment."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1:1/none")
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setenv("JWT_KEYS", random_keys())
    monkeypatch.setenv("MAIL_FOLDER", "mail")

    assert isinstance(create_app(), Litestar)


def test_without_an_environment_it_ends_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A worker with a wrong setting says which, and ends with 2."""
    for name in ("DATABASE_URL", "REDIS_URL", "JWT_KEYS"):
        monkeypatch.delenv(name, raising=False)

    with pytest.raises(SystemExit) as ended:
        create_app()

    assert ended.value.code == 2
    assert capsys.readouterr().err == ("user-svc: DATABASE_URL is not set; REDIS_URL is not set; JWT_KEYS is not set\n")


async def test_a_shutdown_gives_everything_back(settings: Settings, rows: Rows, redis: Redis) -> None:
    """After the end no connection to PostgreSQL or Redis is left, and no thread."""
    connections = (
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'user-svc' AND datname = current_database()"
    )
    body = {"email": "ann@example.com", "password": "correct horse battery"}
    async with client_of(create_app(settings)) as client:
        await client.post("/auth/register", json=body)
        await client.post("/auth/jwt/login", data={"username": body["email"], "password": body["password"]})
        during = (len(await rows(connections)) > 1, await clients(redis) > 1, argon2_threads() > 0)

    async with asyncio.timeout(5):
        while await rows(connections) or await clients(redis) > 1:
            pass
    assert during == (True, True, True)
    assert await asyncio.to_thread(wait_until, lambda: argon2_threads() == 0, 5.0)


async def test_two_apps_in_one_process_are_two(settings: Settings) -> None:
    """Nothing of an app is global: one with other keys does not believe the first one's tokens."""
    body = {"email": "ann@example.com", "password": "correct horse battery"}
    stranger = replace(settings, jwt_keys=KeyRing.parse(random_keys("first")))
    async with client_of(create_app(settings)) as one, client_of(create_app(stranger)) as two:
        await one.post("/auth/register", json=body)
        login = await two.post("/auth/jwt/login", data={"username": body["email"], "password": body["password"]})
        headers = {"Authorization": f"Bearer {login.json()['access_token']}"}
        answers = [await client.get("/me", headers=headers) for client in (one, two)]

    assert [answer.status_code for answer in answers] == [401, 200]


async def clients(redis: Redis) -> int:
    """How many connections Redis has, ours included."""
    return len(await redis.client_list())


def argon2_threads() -> int:
    """How many threads hash."""
    return sum(thread.name.startswith("argon2") for thread in threading.enumerate())


async def test_a_start_that_fails_leaves_nothing_open(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was opened before is closed, though the service never ran."""
    closed: list[type] = []

    def noted(kind: type) -> Callable[[object], Awaitable[None]]:
        async def close(_self: object) -> None:
            closed.append(kind)

        return close

    for kind in (UnitOfWork, Throttle):
        monkeypatch.setattr(kind, "close", noted(kind))
    monkeypatch.setattr(Housekeeping, "__aenter__", AsyncMock(side_effect=OSError))
    with pytest.raises(ExceptionGroup):
        async with client_of(create_app(settings)):
            pass
    assert closed == [UnitOfWork, Throttle]
