"""The pool: who gets which connection, in which order, and what becomes of one that is not as it was."""

import asyncio
from typing import Any

import pytest
from asyncpg import InterfaceError

from common import pool as module
from common.pool import Pool


class Line:
    """A connection to nowhere, in whatever state a test wants it."""

    def __init__(self) -> None:
        self.closed = self.farewell = self.busy = False
        self.stuck = asyncio.Event()
        self.stuck.set()

    def is_closed(self) -> bool:
        """See asyncpg."""
        return self.closed

    def is_in_transaction(self) -> bool:
        """See asyncpg."""
        return self.busy

    def terminate(self) -> None:
        """See asyncpg."""
        self.closed = True

    async def close(self, *, timeout: float) -> None:  # noqa: ASYNC109 - asyncpg's own name
        """See asyncpg; it waits until a statement that was cut off has stopped."""
        assert timeout == module.CLOSE
        await self.stuck.wait()
        self.closed = self.farewell = True


class Exchange:
    """Makes lines, as long as it is not down."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.is_down = False

    async def connect(self) -> Line:
        """One more."""
        await asyncio.sleep(0)
        if self.is_down:
            raise OSError("down")
        self.lines.append(Line())
        return self.lines[-1]


@pytest.fixture
def exchange() -> Exchange:
    """Where the lines come from."""
    return Exchange()


@pytest.fixture
def two(exchange: Exchange) -> Pool:
    """A pool of two."""
    pool = Pool(exchange.connect, 2)
    pool.open()
    return pool


async def lent(pool: Pool) -> Any:
    """One for a caller, as the database asks for it."""
    return pool.take() or await pool.wait()


async def queue(pool: Pool, callers: int) -> list[asyncio.Task[Any]]:
    """So many who wait, in this order."""
    waiting = [asyncio.create_task(lent(pool)) for _ in range(callers)]
    await asyncio.sleep(0)
    return waiting


async def test_last_used_is_taken_first(two: Pool) -> None:
    """So that few connections do what few can do, and the others may rest."""
    first, second = await lent(two), await lent(two)
    two.give(second)
    two.give(first)
    assert two.take() is first
    assert two.take() is second
    assert two.take() is None


async def test_who_waits_is_served_in_turn(two: Pool) -> None:
    """First come, first served, and nobody who comes later is served before."""
    first, second = await lent(two), await lent(two)
    waiting = await queue(two, 2)
    two.give(second)
    assert two.take() is None
    two.give(first)
    assert await asyncio.gather(*waiting) == [second, first]


async def test_no_more_than_its_size(two: Pool, exchange: Exchange) -> None:
    """However many come at once."""

    async def use() -> None:
        line = await lent(two)
        await asyncio.sleep(0)
        two.give(line)

    await asyncio.gather(*(use() for _ in range(50)))
    assert len(exchange.lines) == 2


async def test_who_leaves_the_queue_takes_nothing_along(two: Pool) -> None:
    """Neither before it is his turn, nor in the very moment in which it is."""
    first, _ = await lent(two), await lent(two)
    gone, late, next_one = await queue(two, 3)
    gone.cancel()
    await asyncio.wait([gone])
    two.give(first)  # to `late`, who goes before he can take it
    late.cancel()
    assert await asyncio.wait_for(next_one, 1) is first


async def test_failure_to_connect_is_one_callers(two: Pool, exchange: Exchange) -> None:
    """The place it would have taken is the next one's."""
    exchange.is_down = True
    for outcome in await asyncio.gather(*await queue(two, 5), return_exceptions=True):
        assert isinstance(outcome, OSError)
    exchange.is_down = False
    assert [await lent(two), await lent(two)] == exchange.lines


async def test_dropped_one_leaves_its_place(two: Pool, exchange: Exchange) -> None:
    """Once it has said farewell: until then PostgreSQL still counts it."""
    first, _ = await lent(two), await lent(two)
    first.stuck.clear()
    [waiting] = await queue(two, 1)
    two.drop(first)
    await asyncio.sleep(0)
    assert not waiting.done()
    first.stuck.set()
    assert await waiting is exchange.lines[2]
    assert first.farewell


@pytest.mark.parametrize("state", ["closed", "busy"])
async def test_one_that_is_not_as_it_was(two: Pool, exchange: Exchange, state: str) -> None:
    """Closed, or still in a transaction: nobody gets it, and its place is free at once."""
    first, _ = await lent(two), await lent(two)
    setattr(first, state, True)
    two.give(first)
    assert two.take() is None
    assert await lent(two) is exchange.lines[2]
    assert first.closed


async def test_one_that_broke_while_it_was_free(two: Pool, exchange: Exchange) -> None:
    """It is noticed by who takes it, who gets another."""
    first = await lent(two)
    two.give(first)
    first.closed = True
    assert two.take() is None
    assert await lent(two) is exchange.lines[1]


async def test_idle_ones_are_closed(two: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that a crowd needed, when its last one comes back later; and the last, before anybody gets it: at once."""
    first, second = await lent(two), await lent(two)
    two.give(first)
    monkeypatch.setattr(module, "IDLE", -1.0)
    two.give(second)
    assert two.take() is None
    await asyncio.gather(*two._ending)
    assert (first.farewell, second.farewell, second.closed) == (True, False, True)


async def test_nobody_waits_for_the_farewell_of_a_forgotten_one(
    two: Pool, exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A firewall that dropped what lay idle says nothing: who comes after the night has a new one at once."""
    for line in [await lent(two), await lent(two)]:
        line.stuck.clear()
        two.give(line)
    monkeypatch.setattr(module, "IDLE", -1.0)
    monkeypatch.setattr(module, "WAIT", 0.5)
    assert await lent(two) is exchange.lines[2]
    assert [line.closed for line in exchange.lines] == [True, True, False]


async def test_closed_pool(two: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits is told, a free one is closed, a lent one is waited for, then cut off; after that there is none."""
    monkeypatch.setattr(module, "CLOSE", 0.05)
    first, second = await lent(two), await lent(two)
    [waiting] = await queue(two, 1)
    closing = asyncio.create_task(two.close())
    with pytest.raises(InterfaceError):
        await waiting
    two.give(first)
    await closing
    assert (first.farewell, second.farewell, second.closed) == (True, False, True)
    with pytest.raises(InterfaceError):
        await lent(two)
    two.give(second)


async def test_closing_waits_for_one_that_is_made_meanwhile(two: Pool, exchange: Exchange) -> None:
    """Though the last of the others went in the same turn of the loop; it is closed, and its caller told."""
    first = await lent(two)
    waiting = asyncio.create_task(lent(two))
    closing = asyncio.create_task(two.close())
    await asyncio.sleep(0)
    first.closed = True
    two.give(first)
    await closing
    with pytest.raises(InterfaceError):
        await waiting
    assert exchange.lines[1].farewell


async def test_wait_is_bounded(two: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody queues behind a jam for longer than a client would wait, and a jam that ends serves the next."""
    first, _ = await lent(two), await lent(two)
    monkeypatch.setattr(module, "WAIT", 0.02)
    with pytest.raises(TimeoutError):
        await lent(two)
    two.give(first)
    assert two.take() is first
