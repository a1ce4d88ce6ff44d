"""Rotation of JWT_KEYS while people work: step by step, replica by replica, without a single 401.

Both services run in this process, two replicas of each, on one PostgreSQL and one Valkey. A step replaces one replica
after the other, so that old and new rings answer side by side, as in a rolling deployment. What is not shown is time:
instead of waiting a token's lifetime, everybody's tokens are replaced before the old key is dropped.
"""

import asyncio
import random
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

import httpx
import jwt
import pytest
from litestar import Litestar

from common.settings import load
from common.testing import random_keys
from todo_svc.app import create_app as create_todo_app
from todo_svc.settings import Settings as TodoSettings
from user_svc.app import create_app as create_user_app
from user_svc.settings import Settings as UserSettings

pytestmark = pytest.mark.timeout(120)

PASSWORD = "correct-horse-battery"
PEOPLE = 8
REPLICAS = 2
ROUND = 60  # requests between two changes: enough for each person to meet each replica, old token and new
Until = Callable[..., Awaitable[None]]
Running = Callable[[Litestar], AbstractAsyncContextManager[Litestar]]


class Replica:
    """A running app, and how many requests are under way in it."""

    def __init__(self, app: Litestar) -> None:
        self.transport = httpx.ASGITransport(app)  # type: ignore[arg-type]
        self.life = AsyncExitStack()
        self.busy = 0

    async def answer(self, request: httpx.Request) -> httpx.Response:
        """Be counted, and pass on."""
        self.busy += 1
        try:
            return await self.transport.handle_async_request(request)
        finally:
            self.busy -= 1


