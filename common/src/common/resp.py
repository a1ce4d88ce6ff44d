"""A lean Redis client for the hot path: the commands of all its callers share one connection.

It does one thing that redis-py does too, at a fifth of the CPU; everything off the hot path uses redis-py.
"""

import asyncio
from typing import Final

import hiredis

from common.discovery import locate
from common.telemetry.spans import REDIS, span
from common.values import RedisUrl
from common.wire import Answer, Away, Wire, dial, pack

CONNECT: Final = 0.3  # seconds


class RespClient:
    """Reconnects when it must; a connection on which nothing has moved for a while is given up."""

    def __init__(self, url: RedisUrl) -> None:
        self.tag = url.tag
        self._url = url
        self._greeting: tuple[str | bytes | int, ...] = ()
        self._protocol: Wire | None = None
        self._connecting: asyncio.Task[Wire] | None = None
        self._is_closed = False

    @property
    def greeting(self) -> Answer:
        """What the server that is asked now said when it was met (see `greet`)."""
        return self._protocol.greeting if self._protocol is not None else None

    def greet(self, *words: str | bytes | int) -> None:
        """Run this first on each new connection; one on which it fails is closed."""
        self._greeting = words

    async def execute_command(self, *words: str | bytes | int) -> Answer:
        """Run one command.

        Raises:
            Away: no connection, or it broke before the answer came.
            hiredis.ReplyError: Redis refused the command.

        """
        with span(str(words[0]), REDIS):
            protocol = self._protocol
            if protocol is None or protocol.is_unusable():
                protocol = await self._connected()
            return await protocol.send(pack(*words))

    async def aclose(self) -> None:
        """Close the connection, also one that is being made; there is none ever after."""
        self._is_closed = True
        if self._connecting is not None:
            self._connecting.cancel()
        if self._protocol is not None:
            self._protocol.close(Away("closed"))

    async def _connected(self) -> Wire:
        """One attempt at a time, shared by all who wait for it."""
        if self._is_closed:
            raise Away("closed")
        if self._connecting is None:
            self._connecting = asyncio.create_task(self._connect())
            self._connecting.add_done_callback(self._landed)
        return await asyncio.shield(self._connecting)

    def _landed(self, task: "asyncio.Task[Wire]") -> None:
        self._connecting = None
        if not task.cancelled() and task.exception() is None:
            self._protocol = task.result()
            if self._is_closed:  # too late by one turn of the loop to be cancelled
                self._protocol.close(Away("closed"))

    async def _connect(self) -> Wire:
        try:
            async with asyncio.timeout(CONNECT):
                return await dial(await locate(self._url), *self._greeting)
        except (TimeoutError, hiredis.HiredisError) as error:
            raise Away(type(error).__name__) from error
        except Away:
            raise
        except OSError as error:
            raise Away(str(error)) from error
