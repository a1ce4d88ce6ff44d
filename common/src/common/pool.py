"""The pool of connections: a free one is taken and given back with no task, no timer and no round trip.

asyncpg's own pool costs a request more than the guard, the router and the metrics do together.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

from asyncpg import InterfaceError

WAIT: Final = 2.0  # seconds for a free connection, with the making of a new one
CLOSE: Final = 2.0  # seconds
IDLE: Final = 300.0  # seconds: what lies longer, some firewall may have forgotten

Connection: TypeAlias = Any  # asyncpg's, which is generic at check time only


class Pool:
    """At most `size` connections, each made when first needed; who finds none free waits, and is served in turn.

    The one used last is taken first: those that only a crowd needed fall idle, and are closed.
    """

    def __init__(self, connect: Callable[[], Awaitable[Connection]], size: int) -> None:
        self._connect = connect
        self._places = size
        self._free: deque[tuple[Connection, float]] = deque()
        self._all: set[Connection] = set()
        self._waiting: deque[asyncio.Future[Connection | None]] = deque()
        self._ending: set[asyncio.Task[None]] = set()
        self._emptied = asyncio.Event()
        self._is_open = False

    def open(self) -> None:
        """From now on there are connections."""
        self._is_open = True

    async def close(self) -> None:
        """Let go of the free ones, give the others a moment, then cut them off."""
        self._is_open = False
        for turn in self._waiting:
            if not turn.done():
                turn.set_exception(_closed())
        while self._free:
            self._end(self._free.popleft()[0])
        try:
            async with asyncio.timeout(CLOSE):
                while self._all:  # one that was being made may have come since
                    self._emptied.clear()
                    await self._emptied.wait()
        except TimeoutError:
            for connection in self._all:
                connection.terminate()

    def take(self) -> Connection | None:
        """A free connection, if there is one."""
        while self._free:
            connection, since = self._free.pop()
            if connection.is_closed():
                self._forget(connection)
            elif _now() - since > IDLE:
                connection.terminate()  # its farewell might find nobody, and somebody waits for the place
                self._forget(connection)
            else:
                return connection
        return None

    async def wait(self) -> Connection:
        """A new connection, if there may be one more, or the next that is given back.

        Raises:
            InterfaceError: the pool is not open.
            TimeoutError: there was none for `WAIT` seconds.
            OSError, PostgresError: none could be made.

        """
        if not self._is_open:
            raise _closed()
        async with asyncio.timeout(WAIT):
            if self._places:
                self._places -= 1
                return await self._make()
            return await self._next() or await self._make()

    def give(self, connection: Connection) -> None:
        """Take a connection back that is as good as it was."""
        if connection.is_closed() or connection.is_in_transaction() or not self._is_open:
            self.drop(connection)
            return
        while self._waiting:
            if _settle(self._waiting.popleft(), connection):
                return
        now = _now()
        self._free.append((connection, now))
        if now - self._free[0][1] > IDLE:
            self._end(self._free.popleft()[0])

    def drop(self, connection: Connection) -> None:
        """Take a connection back on which something was cut off, or is wrong: nobody gets it again."""
        if connection.is_closed():
            self._forget(connection)
        elif connection.is_in_transaction():
            connection.terminate()
            self._forget(connection)
        else:
            self._end(connection)

    async def _make(self) -> Connection:
        try:
            connection = await self._connect()
        except BaseException:
            self._vacate()
            raise
        self._all.add(connection)
        if not self._is_open:
            self._end(connection)
            raise _closed()
        return connection

    async def _next(self) -> Connection | None:
        """What somebody gives back, or None where a place has become free."""
        turn: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            return await turn
        except BaseException:
            if turn.done() and not turn.cancelled() and turn.exception() is None:  # too late by one turn of the loop
                self._return(turn.result())
            raise

    def _return(self, given: Connection | None) -> None:
        if given is None:
            self._vacate()
        else:
            self.give(given)

    def _end(self, connection: Connection) -> None:
        """Say farewell beside the requests, which waits until a statement that was cut off has stopped."""
        task = asyncio.create_task(connection.close(timeout=CLOSE))
        self._ending.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            self._ending.discard(task)
            if not task.cancelled():
                task.exception()  # heard: asyncpg has cut the connection off then
            self._forget(connection)

        task.add_done_callback(ended)

    def _forget(self, connection: Connection) -> None:
        self._all.discard(connection)
        if not self._all:
            self._emptied.set()
        self._vacate()

    def _vacate(self) -> None:
        """A place is free: whoever waits longest makes a connection of it."""
        while self._waiting:
            if _settle(self._waiting.popleft()):
                return
        self._places += 1


def _settle(turn: "asyncio.Future[Connection | None]", connection: Connection | None = None) -> bool:
    """Whether somebody still waited for it."""
    if turn.done():
        return False
    turn.set_result(connection)
    return True


def _closed() -> InterfaceError:
    return InterfaceError("the pool is closed")


def _now() -> float:
    return asyncio.get_running_loop().time()
