"""The end of a process: heard, and heard by whoever heard it before."""

import asyncio
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from common.farewell import on_farewell


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
    with on_farewell(told.set):
        os.kill(os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(5):
            await told.wait()
    assert heard == [signal.SIGTERM]
    assert signal.getsignal(signal.SIGTERM) is server


async def test_where_nobody_listens() -> None:
    """A signal that simply ends the process still does."""
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        with on_farewell(asyncio.Event().set):
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)


async def test_in_another_thread() -> None:
    """Where no signal can be listened to it does no harm."""
    listener = signal.getsignal(signal.SIGINT)

    async def enter() -> Any:
        with on_farewell(asyncio.Event().set):
            return signal.getsignal(signal.SIGINT)

    assert await asyncio.to_thread(asyncio.run, enter()) is listener
