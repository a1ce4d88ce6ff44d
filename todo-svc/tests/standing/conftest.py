"""Fixtures for the tests of standing on real processes: sessions, Redis, and a todo-svc of two workers."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import httpx
import pytest
from redis.asyncio import Redis

from common.auth.channel import identity
from common.auth.standing import READY
from common.redis import connect
from common.values import RedisUrl
from devstack.fixtures import RunningStack, started

PASSWORD = "correct-horse-battery"
AT_ONCE = 16  # user-svc's queue of passwords is bounded, and its length no matter here


@pytest.fixture(scope="session")
def pair(running_stack: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """The running stack, but its todo-svc is another, of two processes; tests take `stack`."""
    todo_svc = running_stack.another_todo_svc(tmp_path_factory.mktemp("pair"), workers=2)
    with started(todo_svc):
        pair = RunningStack(running_stack.data)
        pair.todo_url = todo_svc.url
        yield pair


@pytest.fixture
def stack(pair: RunningStack) -> Iterator[RunningStack]:
    """That stack; whatever the test did to its pieces is undone after it."""
    yield pair
    pair.restore()


@pytest.fixture(scope="session")
def log_in() -> Callable[[RunningStack, int], Awaitable[list[str]]]:
    """Opens sessions of one new account at user-svc itself, and gives their tokens."""

    async def open_sessions(stack: RunningStack, count: int) -> list[str]:
        email = f"{secrets.token_hex(8)}@example.com"
        places = asyncio.Semaphore(AT_ONCE)
        async with httpx.AsyncClient(base_url=stack.user_url, timeout=20) as user:

            async def open_one() -> str:
                async with places:
                    answer = await user.post("/auth/jwt/login", data={"username": email, "password": PASSWORD})
                assert answer.status_code == 200, answer.text
                return str(answer.json()["access_token"])

            registered = await user.post("/auth/register", json={"email": email, "password": PASSWORD})
            assert registered.status_code == 201, registered.text
            return await asyncio.gather(*(open_one() for _ in range(count)))

    return open_sessions


@pytest.fixture(scope="session")
def log_out() -> Callable[[RunningStack, str], Awaitable[None]]:
    """Ends a session at user-svc itself; returns when user-svc has said that it is done."""

    async def end(stack: RunningStack, token: str) -> None:
        async with httpx.AsyncClient(base_url=stack.user_url, timeout=20) as user:
            answer = await user.post("/auth/jwt/logout", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 204, answer.text

    return end


@pytest.fixture(scope="session")
def redis_of() -> Callable[[RunningStack], AbstractAsyncContextManager["Redis"]]:
    """A client of the stack's Redis."""

    @asynccontextmanager
    async def connected(stack: RunningStack) -> AsyncIterator[Redis]:
        async with connect(RedisUrl.parse(stack.status()["redis"]["url"])) as client:
            yield client

    return connected


@pytest.fixture(scope="session")
def sealed() -> Callable[[Redis], Awaitable[bool]]:
    """Whether user-svc has said that this Redis, as it is now, holds every tombstone."""

    async def is_sealed(client: Redis) -> bool:
        return bool(await client.get(READY) == await identity(client))

    return is_sealed


@pytest.fixture(scope="session")
def until() -> Callable[..., Awaitable[None]]:
    """Waits for a condition, for ten seconds at most."""

    async def wait(holds: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(10):
            while True:
                if await holds():
                    return
                await asyncio.sleep(0.02)

    return wait
