"""Herds: many first requests at once cost user-svc next to nothing, all get answers, and nobody cancels another."""

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from urllib.parse import urlsplit

import httpx
import msgspec
import pytest
from redis.asyncio import Redis

from common.auth import KeyRing, userinfo
from common.auth.standing import key
from common.auth.userinfo import BULKHEAD
from common.redis import connect
from common.settings import load
from common.testing import a_user, client_of, mint_token, random_keys, session_of
from common.values import RedisUrl
from devstack.fixtures import RunningStack
from todo_svc.app import create_app
from todo_svc.settings import Settings

ASKED = re.compile(r"^userinfo_requests_total\{.*\} (\S+)$", re.MULTILINE)
PROCESSES = 2
GOOD = (200, "user-svc")
LogIn = Callable[[RunningStack, int], Awaitable[list[str]]]
Until = Callable[..., Awaitable[None]]
RedisOf = Callable[[RunningStack], AbstractAsyncContextManager["Redis"]]

e2e = [pytest.mark.e2e, pytest.mark.xdist_group("stack"), pytest.mark.timeout(120)]


class UserSvc(httpx.AsyncBaseTransport):
    """A user-svc that keeps everybody waiting until it may answer, and counts who asks and how many wait at once."""

    def __init__(self) -> None:
        self.user = a_user()
        self.may_answer = asyncio.Event()
        self.asked = self.waiting = self.most = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Be counted, wait, answer; what else is asked, such as deletions, is not there."""
        if request.url.path != "/me":
            return httpx.Response(404, request=request)
        self.asked += 1
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        await self.may_answer.wait()
        self.waiting -= 1
        return httpx.Response(200, content=msgspec.json.encode(self.user), request=request)


class Place:
    """A todo-svc in this process, with the real guard; only its user-svc is made up."""

    def __init__(self, todo_dsn: str, redis_url: str) -> None:
        self.user_svc = UserSvc()
        variables = {
            "DATABASE_URL": todo_dsn,
            "REDIS_URL": redis_url,
            "JWT_KEYS": random_keys(),
            "USER_SVC_URL": "http://user.test",
            "LOG_LEVEL": "ERROR",
        }
        self.settings = load(Settings, variables)
        self.keys: KeyRing = self.settings.jwt_keys
        self.app = create_app(self.settings, transport=self.user_svc)

    def token(self) -> str:
        """Of a session that nobody has heard of."""
        return mint_token(self.keys, sub=str(self.user_svc.user.id))


@pytest.fixture
def place(todo_dsn: str, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Place:
    """That todo-svc, not yet started; its patience is not what is tested, and the machine may be busy."""
    monkeypatch.setattr(userinfo, "TOTAL", 30.0)
    return Place(todo_dsn, redis_url)


def bearing(token: str) -> dict[str, str]:
    """The header of a request with this token."""
    return {"Authorization": f"Bearer {token}"}


async def knock(url: str, token: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection of its own, with a request on it."""
    host = urlsplit(url)
    reader, writer = await asyncio.open_connection(host.hostname, host.port)
    head = [
        "GET /lists HTTP/1.1",
        f"Host: {host.netloc}",
        f"Authorization: Bearer {token}",
        "Connection: close",
        "",
        "",
    ]
    writer.write("\r\n".join(head).encode())
    return reader, writer


async def fetch(url: str, token: str) -> int:
    """The status of a request on a connection of its own."""
    reader, writer = await knock(url, token)
    answer = await reader.read()
    writer.close()
    return int(answer.split(maxsplit=2)[1])


async def questions(url: str) -> float:
    """How often todo-svc's processes have asked `/me`, all together."""
    async with httpx.AsyncClient(base_url=url) as todo:
        return sum(float(count) for count in ASKED.findall((await todo.get("/metrics")).text))


async def forget(redis: Redis, tokens: list[str]) -> None:
    """Make these sessions unheard of: a login had told Redis of them."""
    await redis.delete(*(key(session_of(token)) for token in tokens))


