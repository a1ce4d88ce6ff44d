"""The end of a process: heard, and heard by whoever heard it before."""

import asyncio
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from common.shutdown import Drain, on_shutdown


@pytest.fixture
def heard() -> Iterator[list[int]]:
    """What a server that listens to SIGTERM hears."""
    numbers: list[int] = []

    def hear(number: int, _frame: Any) -> None:
        numbers.append(number)

    before = signal.signal(signal.SIGTERM, hear)
    yield numbers
    signal.signal(signal.SIGTERM, before)


async def test_it_calls_beside_the_server(heard: list[int]) -> None:
    """In the event loop; the server hears as before, and after the block it is alone again."""
    told = asyncio.Event()
    server = signal.getsignal(signal.SIGTERM)
    with on_shutdown(told.set):
        os.kill(os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(5):
            await told.wait()
    assert heard == [signal.SIGTERM]
    assert signal.getsignal(signal.SIGTERM) is server


async def test_it_may_call_ahead(heard: list[int]) -> None:
    """The server hears a first SIGTERM later, and a second one at once."""
    told = asyncio.Event()
    with on_shutdown(told.set, ahead=60):
        os.kill(os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(5):
            await told.wait()
        assert heard == []
        os.kill(os.getpid(), signal.SIGTERM)
        assert heard == [signal.SIGTERM]


@pytest.mark.usefixtures("heard")
async def test_the_server_hears_in_the_end() -> None:
    """It is told once the time has passed."""
    told = asyncio.Event()
    signal.signal(signal.SIGTERM, lambda *_: told.set())
    with on_shutdown(lambda: None, ahead=0.01):
        os.kill(os.getpid(), signal.SIGTERM)
        assert not told.is_set()
        async with asyncio.timeout(5):
            await told.wait()


@pytest.mark.usefixtures("heard")
async def test_a_drain_begins_with_the_signal() -> None:
    """From then on no connection is kept; an app may be started again and again."""
    drain = Drain(60)
    for _ in range(2):
        async with drain:
            assert (drain.begun, drain.headers) == (False, ())
    async with drain:
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(0)
        assert drain.begun
        assert drain.headers == ((b"connection", b"close"),)


async def test_where_nobody_listens() -> None:
    """A signal that simply ends the process still does."""
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        with on_shutdown(asyncio.Event().set):
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)


async def test_in_another_thread() -> None:
    """Where no signal can be listened to it does no harm."""
    listener = signal.getsignal(signal.SIGINT)

    async def enter() -> Any:
        with on_shutdown(asyncio.Event().set):
            return signal.getsignal(signal.SIGINT)

    assert await asyncio.to_thread(asyncio.run, enter()) is listener
