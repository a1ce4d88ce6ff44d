"""Push: a logout reaches every process while its answers stay cached, and holds when Redis was away for it."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from common.auth.standing import key
from common.testing import session_of
from devstack.fixtures import RunningStack

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("stack"), pytest.mark.timeout(120)]

LOGOUTS = 50
WITHIN = 0.25  # seconds, at the 99th percentile
BUCKET = re.compile(r'^standing_lag_seconds_bucket\{le="([^"]+)"\} (\S+)$', re.MULTILINE)
LogIn = Callable[[RunningStack, int], Awaitable[list[str]]]
LogOut = Callable[[RunningStack, str], Awaitable[None]]
RedisOf = Callable[[RunningStack], AbstractAsyncContextManager["Redis"]]
Processes = tuple[httpx.AsyncClient, ...]
Until = Callable[..., Awaitable[None]]


def bearing(token: str) -> dict[str, str]:
    """The header of a request with this token."""
    return {"Authorization": f"Bearer {token}"}


async def source(process: httpx.AsyncClient, token: str) -> str | None:
    """Who vouches for a token at this process; None where it is refused."""
    answer = await process.get("/lists", headers=bearing(token))
    assert answer.status_code in {200, 401}, answer.text
    return str(answer.headers["X-Auth-Source"]) if answer.status_code == 200 else None


@asynccontextmanager
async def each_process(stack: RunningStack, token: str, redis: Redis, until: Until) -> AsyncIterator[Processes]:
    """A connection to each of todo-svc's two processes.

    A kept connection stays with the process that took it. Two that share a process share its memory: what one of
    them has just learnt from user-svc, the other knows though Redis has meanwhile forgotten it.
    """
    async with AsyncExitStack() as connections, asyncio.timeout(20):

        async def connect() -> httpx.AsyncClient:
            limits = httpx.Limits(max_connections=1)
            client = httpx.AsyncClient(base_url=stack.todo_url, limits=limits, timeout=5)
            return await connections.enter_async_context(client)

        async def learns(client: httpx.AsyncClient) -> bool:
            """Whether its process had to ask user-svc."""
            await redis.delete(key(session_of(token)))
            return await source(client, token) == "user-svc"

        first = await connect()
        while True:
            await until(lambda: learns(first))
            if await learns(other := await connect()):
                break
        yield first, other


@asynccontextmanager
async def only_process(stack: RunningStack) -> AsyncIterator[Processes]:
    """The stack's own todo-svc, which has one."""
    async with httpx.AsyncClient(base_url=stack.status()["todo-svc"]["url"], timeout=5) as client:
        yield (client,)


async def refused_at(process: httpx.AsyncClient, token: str, ended: asyncio.Event) -> float:
    """When this process first refused; until the logout began, every answer came from what it had cached."""
    while (vouched := await source(process, token)) is not None:
        assert ended.is_set() or vouched in {"memory", "redis"}
        await asyncio.sleep(0.002)
    return time.perf_counter()


async def lags(processes: Processes, token: str, user: httpx.AsyncClient) -> list[float]:
    """Seconds from the sending of a logout to the first refusal of each process."""
    for process in processes:
        assert await source(process, token) is not None
        assert await source(process, token) == "memory"
    began = asyncio.Event()
    probes = [asyncio.ensure_future(refused_at(process, token, began)) for process in processes]
    began.set()
    start = time.perf_counter()
    assert (await user.post("/auth/jwt/logout", headers=bearing(token))).status_code == 204
    async with asyncio.timeout(5):
        return [at - start for at in await asyncio.gather(*probes)]


async def heard(todo: httpx.AsyncClient) -> dict[str, float]:
    """The buckets of `standing_lag_seconds`, of all processes together."""
    return {bound: float(count) for bound, count in BUCKET.findall((await todo.get("/metrics")).text)}


async def measure(processes: Processes, tokens: list[str], user: httpx.AsyncClient) -> tuple[list[float], float]:
    """The lags of these logouts, in order, and which share of them the processes themselves call quick enough."""
    before = await heard(processes[0])
    measured = sorted([lag for token in tokens for lag in await lags(processes, token, user)])
    told = {bound: count - before[bound] for bound, count in (await heard(processes[0])).items()}
    assert told["+Inf"] >= len(measured)
    return measured, told[str(WITHIN)] / told["+Inf"]