class Replicas(httpx.AsyncBaseTransport):
    """The replicas of a service; each request goes to any of them."""

    def __init__(self, running: Running) -> None:
        self._running = running
        self._replicas: list[Replica] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Choose, and pass on."""
        return await random.choice(self._replicas).answer(request)

    async def add(self, app: Litestar) -> None:
        """Start one more."""
        replica = Replica(app)
        await replica.life.enter_async_context(self._running(app))
        self._replicas.append(replica)

    async def remove(self, until: Until) -> None:
        """Send the oldest no more requests, and stop it when those under way are done."""
        replica = self._replicas.pop(0)

        async def is_idle() -> bool:
            return replica.busy == 0

        await until(is_idle)
        await replica.life.aclose()

    async def close(self) -> None:
        """Stop all."""
        while self._replicas:
            await self._replicas.pop().life.aclose()


class Installation:
    """Both services, and the people who use them; `statuses` counts what they were answered."""

    def __init__(self, user: Replicas, todo: Replicas, variables: dict[str, dict[str, str]], until: Until) -> None:
        self.until = until
        self.user, self.todo = user, todo
        self.variables = variables
        self.statuses: Counter[int] = Counter()
        self.tokens: list[str] = []
        self.email = f"{secrets.token_hex(8)}@example.com"
        self.clients = [
            httpx.AsyncClient(transport=replicas, base_url=f"http://{name}.test")
            for name, replicas in (("user", user), ("todo", todo))
        ]

    async def give(self, service: str, ring: str) -> None:
        """Replace the replicas of a service by some with this ring, one after the other."""
        replicas = self.user if service == "user" else self.todo
        for _ in range(REPLICAS):
            await replicas.add(self._app(service, ring))
            await self.work()
            await replicas.remove(self.until)
            await self.work()

    async def start(self, ring: str) -> None:
        """The first replicas of both, before there are people."""
        for _ in range(REPLICAS):
            await self.user.add(self._app("user", ring))
            await self.todo.add(self._app("todo", ring))

    async def work(self) -> None:
        """Let the people do another round."""
        goal = self.statuses.total() + ROUND
        async with asyncio.timeout(30):
            while self.statuses.total() < goal:
                ended, _ = await asyncio.wait(self.people, timeout=0.01, return_when=asyncio.FIRST_COMPLETED)
                for person in ended:
                    person.result()

    async def live_a_lifetime(self) -> None:
        """All tokens of before are at their end; their holders have logged in again meanwhile."""
        self.tokens = [await self.log_in() for _ in range(PEOPLE)]
        await self.work()

    async def log_in(self) -> str:
        """A new token, from any replica, through any of the two services."""
        form = {"username": self.email, "password": PASSWORD}
        answer = await random.choice(self.clients).post("/auth/jwt/login", data=form)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def signers(self) -> set[str]:
        """The names of the keys that signed what people hold."""
        return {jwt.get_unverified_header(token)["kid"] for token in self.tokens}

    def _app(self, service: str, ring: str) -> Litestar:
        variables = self.variables[service] | {"JWT_KEYS": ring}
        if service == "user":
            return create_user_app(load(UserSettings, variables))
        return create_todo_app(load(TodoSettings, variables), transport=self.user)

    @asynccontextmanager
    async def in_use(self, ring: str) -> AsyncIterator[None]:
        """Run with this ring and have people at work until the block ends; none of them may have met an error."""
        await self.start(ring)
        answer = await self.clients[0].post("/auth/register", json={"email": self.email, "password": PASSWORD})
        assert answer.status_code == 201
        self.tokens.append(await self.log_in())
        self.people = [asyncio.ensure_future(self._person()) for _ in range(PEOPLE)]
        try:
            yield
        finally:
            for person in self.people:
                person.cancel()
            await asyncio.gather(*self.people, return_exceptions=True)
            for replicas in (self.todo, self.user):
                await replicas.close()

    async def _person(self) -> None:
        """Ask with any token that lives, from the oldest to the newest, at any place; log in anew now and then."""
        while True:
            client = random.choice(self.clients)
            path = "/lists" if client is self.clients[1] else "/me"
            headers = {"Authorization": f"Bearer {random.choice(self.tokens)}"}
            self.statuses[(await client.get(path, headers=headers)).status_code] += 1
            if random.random() < 0.2:
                tokens = self.tokens
                tokens.append(await self.log_in())


@pytest.fixture
def installation(redis_url: str, user_dsn: str, todo_dsn: str, running: Running, until: Until) -> Installation:
    """Two services without a replica yet."""
    shared = {
        "REDIS_URL": redis_url,
        "LOG_LEVEL": "ERROR",
        "USER_SVC_URL": "http://user.test",
        "DATABASE_POOL_SIZE": "3",
    }
    cheap = {"ARGON2_MEMORY_KIB": "8", "ARGON2_PASSES": "1"}
    cheap |= {"THROTTLE_ACCOUNT_PER_MINUTE": "0", "THROTTLE_ADDRESS_PER_MINUTE": "0"}
    variables = {"user": shared | cheap | {"DATABASE_URL": user_dsn}, "todo": shared | {"DATABASE_URL": todo_dsn}}
    return Installation(Replicas(running), Replicas(running), variables, until)


async def test_nobody_notices(installation: Installation) -> None:
    """The new key second everywhere, then first in user-svc, the old one dropped after a lifetime: nothing but 200."""
    old, new = random_keys("old"), random_keys("new")
    async with installation.in_use(old):
        await installation.work()
        assert installation.signers() == {"old"}
        for service in ("todo", "user"):
            await installation.give(service, f"{old},{new}")
        assert installation.signers() == {"old"}
        await installation.give("user", f"{new},{old}")
        await installation.work()
        assert installation.signers() == {"old", "new"}
        await installation.live_a_lifetime()
        assert installation.signers() == {"new"}
        for service in ("todo", "user"):
            await installation.give(service, new)
    assert set(installation.statuses) == {200}


async def test_a_step_left_out(installation: Installation) -> None:
    """What the order is for, and that the count would show it: a signature by a key that todo-svc lacks is a 401."""
    old, new = random_keys("old"), random_keys("new")
    async with installation.in_use(old):
        await installation.give("user", f"{new},{old}")
        await installation.work()
    assert set(installation.statuses) == {200, 401}
