"""Fixtures of todo-svc's tests: the service alone behind a fed guard, and both services in one process."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
import pytest_asyncio
from litestar import Litestar
from litestar.types import ASGIApp

from common.settings import load
from common.testing import FakeAuthenticator, FlakyTransport, a_user, random_keys
from devstack.fixtures import TestPostgres
from todo_svc.app import create_app
from todo_svc.settings import Settings
from user_svc.app import create_app as create_user_app
from user_svc.settings import Settings as UserSettings

Json = dict[str, Any]
Sql = Callable[..., Awaitable[list[asyncpg.Record]]]
PASSWORD = "correct-horse-battery"
NOWHERE = "redis://127.0.0.1:1/0"

in_the_loop = partial(pytest_asyncio.fixture, loop_scope="session")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One event loop for the tests of this folder, so that one running service answers them all."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent) and pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@in_the_loop(scope="session")
async def todo_dsn(postgres_server: TestPostgres) -> str:
    """todo-svc's database, one per worker: owners keep the tests apart, as they do in production."""
    return await postgres_server.create_database("pair_todo_svc", await postgres_server.template("todo_svc"))


@in_the_loop(scope="session")
async def user_dsn(postgres_server: TestPostgres) -> str:
    """user-svc's database, one per worker."""
    return await postgres_server.create_database("pair_user_svc", await postgres_server.template("user_svc"))


@pytest.fixture(scope="session")
def admin_dsn(postgres_server: TestPostgres, todo_dsn: str) -> str:
    """The same database for somebody whom row-level security does not hold."""
    return postgres_server.admin_dsn(todo_dsn.rpartition("/")[2])


@pytest.fixture
def sql(admin_dsn: str) -> Sql:
    """Runs a statement on a superuser's connection of its own: what it reads is committed, what it writes is."""

    async def run(statement: str, *arguments: Any) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(admin_dsn)
        try:
            return list(await connection.fetch(statement, *arguments))
        finally:
            await connection.close()

    return run


@pytest.fixture(scope="session")
def variables(todo_dsn: str) -> dict[str, str]:
    """The environment of a todo-svc whose Redis and user-svc are not there; its guard is fed instead."""
    return {
        "DATABASE_URL": todo_dsn,
        "REDIS_URL": NOWHERE,
        "JWT_KEYS": random_keys(),
        "USER_SVC_URL": "http://user.test",
        "CORS_ORIGINS": "https://app.example.com",
        "ACCESS_LOG": "false",
    }


@pytest.fixture(scope="session")
def settings(variables: dict[str, str]) -> Settings:
    """The settings of that environment."""
    return load(Settings, variables)


@pytest.fixture(scope="session")
def authenticator() -> FakeAuthenticator:
    """Feeds the guard."""
    return FakeAuthenticator()


@pytest.fixture(scope="session")
def running() -> Callable[[Litestar], Any]:
    """Runs an app from its start to its end in one task, which the two halves of a fixture are not."""

    @asynccontextmanager
    async def run(app: Litestar) -> AsyncIterator[Litestar]:
        started, over = asyncio.Event(), asyncio.Event()

        async def live() -> None:
            async with app.lifespan():
                started.set()
                await over.wait()

        task = asyncio.ensure_future(live())
        task.add_done_callback(lambda _: started.set())
        await started.wait()
        try:
            yield app
        finally:
            over.set()
            await task

    return run


@in_the_loop(scope="session")
async def app(
    settings: Settings, authenticator: FakeAuthenticator, running: Callable[[Litestar], Any]
) -> AsyncIterator[Litestar]:
    """todo-svc on a real PostgreSQL."""
    async with running(create_app(settings, auth=authenticator)) as app:
        yield app


def client(app: ASGIApp, token: str | None = None) -> httpx.AsyncClient:
    """A caller in this event loop; an error that leaves the app is an error of the test."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    transport = httpx.ASGITransport(app)  # type: ignore[arg-type]
    return httpx.AsyncClient(transport=transport, base_url="http://service.test", headers=headers)


@in_the_loop()
async def nobody(app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    """A caller without a token."""
    async with client(app) as nobody:
        yield nobody


@pytest.fixture
def ann_id() -> UUID:
    """Whose rows Ann's are."""
    return uuid4()


@in_the_loop()
async def ann(app: Litestar, authenticator: FakeAuthenticator, ann_id: UUID) -> AsyncIterator[httpx.AsyncClient]:
    """Ann, logged in."""
    async with client(app, authenticator.admit(a_user(id=ann_id))) as ann:
        yield ann


