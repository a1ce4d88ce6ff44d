"""The end of a process: known to long answers when it begins. uvicorn leaves the lifespan only once they are over."""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def on_farewell(call: Callable[[], None]) -> Iterator[None]:
    """Call it, in this event loop, when a signal asks the process to end; whoever listened before listens on."""
    loop = asyncio.get_running_loop()
    before: dict[int, Callable[[int, Any], Any]] = {}

    def hear(number: int, frame: Any) -> None:
        loop.call_soon_threadsafe(call)
        before[number](number, frame)

    for number in (signal.SIGINT, signal.SIGTERM):
        listener = signal.getsignal(number)
        if callable(listener) and threading.current_thread() is threading.main_thread():
            before[number] = listener
            signal.signal(number, hear)
    try:
        yield
    finally:
        for heard, listener in before.items():
            if signal.getsignal(heard) is hear:
                signal.signal(heard, listener)
