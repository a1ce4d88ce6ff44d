"""Fixtures for the common library: keys, settings, a small service, servers that are there and silent."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, Self

import pytest
from litestar import Litestar
from redis.asyncio import Redis

from common.auth import Authenticator, KeyRing, TokenVerifier
from common.redis import connect
from common.service import create_service
from common.settings import Settings
from common.testing import AUDIENCE, ISSUER, FakeAuthenticator, Logs, captured_logs, random_keys
from common.values import DatabaseUrl, Origin, RedisUrl

Build = Callable[..., Litestar]


@pytest.fixture
def keys() -> KeyRing:
    """A ring of one random key named `test`."""
    return KeyRing.parse(random_keys())


class Clock:
    """Seconds that pass when told."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Starts at the present second."""
    return Clock(float(int(time.time())))


@pytest.fixture
def verifier(keys: KeyRing, clock: Clock) -> TokenVerifier:
    """The verifier of `keys`."""
    return TokenVerifier(keys, issuer=ISSUER, audience=AUDIENCE, clock=clock)


@pytest.fixture
def logs() -> Iterator[Logs]:
    """What is logged during the test."""
    with captured_logs() as captured:
        yield captured


@pytest.fixture
def settings() -> Settings:
    """Settings of a service that needs neither server."""
    return Settings(
        database_url=DatabaseUrl.parse("postgresql://ann:geheim@127.0.0.1:1/none"),
        redis_url=RedisUrl.parse("redis://:geheim@127.0.0.1:1/0"),
        cors_origins=[Origin.parse("https://app.example.com")],
    )


@pytest.fixture
def auth() -> FakeAuthenticator:
    """The authenticator of `build`."""
    return FakeAuthenticator()


@pytest.fixture
def build(settings: Settings, auth: Authenticator) -> Build:
    """Make a service of these handlers."""

    def make(*routes: Any, **options: Any) -> Litestar:
        given: dict[str, Any] = {"settings": settings, "auth": auth} | options
        return create_service("svc-common", routes=routes, **given)

    return make


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    """A client of an empty Valkey, made as services make theirs."""
    client = connect(RedisUrl.parse(redis_url))
    yield client
    await client.aclose()


Answer = Callable[[asyncio.Transport, bytes], None]


class Peer:
    """A server of our own on a free port: hears what is sent, and answers as told or not at all."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.heard: list[bytes] = []
        self.connections: list[asyncio.BaseTransport] = []
        self.address = ""

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[Self]:
        """Listen until the block ends; `address` is its host and port."""
        server = await asyncio.get_running_loop().create_server(lambda: Connection(self), "127.0.0.1", 0)
        self.address = "{}:{}".format(*server.sockets[0].getsockname())
        yield self
        server.close()
        for connection in self.connections:
            connection.close()
        await server.wait_closed()


class Connection(asyncio.Protocol):
    """One connection to a peer."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.peer.connections.append(transport)

    def data_received(self, data: bytes) -> None:
        assert isinstance(self.transport, asyncio.Transport)
        self.peer.heard.append(data)
        self.peer.answer(self.transport, data)


@pytest.fixture
async def serve() -> AsyncIterator[Callable[[Answer], Awaitable[Peer]]]:
    """Start a peer that answers so."""
    async with contextlib.AsyncExitStack() as peers:

        async def start(answer: Answer) -> Peer:
            return await peers.enter_async_context(Peer(answer).listening())

        yield start


@pytest.fixture
async def silent() -> AsyncIterator[Peer]:
    """A peer that accepts connections and never answers."""
    async with Peer(lambda _transport, _data: None).listening() as peer:
        yield peer
