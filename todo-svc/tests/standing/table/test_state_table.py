"""auth.md's state table, cell by cell, on real processes: what each token gets in each state of user-svc and Redis."""

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from time import perf_counter
from typing import Any, NamedTuple
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from redis.asyncio import Redis

from common.auth import KeyRing
from common.auth.standing import key
from common.testing import claims, mint_token, session_of
from devstack.fixtures import RunningStack

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("another stack"), pytest.mark.timeout(180)]

# Columns: what user-svc says, and whether Redis can be believed. `flushed` is a Redis that user-svc loads anew; where
# user-svc is silent, nobody does, so that it counts as away. A blank separates what is equally right.
COLUMNS = ("up, up", "up, flushed", "silent, up", "up, away", "silent, away")
TABLE = {
    "malformed":               ("401", "401", "401", "401", "401"),
    "forged":                  ("401", "401", "401", "401", "401"),
    "expired":                 ("401", "401", "401", "401", "401"),
    "good, seen lately":       ("memory redis", "memory redis user-svc", "memory redis", "user-svc", "blind"),
    "good, never seen":        ("user-svc", "user-svc", "proof", "user-svc", "blind"),
    "revoked, known here":     ("401", "401", "401", "401", "401"),
    "revoked, not heard here": ("401", "401", "401", "401", "blind"),
    "revoked meanwhile":       ("401", "401", "", "401", ""),  # in this very state, which takes a user-svc that is up
}  # fmt: skip

# What a source is worth: a GET, a POST, and the DELETE of a list (of none there is), which wants a standing of 5 s.
METHODS = READ, WRITE, FRESH = "GET", "POST", "DELETE"
WORTH = {
    "user-svc": {READ: {"200 user-svc"}, WRITE: {"201 user-svc"}, FRESH: {"404 user-svc"}},
    "redis":    {READ: {"200 redis"}, WRITE: {"201 redis"}, FRESH: {"404 redis", "404 memory", "503 NOT_FRESH"}},
    "memory":   {READ: {"200 memory"}, WRITE: {"201 memory"}, FRESH: {"404 redis", "404 memory", "503 NOT_FRESH"}},
    "proof":    {READ: {"200 proof"}, WRITE: {"201 proof"}, FRESH: {"503 NOT_FRESH"}},
    "blind":    {READ: {"200 blind"}, WRITE: {"503 CANNOT_JUDGE"}, FRESH: {"503 NOT_FRESH"}},
    "401":      {READ: {"401 INVALID_TOKEN"}, WRITE: {"401 INVALID_TOKEN"}, FRESH: {"401 INVALID_TOKEN"}},
}  # fmt: skip
ANSWERING = ("500", "429", "html")
SILENT = ("paused", *ANSWERING, "stopped")
REDIS = ("up", "paused", "flushed", "stopped")

RATE, SECONDS, SESSIONS = 50, 1.0, 25
P95, WORST = 0.4, 1.5  # seconds
LogIn = Callable[[RunningStack, int], Awaitable[list[str]]]
LogOut = Callable[[RunningStack, str], Awaitable[None]]
RedisOf = Callable[[RunningStack], AbstractAsyncContextManager[Redis]]
Sealed = Callable[[Redis], Awaitable[bool]]
Until = Callable[..., Awaitable[None]]


def column(user: str, redis: str) -> int:
    """Which column of the table a state belongs to."""
    if redis == "flushed" and user == "up":
        return COLUMNS.index("up, flushed")
    return COLUMNS.index(f"{'up' if user == 'up' else 'silent'}, {'up' if redis == 'up' else 'away'}")


def expected(row: str, method: str, user: str, redis: str) -> set[str]:
    """What is right in a cell; a session that is not fresh is made so where user-svc can be asked."""
    sources = TABLE[row][column(user, redis)].split()
    right: set[str] = set().union(*(WORTH[source][method] for source in sources))
    if user == "up" and "503 NOT_FRESH" in right:
        right = right - {"503 NOT_FRESH"} | {"404 user-svc"}
    return right


