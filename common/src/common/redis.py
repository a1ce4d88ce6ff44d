"""Redis: a client that fails fast. redis-py's own defaults take four seconds to notice that the server is gone."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final, cast
from urllib.parse import urlsplit

from redis.asyncio import BlockingConnectionPool, Connection, ConnectionPool, Redis, SSLConnection
from redis.asyncio.client import PubSub
from redis.asyncio.connection import AbstractConnection, UnixDomainSocketConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ClusterDownError, MovedError, ReadOnlyError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from common.discovery import likeness, locate
from common.telemetry.spans import REDIS, current_id, span
from common.values import RedisUrl
from common.wire import PORT

CONNECTIONS = 32
CONNECT = 0.3  # seconds
ANSWER = 0.5  # seconds


class _Cancellable(AbstractConnection):
    """redis-py bounds a write by `asyncio.wait_for`, which before Python 3.12 can swallow a cancellation."""

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        limit, self.socket_timeout = self.socket_timeout, None
        try:
            async with asyncio.timeout(limit):
                await super().send_packed_command(command, check_health)
        except TimeoutError:
            raise RedisTimeoutError("Redis did not take the command in time") from None
        finally:
            self.socket_timeout = limit


class _Plain(_Cancellable, Connection):
    """`redis://`; where Redis moves, asks at each connect; leaves a server that lost our keys to another."""

    def __init__(self, *, discovery: RedisUrl | None = None, **options: Any) -> None:
        super().__init__(**options)
        self._whereabouts = discovery

    async def _connect(self) -> None:
        if self._whereabouts is not None:
            async with asyncio.timeout(self.socket_connect_timeout):
                found = urlsplit(await locate(self._whereabouts))
            self.host, self.port = str(found.hostname), found.port or PORT
        await super()._connect()  # type: ignore[no-untyped-call]

    async def read_response(self, *words: Any, **options: Any) -> Any:
        try:
            return await super().read_response(*words, **options)
        except (ReadOnlyError, MovedError, ClusterDownError) as error:
            await self.disconnect(nowait=True)
            raise RedisConnectionError("another server may have our keys now") from error


class _Encrypted(_Plain, SSLConnection):
    """`rediss://`."""


class _Local(_Cancellable, UnixDomainSocketConnection):
    """`unix://`."""


_OURS: Final = (_Plain, _Encrypted, _Local)


class TaggedRedis(Redis):
    """Knows what each of its keys must begin with: `RedisUrl.tag`.

    Within a request a command has a span; what goes on beside it, such as a read that waits for news, has none.
    """

    tag: str

    async def execute_command(self, *words: Any, **options: Any) -> Any:
        """redis-py's."""
        if not current_id():
            return await super().execute_command(*words, **options)  # type: ignore[no-untyped-call]
        with span(str(words[0]), REDIS):
            return await super().execute_command(*words, **options)  # type: ignore[no-untyped-call]


def connect(url: RedisUrl, *, answer: float = ANSWER) -> TaggedRedis:
    """A client whose calls wait for a free connection and try once more only on a connection that had gone stale.

    `answer` is how many seconds Redis may take for one.
    """
    return _client(
        url,
        BlockingConnectionPool,
        max_connections=CONNECTIONS,
        timeout=ANSWER,
        socket_timeout=answer,
        retry=Retry(NoBackoff(), 1),
    )


def listen(url: RedisUrl) -> TaggedRedis:
    """A client for a subscription, whose silence is no fault: nothing but a failed connect ends it."""
    return _client(url, ConnectionPool, socket_timeout=None, retry=Retry(NoBackoff(), 0))


def _client(url: RedisUrl, kind: type[ConnectionPool], **options: Any) -> TaggedRedis:
    pool = kind.from_url(likeness(url), socket_connect_timeout=CONNECT, **options)
    pool.connection_class = next(ours for ours in _OURS if issubclass(ours, pool.connection_class))
    if url.moves:
        pool.connection_kwargs["discovery"] = url
    client = cast("TaggedRedis", TaggedRedis.from_pool(pool))
    client.tag = url.tag
    return client


async def ask(subscription: PubSub, *words: str | int) -> Any:
    """Run a command on a subscription's own connection, before it subscribes to anything."""
    await subscription.connect()  # type: ignore[no-untyped-call]
    connection: Any = subscription.connection
    await connection.send_command(*words)
    return await connection.read_response()


async def messages(subscription: PubSub, *, heartbeat: float) -> AsyncIterator[dict[str, Any] | None]:
    """What a subscription brings; None after so many seconds without a word, when the server is asked for one.

    Raises:
        TimeoutError: it did not answer that.

    """
    asked = False
    while True:
        message = await subscription.get_message(timeout=heartbeat)
        if message is None:
            if asked:
                raise TimeoutError
            await subscription.ping()
        asked = message is None
        yield message
