"""One flight: callers who ask the same question at the same time share one answer."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Flights(Generic[K, V]):
    """At most one call per key under way; a caller that goes away cancels nobody else."""

    def __init__(self) -> None:
        self._tasks: dict[K, asyncio.Task[V]] = {}

    async def join(self, key: K, start: Callable[[], Awaitable[V]]) -> V:
        """Wait for the call under way for this key, or start it; its error is everybody's."""
        return await asyncio.shield(self._start(key, start))

    def launch(self, key: K, start: Callable[[], Awaitable[V]]) -> None:
        """Start a call that nobody waits for, unless one is under way."""
        self._start(key, start)

    async def close(self) -> None:
        """Cancel what is still under way, at shutdown."""
        for task in list(self._tasks.values()):
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _start(self, key: K, start: Callable[[], Awaitable[V]]) -> asyncio.Task[V]:
        task = self._tasks.get(key)
        if task is None:
            task = self._tasks[key] = asyncio.ensure_future(_run(start))
            task.add_done_callback(lambda done: self._land(key, done))
        return task

    def _land(self, key: K, task: asyncio.Task[V]) -> None:
        self._tasks.pop(key, None)
        if not task.cancelled():
            task.exception()  # seen, even where every caller went away


async def _run(start: Callable[[], Awaitable[V]]) -> V:
    return await start()