class TestProcesses:
    """Against two real processes of todo-svc."""

    pytestmark = e2e

    async def test_one_token(self, stack: RunningStack, log_in: LogIn, redis_of: RedisOf) -> None:
        """500 concurrent first requests of one session: all 200, and at most one `/me` per process."""
        token, warm = await log_in(stack, 2)
        async with redis_of(stack) as redis:
            await fetch(stack.todo_url, warm)
            before = await questions(stack.todo_url)
            await forget(redis, [token])
            statuses = Counter(await asyncio.gather(*(fetch(stack.todo_url, token) for _ in range(500))))
        assert statuses == {200: 500}
        assert 1 <= await questions(stack.todo_url) - before <= PROCESSES

    async def test_many_tokens(self, stack: RunningStack, log_in: LogIn, redis_of: RedisOf) -> None:
        """The first requests of 200 sessions at once: all 200."""
        tokens = await log_in(stack, 200)
        async with redis_of(stack) as redis:
            await forget(redis, tokens)
        before = await questions(stack.todo_url)
        statuses = Counter(await asyncio.gather(*(fetch(stack.todo_url, token) for token in tokens)))
        assert statuses == {200: 200}
        assert await questions(stack.todo_url) - before > 0

    async def test_half_go_away(self, stack: RunningStack, log_in: LogIn, redis_of: RedisOf) -> None:
        """Of 20 requests that wait for one `/me`, the first 10 hang up: the other 10 get their 200."""
        (token,) = await log_in(stack, 1)
        async with redis_of(stack) as redis:
            await forget(redis, [token])
        stack.pause("user-svc")
        waiting = [await knock(stack.todo_url, token) for _ in range(20)]
        for _, writer in waiting[:10]:
            writer.transport.abort()
        stack.resume("user-svc")
        answers = await asyncio.gather(*(reader.read() for reader, _ in waiting[10:]))
        for _, writer in waiting[10:]:
            writer.close()
        assert Counter(answer.split(maxsplit=2)[1] for answer in answers) == {b"200": 10}


async def test_bulkhead(place: Place, until: Until) -> None:
    """Of 200 sessions at once no more than 64 are asked about at a time, and as many; all 200 get their answer."""

    async def is_full() -> bool:
        return place.user_svc.waiting >= BULKHEAD

    async with client_of(place.app) as todo:
        asking = [asyncio.ensure_future(todo.get("/lists", headers=bearing(place.token()))) for _ in range(200)]
        await until(is_full)
        place.user_svc.may_answer.set()
        answers = await asyncio.gather(*asking)
    assert Counter((answer.status_code, answer.headers["X-Auth-Source"]) for answer in answers) == {GOOD: 200}
    assert place.user_svc.most == BULKHEAD


async def test_first_caller_goes_away(place: Place, until: Until, redis_url: str) -> None:
    """The caller whose request began the question is cancelled in the middle: the others get its answer, asked once."""
    async with client_of(place.app) as todo, connect(RedisUrl.parse(redis_url)) as redis:

        async def looks() -> int:
            """How often the guard has looked into Redis, which it does right before it asks user-svc."""
            statistics = await redis.info("commandstats")
            return int(statistics.get("cmdstat_mget", {"calls": 0})["calls"])

        before, headers = await looks(), bearing(place.token())

        async def have_looked(count: int) -> bool:
            return await looks() - before == count

        asking = [asyncio.ensure_future(todo.get("/lists", headers=headers))]
        await until(partial(have_looked, 1))
        asking += [asyncio.ensure_future(todo.get("/lists", headers=headers)) for _ in range(10)]
        await until(partial(have_looked, 11))
        asking[0].cancel()
        await asyncio.wait(asking[:1])
        place.user_svc.may_answer.set()
        answers = await asyncio.gather(*asking[1:])
    assert asking[0].cancelled()
    assert Counter((answer.status_code, answer.headers["X-Auth-Source"]) for answer in answers) == {GOOD: 10}
    assert place.user_svc.asked == 1