@pytest.mark.parametrize("workers", [1, 2])
async def test_reaches_every_process(
    workers: int,
    stack: RunningStack,
    log_in: LogIn,
    redis_of: RedisOf,
    until: Until,
    record_testsuite_property: Callable[[str, object], None],
) -> None:
    """Each process refuses within 250 ms at p99, though it had answered from memory a moment before.

    Measured once more where the first time is too slow: the machine may have other work.
    """
    *tokens, scout = await log_in(stack, 2 * LOGOUTS + 1)
    async with (
        redis_of(stack) as redis,
        httpx.AsyncClient(base_url=stack.user_url) as user,
        only_process(stack) if workers == 1 else each_process(stack, scout, redis, until) as processes,
    ):
        for some in (tokens[:LOGOUTS], tokens[LOGOUTS:]):
            measured, quick = await measure(processes, some, user)
            p50, p99, worst = (measured[int(share * (len(measured) - 1))] for share in (0.5, 0.99, 1))
            if p99 <= WITHIN and quick >= 0.99:
                break
    record_testsuite_property(f"revocation_lag_seconds_{workers}", {"p50": p50, "p99": p99, "max": worst})
    assert p99 <= WITHIN
    assert quick >= 0.99


async def test_logout_while_redis_is_down(
    stack: RunningStack, log_in: LogIn, log_out: LogOut, redis_of: RedisOf, until: Until, sealed: Any
) -> None:
    """A logout that answered 2xx meanwhile holds: during the outage, in the moment of its end, and after it.

    Redis comes back with what it had stored, the good standing among it.
    """
    seen, unseen, bystander, scout = await log_in(stack, 4)
    async with redis_of(stack) as redis, each_process(stack, scout, redis, until) as processes:
        for process in processes:
            assert None not in [await source(process, token) for token in (seen, unseen, bystander)]
        await asyncio.to_thread(stack.stop, "redis")
        for token in (seen, unseen):
            await log_out(stack, token)
        assert [await source(process, seen) for process in processes] == [None, None]
        assert [await source(process, bystander) for process in processes] == ["user-svc", "user-svc"]
        await asyncio.to_thread(stack.start, "redis")

        async def told() -> bool:
            """Whether the outage is over; the logouts hold all the time until then."""
            for process in processes:
                assert [await source(process, token) for token in (seen, unseen)] == [None, None]
            return bool(await sealed(redis))

        await until(told)
        await asyncio.to_thread(stack.pause, "user-svc")
        assert [await source(process, token) for token in (seen, unseen) for process in processes] == [None] * 4
        assert None not in [await source(process, bystander) for process in processes]


@pytest.mark.parametrize("told", [True, False], ids=["stopped once it has told", "silent before it could tell"])
async def test_user_svc_away_right_after(
    stack: RunningStack, log_in: LogIn, log_out: LogOut, redis_of: RedisOf, until: Until, sealed: Any, *, told: bool
) -> None:
    """Redis returns and user-svc goes: what was told holds without it; untold, nobody vouches and nothing is written.

    Nothing that Redis had kept from before the outage makes the session good again.
    """
    ended, bystander, scout = await log_in(stack, 3)
    async with redis_of(stack) as redis, each_process(stack, scout, redis, until) as processes:
        for process in processes:
            assert None not in [await source(process, token) for token in (ended, bystander)]
        await asyncio.to_thread(stack.stop, "redis")
        await log_out(stack, ended)
        if told:
            await asyncio.to_thread(stack.start, "redis")
            await until(lambda: sealed(redis))
            await asyncio.to_thread(stack.stop, "user-svc")
        else:
            await asyncio.to_thread(stack.pause, "user-svc")
            await asyncio.to_thread(stack.start, "redis")
        for process in processes:
            assert await source(process, ended) == (None if told else "blind")
            written = await process.post("/lists", json={"title": "Lost"}, headers=bearing(ended))
            assert written.status_code == (401 if told else 503)
            assert await source(process, bystander) is not None