@in_the_loop()
async def bob(app: Litestar, authenticator: FakeAuthenticator) -> AsyncIterator[httpx.AsyncClient]:
    """Bob, logged in, who is somebody else."""
    async with client(app, authenticator.admit()) as bob:
        yield bob


async def _created(caller: httpx.AsyncClient, path: str, **body: Any) -> Json:
    answer = await caller.post(path, json=body)
    assert answer.status_code == 201
    return dict(answer.json())


@in_the_loop()
async def groceries(ann: httpx.AsyncClient) -> Json:
    """A list of Ann's."""
    return await _created(ann, "/lists", title="Groceries")


@in_the_loop()
async def milk(ann: httpx.AsyncClient, groceries: Json) -> Json:
    """The one todo on it, every field filled."""
    fields = {"priority": "high", "description": "Two bottles", "due_at": "2030-05-01T12:00:00Z"}
    return await _created(ann, f"/lists/{groceries['id']}/todos", content="Milk", **fields)


@in_the_loop()
async def bobs_list(bob: httpx.AsyncClient) -> Json:
    """A list of Bob's."""
    return await _created(bob, "/lists", title="Bob's own")


@in_the_loop()
async def bobs_todo(bob: httpx.AsyncClient, bobs_list: Json) -> Json:
    """A todo on it."""
    return await _created(bob, f"/lists/{bobs_list['id']}/todos", content="Private")


@pytest.fixture
def walk() -> Callable[..., Awaitable[list[Json]]]:
    """Follows `next_cursor` to the end, and gives every item met on the way."""

    async def follow(caller: httpx.AsyncClient, path: str, **parameters: Any) -> list[Json]:
        items: list[Json] = []
        cursor: Json = {}
        while True:
            answer = await caller.get(path, params=parameters | cursor)
            assert answer.status_code == 200, answer.text
            page = answer.json()
            items += page["items"]
            if page["next_cursor"] is None:
                return items
            assert len(page["items"]) == parameters.get("limit", 50)
            cursor = {"cursor": page["next_cursor"]}

    return follow


@pytest.fixture
def pair_variables(variables: dict[str, str], redis_url: str) -> dict[str, str]:
    """The environment of a todo-svc that shares Redis and the secret with user-svc."""
    return variables | {"REDIS_URL": redis_url}


@in_the_loop()
async def user_app(
    pair_variables: dict[str, str], user_dsn: str, running: Callable[[Litestar], Any]
) -> AsyncIterator[Litestar]:
    """user-svc, the whole of it, with quick passwords."""
    cheap = {"ARGON2_MEMORY_KIB": "8", "ARGON2_PASSES": "1", "DATABASE_URL": user_dsn}
    cheap |= {"THROTTLE_ACCOUNT_PER_MINUTE": "0", "THROTTLE_ADDRESS_PER_MINUTE": "0"}
    async with running(create_user_app(load(UserSettings, pair_variables | cheap))) as app:
        yield app


@pytest.fixture
def way(user_app: Litestar) -> FlakyTransport:
    """todo-svc's way to user-svc, which a test can cut."""
    return FlakyTransport(user_app)


@in_the_loop()
async def user_svc(user_app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the real user-svc."""
    async with client(user_app) as user_svc:
        yield user_svc


@in_the_loop()
async def todo_svc(
    pair_variables: dict[str, str], way: FlakyTransport, running: Callable[[Litestar], Any]
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a todo-svc whose guard asks that user-svc, without a socket between them."""
    async with (
        running(create_app(load(Settings, pair_variables), transport=way)) as app,
        client(app) as todo_svc,
    ):
        yield todo_svc


@in_the_loop()
async def email(user_svc: httpx.AsyncClient) -> str:
    """The address of somebody registered at user-svc with `correct-horse-battery`."""
    address = f"{secrets.token_hex(8)}@example.com"
    answer = await user_svc.post("/auth/register", json={"email": address, "password": PASSWORD})
    assert answer.status_code == 201
    return address


@in_the_loop()
async def bearer(todo_svc: httpx.AsyncClient, email: str) -> dict[str, str]:
    """The Authorization header of that person, logged in through todo-svc."""
    answer = await todo_svc.post("/auth/jwt/login", data={"username": email, "password": PASSWORD})
    assert answer.status_code == 200
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}
