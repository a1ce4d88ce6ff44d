"""A server of our own that does as it is told, and a client of it over the lean transport."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from common.http.lean import LeanTransport

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
Speak = Callable[["Peer"], None]


class Peer(asyncio.Protocol):
    """The server's end of a connection; `speak` is called for each request that has come whole."""

    def __init__(self, server: "Server") -> None:
        self.server = server
        self.transport: Any = None
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.server.connections.append(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self.server.lost.set()

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, separator, body = self._data.partition(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
        )
        if separator and len(body) >= length:
            self.server.requests.append(self._data)
            self._data = b""
            self.server.speak(self)

    def write(self, data: bytes) -> None:
        """Send."""
        self.transport.write(data)


class Server:
    """Requests as they came, and the connections they came on."""

    def __init__(self, speak: Speak) -> None:
        self.speak = speak
        self.requests: list[bytes] = []
        self.connections: list[Peer] = []
        self.lost = asyncio.Event()


@asynccontextmanager
async def serving_so(answer: bytes | Speak = OK) -> AsyncIterator[tuple[httpx.AsyncClient, Server]]:
    """A client of a server that answers so."""
    server = Server(answer if callable(answer) else lambda peer: peer.write(answer))
    listener = await asyncio.get_running_loop().create_server(lambda: Peer(server), "127.0.0.1", 0)
    base_url = "http://{}:{}".format(*listener.sockets[0].getsockname())
    async with listener, httpx.AsyncClient(base_url=base_url, transport=LeanTransport(), timeout=5) as client:
        yield client, server
    for peer in server.connections:
        peer.transport.abort()


@pytest.fixture
def serving() -> Any:
    """What to enter with an answer, bytes or what to do at each request: it gives the client and the server."""
    return serving_so
