"""Redis: a client that fails fast. redis-py's own defaults take four seconds to notice that the server is gone."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from redis.asyncio import BlockingConnectionPool, Connection, Redis, SSLConnection
from redis.asyncio.client import PubSub
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import TimeoutError as RedisTimeoutError

from common.settings import RedisUrl

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
    """`redis://`."""


class _Encrypted(_Cancellable, SSLConnection):
    """`rediss://`."""


def connect(url: RedisUrl, *, answer: float = ANSWER) -> Redis:
    """A client whose calls wait for a free connection and try once more only on a connection that had gone stale.

    `answer` is how many seconds Redis may take for one.
    """
    pool = BlockingConnectionPool.from_url(
        url.reveal(),
        max_connections=CONNECTIONS,
        timeout=ANSWER,
        socket_connect_timeout=CONNECT,
        socket_timeout=answer,
        retry=Retry(NoBackoff(), 1),
    )
    pool.connection_class = _Encrypted if issubclass(pool.connection_class, SSLConnection) else _Plain
    return Redis.from_pool(pool)


def listen(url: RedisUrl) -> Redis:
    """A client for a subscription, whose silence is no fault: nothing but a failed connect ends it."""
    return Redis.from_url(
        url.reveal(), socket_connect_timeout=CONNECT, socket_timeout=None, retry=Retry(NoBackoff(), 0)
    )


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
