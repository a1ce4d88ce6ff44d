"""Housekeeping: a sweep at start and every hour, for as long as a service runs."""

import asyncio
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Final, Self

import structlog

from common.tasks import end

EVERY: Final = 3600.0  # seconds

_log = structlog.get_logger()


class Sweeper(ABC):
    """Several processes may sweep at the same time: each must take what the others have not."""

    _task: asyncio.Task[None] | None = None

    @abstractmethod
    async def sweep(self) -> None:
        """Remove what is over."""

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="housekeeping")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await end(self._task)

    async def _run(self) -> None:
        while True:
            try:
                await self.sweep()
            except Exception as error:  # noqa: BLE001 - nobody would notice a broom that has broken
                _log.warning("not swept", error=type(error).__name__)
            await asyncio.sleep(EVERY)