class Cast(NamedTuple):
    """The sessions of one scene; of those with a state, todo-svc hears in that state for the first time."""

    seen: str
    crowd: list[str]
    known_dead: str
    dead: dict[str, str]
    leaving: dict[str, str]
    unseen: dict[tuple[str, str], str]

    @classmethod
    def of(cls, tokens: Sequence[str]) -> "Cast":
        """Give out the parts."""
        left = iter(tokens)
        return cls(
            next(left),
            [next(left) for _ in range(SESSIONS)],
            next(left),
            {redis: next(left) for redis in REDIS},
            {redis: next(left) for redis in REDIS},
            {(redis, method): next(left) for redis in REDIS for method in METHODS},
        )

    def token(self, row: str, method: str, redis: str) -> str:
        """Who plays a cell."""
        return {
            "good, seen lately": self.seen,
            "good, never seen": self.unseen[redis, method],
            "revoked, known here": self.known_dead,
            "revoked, not heard here": self.dead[redis],
            "revoked meanwhile": self.leaving[redis],
        }[row]


class Witness:
    """A todo-svc from whose place user-svc is in one state, and what was wrong or slow there."""

    def __init__(self, user: str, todo: httpx.AsyncClient, cast: Cast) -> None:
        self.user = user
        self.todo = todo
        self.cast = cast
        self.cells = 0
        self.latencies: list[float] = []
        self.wrong: dict[tuple[str, ...], str] = {}
        self.slow: dict[tuple[str, str], tuple[float, float]] = {}

    async def got(self, method: str, token: str) -> str:
        """What came of a request, in the words of `WORTH`."""
        path = {READ: "/lists?limit=1", WRITE: "/lists", FRESH: f"/lists/{uuid4()}"}[method]
        body = {"title": str(uuid4())} if method == WRITE else None
        start = perf_counter()
        answer = await self.todo.request(method, path, json=body, headers={"Authorization": f"Bearer {token}"})
        self.latencies.append(perf_counter() - start)
        if answer.status_code in {401, 503}:
            assert answer.status_code == 401 or int(answer.headers["Retry-After"]) > 0
            return f"{answer.status_code} {answer.json()['code']}"
        if method == FRESH:
            assert int(answer.headers["X-Auth-Age"]) <= 5
        return f"{answer.status_code} {answer.headers['X-Auth-Source']}"

    async def has_noticed(self, sources: Sequence[str]) -> bool:
        """Whether these vouch for everybody; on the way there no good token is refused.

        The first is asked twice: what user-svc says is kept in memory until the loss of Redis has been noticed.
        """
        outcomes = [await self.got(READ, token) for token in (self.cast.seen, self.cast.seen)]
        outcomes += await asyncio.gather(*(self.got(READ, token) for token in self.cast.crowd))
        assert {outcome.split()[0] for outcome in outcomes} == {"200"}
        return {outcome.split()[1] for outcome in outcomes} <= set(sources)

    async def play(self, redis: str, forged: dict[str, str]) -> None:
        """Every cell of this state, each for a read, a write and what wants a fresh standing."""
        self.latencies = []
        cells = [(row, method) for row in TABLE for method in METHODS if expected(row, method, self.user, redis)]
        tokens = [forged.get(row) or self.cast.token(row, method, redis) for row, method in cells]
        got = await asyncio.gather(*(self.got(cell[1], token) for cell, token in zip(cells, tokens, strict=True)))
        for (row, method), outcome in zip(cells, got, strict=True):
            self._judge(row, method, redis, outcome)
        self.cells += len(cells)
        if max(self.latencies) > WORST:
            self.slow["a cell", redis] = (0.0, max(self.latencies))

    async def bear(self, redis: str) -> None:
        """Reads and writes by people seen lately; once more if they were slow: the machine may have other work."""
        for _ in range(2):
            self.latencies = []
            start = perf_counter()
            await asyncio.gather(*(self._arrive(number, start, redis) for number in range(int(RATE * SECONDS))))
            times = sorted(self.latencies)
            p95, worst = times[math.ceil(0.95 * len(times)) - 1], times[-1]
            if p95 <= P95 and worst <= WORST:
                return
        self.slow[self.user, redis] = (p95, worst)

    async def _arrive(self, number: int, start: float, redis: str) -> None:
        await asyncio.sleep(start + number / RATE - perf_counter())
        method = READ if number % 5 else WRITE
        self._judge("good, seen lately", method, redis, await self.got(method, self.cast.crowd[number % SESSIONS]))

    def _judge(self, row: str, method: str, redis: str, outcome: str) -> None:
        if outcome not in expected(row, method, self.user, redis):
            self.wrong[self.user, redis, row, method] = outcome


