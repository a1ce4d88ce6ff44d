"""Budgets and breakers: what the guard costs while others do not answer."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from common.auth import Source
from common.auth.breaker import IN_A_ROW, State
from common.auth.standing import BUDGET, StoreUnavailable
from common.auth.userinfo import TOTAL
from common.testing import eventually

pytestmark = pytest.mark.usefixtures("budgets")

NOTICEABLE = 0.3  # seconds: what a busy machine may add


@pytest.fixture
async def silent() -> AsyncIterator[str]:
    """Host and port of a server that accepts and never answers."""
    connections: list[asyncio.BaseTransport] = []

    class Mute(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            connections.append(transport)

    server = await asyncio.get_running_loop().create_server(Mute, "127.0.0.1", 0)
    async with server:
        yield "{}:{}".format(*server.sockets[0].getsockname())
        for connection in connections:
            connection.close()


async def timed(ladder: Any, **asked: bool) -> tuple[Source, float]:
    """Who carried a new session's request, and how long it took."""
    started = time.perf_counter()
    found = await ladder.admit(ladder.caller(), **asked)
    return found.source, time.perf_counter() - started


async def test_silent_user_svc_costs_its_budget(unstarted: Any, silent: str) -> None:
    """600 ms in all, however long the silence lasts; then proof."""
    await unstarted.load()
    await unstarted.start(user_svc=f"http://{silent}")
    source, seconds = await timed(unstarted)
    assert source is Source.PROOF
    assert TOTAL <= seconds < TOTAL + NOTICEABLE


async def test_silent_user_svc_costs_its_budget_but_for_a_while(unstarted: Any, silent: str) -> None:
    """The first five wait; then the breaker is open, and nobody does."""
    await unstarted.load()
    await unstarted.start(user_svc=f"http://{silent}")
    unstarted.userinfo._breaker._jitter = lambda upper: upper
    await asyncio.gather(*(timed(unstarted) for _ in range(IN_A_ROW)))
    source, seconds = await timed(unstarted)
    assert source is Source.PROOF
    assert seconds < 0.1


async def test_silent_redis_costs_its_budget(unstarted: Any, silent: str) -> None:
    """50 ms, and user-svc decides."""
    await unstarted.start(redis=f"redis://{silent}/0")
    caller = unstarted.caller()
    unstarted.knows(caller.user)
    started = time.perf_counter()
    assert (await unstarted.admit(caller, safe=False)).source is Source.USER_SVC
    assert time.perf_counter() - started < 2 * BUDGET + NOTICEABLE


async def test_both_silent_cost_both_budgets(unstarted: Any, silent: str) -> None:
    """The longest anybody waits for the guard."""
    await unstarted.start(redis=f"redis://{silent}/0", user_svc=f"http://{silent}")
    source, seconds = await timed(unstarted)
    assert source is Source.BLIND
    assert seconds < BUDGET + TOTAL + NOTICEABLE


async def test_open_breaker_asks_nobody(ladder: Any) -> None:
    """After five failures in a row no `/me` is asked and the answer is quick; one probe finds user-svc back."""
    breaker = ladder.userinfo._breaker
    breaker._jitter = lambda upper: upper
    ladder.user_svc.fail = httpx.ConnectError("refused")
    for _ in range(IN_A_ROW):
        await timed(ladder)
    assert (breaker.state, ladder.user_svc.asked) == (State.OPEN, IN_A_ROW)
    answers = [await timed(ladder) for _ in range(20)]
    assert {source for source, _ in answers} == {Source.PROOF}
    assert max(seconds for _, seconds in answers) < 0.1
    assert ladder.user_svc.asked == IN_A_ROW
    caller = ladder.caller()
    ladder.knows(caller.user)
    breaker._until = 0.0
    assert (await ladder.admit(caller)).source is Source.USER_SVC
    assert breaker.allows()


@pytest.mark.parametrize("refused", [True, False])
async def test_verdict_is_no_failure(ladder: Any, refused: bool) -> None:
    """A wave of refusals, or of good answers, never opens the breaker."""
    for _ in range(4 * IN_A_ROW):
        caller = ladder.caller()
        ladder.refuses() if refused else ladder.knows(caller.user)
        await asyncio.gather(ladder.admit(caller), return_exceptions=True)
    assert ladder.user_svc.asked == 4 * IN_A_ROW
    assert ladder.userinfo._breaker.state is State.CLOSED


async def test_redis_breaker_saves_the_budget(ladder: Any, valkey_server: Any) -> None:
    """A paused Redis costs 50 ms five times; then nobody waits for it, until a probe finds it back."""
    caller = ladder.caller()
    ladder.knows(caller.user)
    breaker = ladder.store._breaker
    breaker._jitter = lambda upper: upper
    valkey_server.pause()
    try:
        for _ in range(IN_A_ROW):
            await timed(ladder)
        assert breaker.state is State.OPEN
        started = time.perf_counter()
        with pytest.raises(StoreUnavailable):
            await ladder.store.recall(caller.session)
        assert time.perf_counter() - started < BUDGET / 2
    finally:
        valkey_server.resume()
    await ladder.keep(caller)

    async def is_back() -> bool:
        ladder.memory.forget_good()
        return (await ladder.admit(caller)).source is Source.REDIS

    await eventually(is_back)
    assert breaker.allows()
