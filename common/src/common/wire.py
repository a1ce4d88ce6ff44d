"""The wire of Redis: one socket, the commands of one turn of the event loop in one write, answers in order."""

import asyncio
import ssl
from collections import deque
from functools import cache
from typing import Any, Final, cast
from urllib.parse import parse_qs, unquote, urlsplit

import hiredis

PORT: Final = 6379
STUCK: Final = 0.25  # seconds without an answer while one is owed
ELSEWHERE: Final = ("READONLY", "MOVED", "CLUSTERDOWN")  # how a server says that another one may have our keys now
Answer = bytes | int | list[Any] | None


class Away(OSError):
    """Redis cannot be reached, or did not answer in time."""


async def dial(url: str, *words: str | bytes | int) -> "Wire":
    """Connect, introduce oneself as the URL says (redis://, rediss://, unix://), and run a command, if any."""
    parts = urlsplit(url)
    loop = asyncio.get_running_loop()
    if parts.scheme == "unix":
        _, protocol = await loop.create_unix_connection(Wire, parts.path)
        database = parse_qs(parts.query).get("db", ["0"])[0]
    else:
        context = _tls() if parts.scheme == "rediss" else None
        _, protocol = await loop.create_connection(Wire, parts.hostname or "localhost", parts.port or PORT, ssl=context)
        database = parts.path.strip("/") or "0"
    try:
        if parts.password:
            who = [unquote(parts.username)] if parts.username else []
            await protocol.send(pack("AUTH", *who, unquote(parts.password)))
        if database != "0":
            await protocol.send(pack("SELECT", database))
        if words:
            protocol.greeting = await protocol.send(pack(*words))
    except BaseException:
        protocol.close(Away("the introduction failed"))
        raise
    return protocol


@cache
def _tls() -> ssl.SSLContext:
    """Made once: to read the authorities takes 15 ms, in which every request waits, at each try of an outage."""
    return ssl.create_default_context()


def pack(*words: str | bytes | int) -> bytes:
    """A command as it is written."""
    command: bytes = hiredis.pack_command(words)  # type: ignore[arg-type]  # its stub says tuples of one
    return command


class Wire(asyncio.Protocol):
    """A connection; given up when its server says that it is the wrong one. `greeting` is its answer to `dial`."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader()
        self._waiting: deque[asyncio.Future[Answer]] = deque()
        self._pending: list[bytes] = []
        self._transport: asyncio.Transport | None = None
        self._moved_at = 0.0
        self.greeting: Answer = None
        self.closed = False

    def is_unusable(self) -> bool:
        """Whether it is closed, or must be: answers are owed, and none has come for too long."""
        if self._waiting and self._loop.time() - self._moved_at > STUCK:
            self.close(Away("no answer came"))
        return self.closed

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio's."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance

    def data_received(self, data: bytes) -> None:
        """Asyncio's."""
        self._moved_at = self._loop.time()
        self._reader.feed(data)
        while (answer := self._reader.gets()) is not False:
            future = self._waiting.popleft()
            if future.done():
                continue
            if isinstance(answer, hiredis.ReplyError):
                future.set_exception(answer)
                if str(answer).startswith(ELSEWHERE):
                    self.close(Away("another server may have our keys now"))
                    return
            else:
                future.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Asyncio's."""
        self.close(Away("the connection was lost"))

    def send(self, command: bytes) -> "asyncio.Future[Answer]":
        """Queue a command; its answer."""
        future = self._loop.create_future()
        if self.closed:
            future.set_exception(Away("the connection is closed"))
            return future
        if not self._waiting:
            self._moved_at = self._loop.time()
        if not self._pending:
            self._loop.call_soon(self._flush)
        self._pending.append(command)
        self._waiting.append(future)
        return future

    def close(self, reason: Away) -> None:
        """Tell everybody who waits."""
        self.closed = True
        if self._transport is not None:
            self._transport.abort()
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_exception(reason)

    def _flush(self) -> None:
        pending, self._pending = self._pending, []
        if self._transport is not None and not self.closed:
            self._transport.write(b"".join(pending))