class Scene:
    """Redis in each of its states, one after another, and all the witnesses of it at once."""

    def __init__(self, stage: Any, redis: Redis, until: Until, is_sealed: Callable[[], Awaitable[bool]]) -> None:
        self.stage = stage
        self.stack: RunningStack = stage.stack
        self.redis = redis
        self.until = until
        self.is_sealed = is_sealed
        self.state = "up"
        self.witnesses: list[Witness] = []

    @asynccontextmanager
    async def open(self, users: Sequence[str], log_in: LogIn, log_out: LogOut) -> AsyncIterator[Cast]:
        """Log everybody in, and some out, before the witnesses are there to hear of it; then show them some."""
        await self.until(self.is_sealed)
        cast = Cast.of(await log_in(self.stack, 2 + SESSIONS + 5 * len(REDIS)))
        for token in (cast.known_dead, *cast.dead.values()):
            await log_out(self.stack, token)
        await self.redis.delete(*(key(session_of(token)) for token in cast.unseen.values()))
        async with self.stage.seen_from(*users) as urls, AsyncExitStack() as clients:
            for user, url in urls.items():
                todo = await clients.enter_async_context(httpx.AsyncClient(base_url=url, timeout=10))
                self.witnesses.append(Witness(user, todo, cast))
            await self.settle()
            for witness in self.witnesses:
                assert await witness.got(READ, cast.known_dead) == "401 INVALID_TOKEN"
            yield cast

    async def enter(self, state: str) -> None:
        """Put Redis in the next state, from the one that it is in; a pause leaves no trace, so a flush follows it."""
        if self.state == "paused":
            await self._steer("resume", "redis")
            self.state = "up"
            await self.settle()
        if state == "flushed":
            await self.redis.flushall()
        elif state != "up":
            await self._steer({"paused": "pause", "stopped": "stop"}[state], "redis")
        self.state = state
        if state == "flushed" and self.witnesses[0].user == "up":
            await self.until(self.is_sealed)
        else:
            await self.settle()

    async def settle(self) -> None:
        """Wait until every witness has noticed."""

        async def noticed(witness: Witness) -> bool:
            return await witness.has_noticed(TABLE["good, seen lately"][column(witness.user, self.state)].split())

        await asyncio.gather(*(self.until(partial(noticed, witness)) for witness in self.witnesses))

    async def play(self, forged: dict[str, str]) -> None:
        """Every cell of this state of Redis, then the load, from all places at once."""
        await asyncio.gather(*(witness.play(self.state, forged) for witness in self.witnesses))
        await asyncio.gather(*(witness.bear(self.state) for witness in self.witnesses))

    async def _steer(self, verb: str, piece: str) -> None:
        await asyncio.to_thread(getattr(self.stack, verb), piece)


@pytest_asyncio.fixture(loop_scope="session")
async def scene(stage: Any, redis_of: RedisOf, until: Until, sealed: Sealed) -> AsyncIterator[Scene]:
    """A scene on that stage."""
    async with redis_of(stage.stack) as redis:
        yield Scene(stage, redis, until, lambda: sealed(redis))


@pytest.fixture
def forged(stage: Any) -> dict[str, str]:
    """Tokens that prove nothing; the last was signed with the stack's own key."""
    keys = KeyRing.parse(stage.stack.keys)
    now = claims()["iat"]
    return {
        "malformed": "a.b.c",
        "forged": mint_token(KeyRing({keys.signing[0]: bytes(range(32))})),
        "expired": mint_token(keys, iat=now - 601, exp=now - 1),
    }


def right(witness: Witness) -> None:
    """No cell differs from the table, every one was played, and none was slow."""
    assert witness.wrong == {}
    assert witness.slow == {}
    assert witness.cells == len(REDIS) * len(METHODS) * (len(TABLE) - (witness.user != "up"))


async def test_user_svc_is_silent(scene: Scene, forged: dict[str, str], log_in: LogIn, log_out: LogOut) -> None:
    """Frozen, gone, or answering what is no verdict, and Redis in each state: the table, within its times."""
    async with scene.open(SILENT, log_in, log_out):
        scene.stack.pause("user-svc")
        for redis in REDIS:
            await scene.enter(redis)
            await scene.play(forged)
    for witness in scene.witnesses:
        right(witness)
    assert [scene.stage.impostors[state].answered > 0 for state in ANSWERING] == [True] * len(ANSWERING)


async def test_user_svc_is_up(scene: Scene, forged: dict[str, str], log_in: LogIn, log_out: LogOut) -> None:
    """It alone can judge while Redis is away, and ends sessions in every state of it."""
    async with scene.open(("up",), log_in, log_out) as cast:
        for redis in REDIS:
            await scene.enter(redis)
            await log_out(scene.stack, cast.leaving[redis])
            await scene.play(forged)
    right(scene.witnesses[0])
