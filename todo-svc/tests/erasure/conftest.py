"""Who erases, what there is to erase, and who waits for it."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
import pytest_asyncio
from redis.asyncio import Redis

from common import events
from common.database import Database
from common.redis import listen
from common.testing import FlakyTransport
from common.values import RedisUrl
from devstack.fixtures import TestPostgres
from todo_svc import erasure
from todo_svc.erasure import Eraser, ErasureLog, ErasureWorker
from todo_svc.settings import Settings

Running = Callable[[], Any]
Until = Callable[[Callable[[], Awaitable[Any]], Any], Awaitable[None]]
Sql = Callable[..., Awaitable[list[asyncpg.Record]]]
in_the_loop = partial(pytest_asyncio.fixture, loop_scope="session")
LIST = "INSERT INTO lists (owner_id, id, title) VALUES ($1, $2, $3)"
TODO = "INSERT INTO todos (owner_id, id, list_id, content, position) VALUES ($1, $2, $3, 'Milk', 1)"
OWNED = "SELECT (SELECT count(*) FROM lists WHERE owner_id = $1) + (SELECT count(*) FROM todos WHERE owner_id = $1)"
DEADLINE = 15.0


@pytest.fixture
def until() -> Callable[[Callable[[], Awaitable[Any]], Any], Awaitable[None]]:
    """Wait until this is the answer."""

    async def until(ask: Callable[[], Awaitable[Any]], answer: Any) -> None:
        end = time.monotonic() + DEADLINE
        while (last := await ask()) != answer:
            assert time.monotonic() < end, f"still {last}"
            await asyncio.sleep(0.02)

    return until


@in_the_loop()
async def dsn(postgres_server: TestPostgres) -> AsyncIterator[str]:
    """A todo-svc database of the test's own: what was taken in is counted for all owners at once."""
    name = f"todo_{secrets.token_hex(6)}"
    yield await postgres_server.create_database(name, await postgres_server.template("todo_svc"))
    await postgres_server.drop_database(name)


@in_the_loop()
async def database(dsn: str) -> AsyncIterator[Database]:
    """A pool of it."""
    async with Database(dsn, size=4, application="test") as database:
        yield database


@pytest.fixture
def admin_of(postgres_server: TestPostgres, dsn: str) -> str:
    """The same database for somebody whom row-level security does not hold."""
    return postgres_server.admin_dsn(dsn.rpartition("/")[2])


@in_the_loop()
async def admin(admin_of: str) -> AsyncIterator[Database]:
    """A pool of that."""
    async with Database(admin_of, size=2, application="test") as admin:
        yield admin


@pytest.fixture
def eraser(database: Database) -> Eraser:
    """What deletes."""
    return Eraser(database)


@pytest.fixture
def fill(admin: Database) -> Callable[..., Awaitable[UUID]]:
    """Give somebody a list with a todo."""

    async def fill(owner: UUID | None = None) -> UUID:
        owner, made = owner or uuid4(), uuid4()
        await admin.rows(LIST, owner, made, str(made))
        await admin.rows(TODO, owner, uuid4(), made)
        return owner

    return fill


@pytest.fixture
def left(admin: Database) -> Callable[[UUID], Awaitable[int]]:
    """How many rows somebody has."""

    async def left(owner: UUID) -> int:
        return int((await admin.rows(OWNED, owner))[0][0])

    return left


@pytest.fixture
def erased(user_dsn: str) -> Callable[[UUID], Awaitable[int]]:
    """Write down a deletion at user-svc, as its administration does; its sequence."""

    async def erased(user: UUID) -> int:
        connection = await asyncpg.connect(user_dsn)
        statement = "INSERT INTO erasures (account_id) VALUES ($1) RETURNING sequence"
        sequence = int(await connection.fetchval(statement, user))
        await connection.close()
        return sequence

    return erased


@pytest.fixture
def log(settings: Settings, way: FlakyTransport) -> ErasureLog:
    """user-svc's record, asked as todo-svc asks; nothing of it needs to be closed."""
    return ErasureLog("http://user.test", settings.jwt_keys, transport=way)


@pytest.fixture
def worker(eraser: Eraser, log: ErasureLog, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Running:
    """Run a worker until the block ends; it looks at the log when it must, not every minute."""
    monkeypatch.setattr(events, "BLOCK", 100)
    monkeypatch.setattr(events, "PAUSE", 0.05)
    monkeypatch.setattr(erasure, "RETRY", 0.05)

    @asynccontextmanager
    async def run() -> AsyncIterator[ErasureWorker]:
        async with ErasureWorker(listen(RedisUrl.parse(redis_url)), eraser, log) as worker:
            yield worker

    return run


@in_the_loop()
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    """A client of the worker's Valkey."""
    async with Redis.from_url(redis_url) as redis:
        yield redis
