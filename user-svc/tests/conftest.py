"""Fixtures of user-svc's tests: a running app in the test's own event loop, on a real PostgreSQL and Valkey."""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncpg
import httpx
import pytest
from msgspec.structs import replace
from redis.asyncio import Redis

from common.auth.standing import READY
from common.settings import load
from common.testing import client_of, random_keys
from common.values import DatabaseUrl, RedisUrl
from user_svc.app import create_app
from user_svc.settings import Settings

ANN = "ann@example.com"
PASSWORD = "correct horse battery"

Call = Callable[..., Awaitable[httpx.Response]]
Rows = Callable[..., Awaitable[list[tuple[Any, ...]]]]
Remembered = Callable[[], Awaitable[dict[str, tuple[str, int]]]]


@pytest.fixture
def unconnected() -> Settings:
    """The settings of an app that would find nothing there; it hashes as cheaply as argon2id can."""
    variables = {
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "JWT_KEYS": random_keys("first", "second"),
        "ARGON2_MEMORY_KIB": "8",
        "ARGON2_PASSES": "1",
        "THROTTLE_ACCOUNT_PER_MINUTE": "0",
        "THROTTLE_ADDRESS_PER_MINUTE": "0",
        "THROTTLE_MAILS_PER_HOUR": "0",
        "LOG_LEVEL": "ERROR",
    }
    return load(Settings, variables)


@pytest.fixture
async def settings(unconnected: Settings, database: Callable[[str], Awaitable[str]], redis_url: str) -> Settings:
    """What the app under test is told; `msgspec.structs.replace` makes another."""
    dsn = await database("user_svc")
    return replace(unconnected, database_url=DatabaseUrl(dsn), redis_url=RedisUrl(redis_url))


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the running app, nobody yet."""
    running: asyncio.Future[httpx.AsyncClient] = asyncio.get_running_loop().create_future()
    over = asyncio.Event()

    async def run() -> None:
        """From start to end in one task, which the two halves of a fixture are not."""
        async with client_of(create_app(settings)) as client:
            running.set_result(client)
            await over.wait()

    def fail(ended: asyncio.Task[None]) -> None:
        if not running.done():
            running.set_exception(ended.exception() or AssertionError("the app did not start"))

    task = asyncio.create_task(run())
    task.add_done_callback(fail)
    yield await running
    over.set()
    await task


@pytest.fixture
def register(client: httpx.AsyncClient) -> Call:
    """Make an account."""

    async def register(email: str = ANN, password: str = PASSWORD) -> httpx.Response:
        return await client.post("/auth/register", json={"email": email, "password": password})

    return register


@pytest.fixture
def login(client: httpx.AsyncClient) -> Call:
    """Log in, at another app than `client`'s where `at` names it."""

    async def login(
        username: str = ANN, password: str = PASSWORD, *, at: httpx.AsyncClient | None = None
    ) -> httpx.Response:
        form = {"username": username, "password": password}
        return await (at or client).post("/auth/jwt/login", data=form)

    return login


@pytest.fixture
async def token(register: Call, login: Call) -> str:
    """The access token of Ann, who has just registered."""
    assert (await register()).status_code == 201
    answer = await login()
    return str(answer.json()["access_token"])


@pytest.fixture
def rows(settings: Settings) -> Rows:
    """Run a statement on a connection of its own, so that only what is committed shows."""

    async def rows(statement: str, *arguments: Any) -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(settings.database_url.reveal())
        try:
            return [tuple(row) for row in await connection.fetch(statement, *arguments)]
        finally:
            await connection.close()

    return rows


@pytest.fixture
async def redis(settings: Settings) -> AsyncIterator[Redis]:
    """A client of the app's Valkey."""
    async with Redis.from_url(settings.redis_url.reveal(), decode_responses=True) as redis:
        yield redis


@pytest.fixture
def remembered(redis: Redis) -> Remembered:
    """All that Redis holds of sessions: each key's value, and the seconds it has to live."""

    async def remembered() -> dict[str, tuple[str, int]]:
        keys = [key for key in await redis.keys() if key != READY]
        return {str(key): (str(await redis.get(key)), await redis.ttl(key)) for key in keys}

    return remembered


@pytest.fixture
def compared() -> Callable[..., Awaitable[float]]:
    """How many times as long one thing takes as another: the median over pairs that share what the machine does.

    By the clock on the wall, or by the `clock` given: `time.process_time` is this process' work, however often others
    interrupt it.
    """

    async def compare(
        one: Callable[[], Awaitable[Any]],
        other: Callable[[], Awaitable[Any]],
        pairs: int,
        clock: Callable[[], float] = time.perf_counter,
    ) -> float:
        async def taken(do: Callable[[], Awaitable[Any]]) -> float:
            started = clock()
            await do()
            return clock() - started

        ratios = []
        for number in range(pairs):  # neither is always the first
            first = await taken(one if number % 2 else other)
            second = await taken(other if number % 2 else one)
            ratios.append(first / second if number % 2 else second / first)
        return statistics.median(ratios)

    return compare
