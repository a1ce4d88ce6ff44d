"""Tasks that run beside the requests, and how they end."""

import asyncio
from typing import Any, Final

PATIENCE: Final = 0.2  # seconds


async def end(task: "asyncio.Task[Any] | None") -> None:
    """Cancel until it has ended: redis-py, while it connects, can take a cancellation for a timeout of its own."""
    while task is not None and not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=PATIENCE)
    if task is not None and not task.cancelled():
        task.exception()  # heard, so that asyncio does not complain
