"""Garbage of a process that serves: what is there once it has started is not looked through again.

Python looks through all that lives whenever a quarter as much again has been made. Of a service that is 150,000
objects that will live as long as it does: 70 ms, about each second under load, in which every request waits.
"""

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from common import settings as environment

SERVED: Final = "GATEHOUSE_SERVED"  # `serve` sets it, for worker processes too: in a test there are many apps


@asynccontextmanager
async def settled() -> AsyncIterator[None]:
    """Enter it last, when all is there that will stay."""
    if environment.variable(SERVED):
        gc.collect()
        gc.freeze()
    yield
