"""The end of a process: known to long answers, and to whoever sends requests here, before uvicorn stops listening."""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, ExitStack, contextmanager
from types import TracebackType
from typing import Any, Self


@contextmanager
def on_shutdown(call: Callable[[], None], *, ahead: float = 0) -> Iterator[None]:
    """Call it, in this event loop, when a signal asks the process to end; whoever listened before listens on.

    Those hear a first SIGTERM `ahead` seconds later, and all else at once: Ctrl-C and a second SIGTERM are impatient.
    """
    loop = asyncio.get_running_loop()
    before: dict[int, Callable[[int, Any], Any]] = {}
    patient = ahead > 0

    def hear(number: int, frame: Any) -> None:
        nonlocal patient
        loop.call_soon_threadsafe(call)
        if patient and number == signal.SIGTERM:
            loop.call_soon_threadsafe(loop.call_later, ahead, before[number], number, None)
        else:
            before[number](number, frame)
        patient = False

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


class Drain(AbstractAsyncContextManager["Drain"]):
    """The seconds between SIGTERM and the end, in which a balancer finds other processes.

    Requests are answered as ever, but `/health/ready` says 503 and no connection is kept (`headers`).
    Enter it last: it stands between the signal and all that ends at once.
    """

    def __init__(self, seconds: float) -> None:
        self.begun = False
        self.headers: tuple[tuple[bytes, bytes], ...] = ()
        self._seconds = seconds
        self._listening = ExitStack()

    async def __aenter__(self) -> Self:
        self._listening.enter_context(on_shutdown(self._begin, ahead=self._seconds))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listening.close()

    def _begin(self) -> None:
        self.begun = True
        self.headers = ((b"connection", b"close"),)
