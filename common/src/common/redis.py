"""Redis: a client that fails fast. redis-py's own defaults take four seconds to notice that the server is gone."""

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from common.settings import RedisUrl

CONNECTIONS = 32
CONNECT = 0.3  # seconds
ANSWER = 0.5  # seconds


def connect(url: RedisUrl) -> Redis:
    """A client whose calls wait for a free connection and try once more only on a connection that had gone stale."""
    pool = BlockingConnectionPool.from_url(
        url.reveal(),
        max_connections=CONNECTIONS,
        timeout=ANSWER,
        socket_connect_timeout=CONNECT,
        socket_timeout=ANSWER,
        retry=Retry(NoBackoff(), 1),
    )
    return Redis.from_pool(pool)


def listen(url: RedisUrl) -> Redis:
    """A client for a subscription, whose silence is no fault: nothing but a failed connect ends it."""
    return Redis.from_url(
        url.reveal(), socket_connect_timeout=CONNECT, socket_timeout=None, retry=Retry(NoBackoff(), 0)
    )
