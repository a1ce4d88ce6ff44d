"""A client of a real Valkey, and clients of servers that do as they are told."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from common.resp import RespClient
from common.values import RedisUrl

NOTICEABLE = 0.4  # seconds: what a busy machine may add
Speak = Callable[[asyncio.Transport, bytes], None]


def mute(_transport: asyncio.Transport, _data: bytes) -> None:
    """Say nothing."""


class Peer(asyncio.Protocol):
    """The server's end of a connection; what comes is kept, and answered by `speak`."""

    def __init__(self, heard: list[bytes], speak: Speak) -> None:
        self.heard = heard
        self.speak = speak
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.heard.append(b"")

    def data_received(self, data: bytes) -> None:
        self.heard[-1] += data
        self.speak(self.transport, data)


@asynccontextmanager
async def client_of(url: str) -> AsyncIterator[RespClient]:
    """A client, closed at the end."""
    client = RespClient(RedisUrl(url))
    yield client
    await client.aclose()


@asynccontextmanager
async def client_of_peer(
    speak: Speak = mute,
    heard: list[bytes] | None = None,
    path: str = "/0",
    *,
    who: str = "",
    at: Path | None = None,
) -> AsyncIterator[RespClient]:
    """A client of a server that speaks so, on a port or `at` a socket."""
    loop, kept = asyncio.get_running_loop(), [] if heard is None else heard
    if at is None:
        server = await loop.create_server(lambda: Peer(kept, speak), "127.0.0.1", 0)
        url = f"redis://{who}{{}}:{{}}{path}".format(*server.sockets[0].getsockname())
    else:
        server = await loop.create_unix_server(lambda: Peer(kept, speak), at)
        url = f"unix://{at}{path}"
    async with server, client_of(url) as client:
        yield client


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[RespClient]:
    """A client of an empty Valkey, which wants a password."""
    async with client_of(redis_url) as client:
        yield client


@pytest.fixture
def peer() -> Any:
    """What to enter with how the server speaks and where what it heard is kept: it gives the client."""
    return client_of_peer
