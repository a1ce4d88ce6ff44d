"""Garbage of a process that serves: what is there once it has started is not looked through again.

Python looks through all that lives whenever a quarter as much again has been made. Of a service that is 150,000
objects that will live as long as it does: 70 ms, about each second under load, in which every request waits.
"""

import gc
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Final, Self

from common import settings as environment

SERVED: Final = "GATEHOUSE_SERVED"  # `serve` sets it, for worker processes too: in a test there are many apps


class GcFreeze(AbstractAsyncContextManager["GcFreeze"]):
    """Enter it last, when all is there that will stay."""

    async def __aenter__(self) -> Self:
        if environment.variable(SERVED):
            gc.collect()
            gc.freeze()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is left to do."""
