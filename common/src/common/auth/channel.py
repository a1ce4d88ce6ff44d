"""The channel: user-svc's announcements, heard by every process: a logout is known everywhere in milliseconds."""

import asyncio
import random
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

import msgspec
import structlog
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError, ResponseError

from common.auth import decisions
from common.auth.memory import StandingMemory
from common.auth.standing import CHANNEL, Announcement, who
from common.redis import TaggedRedis, ask, messages
from common.tasks import end
from common.telemetry.metrics import STANDING_LAG

HEARTBEAT: Final = 0.5  # seconds without a word before the server is asked whether it is there
PAUSE: Final = 0.5  # seconds, at most, between two tries

_log = structlog.get_logger()


class StandingChannel:
    """Feeds the memory while it is subscribed, and empties it of everything good when it is not.

    `server` is the identity of the Redis it listens to: the `standing:ready` of another one proves nothing here.
    """

    def __init__(self, redis: TaggedRedis, memory: StandingMemory, *, clock: Callable[[], float] = time.time) -> None:
        self._redis = redis
        self.memory = memory
        self._clock = clock
        self._decoder = msgspec.json.Decoder(Announcement)
        self._task: asyncio.Task[None] | None = None
        self._refusal: str | None = None
        self.server: bytes | None = None
        self.subscribed = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="standing channel")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await end(self._task)
        await self._redis.aclose()

    async def _run(self) -> None:
        while True:
            try:
                async with self._redis.pubsub() as subscription:
                    await self._listen(subscription)
            except (RedisError, OSError, TimeoutError) as error:
                self._say_lost(error, refusal_of(error))
            except Exception as error:  # noqa: BLE001 - nobody would notice a channel that has ended
                self._say_lost(error, "a fault of ours")
            finally:
                self.subscribed.clear()
                self.memory.listening, self.server = False, None
                self.memory.forget_good()
            await asyncio.sleep(random.uniform(PAUSE / 10, PAUSE))  # noqa: S311 - no secret

    def _say_lost(self, error: Exception, refusal: str | None) -> None:
        """Once, and not at each try; what no later try will mend, also where it never listened."""
        if self.memory.listening or refusal != self._refusal:
            _log.warning("standing channel lost", error=type(error).__name__, refusal=refusal)
        self._refusal = refusal

    async def _listen(self, subscription: PubSub) -> None:
        async with asyncio.timeout(2 * HEARTBEAT):
            await self._redis.connection_pool.disconnect()  # what is open leads where our keys were
            self.server = await ask(subscription, *who(self._redis.tag))
            await subscription.subscribe(CHANNEL)
        checked_at = time.monotonic()
        async for message in messages(subscription, heartbeat=HEARTBEAT):
            if message is not None and message["type"] == "message":
                self.hear(message["data"])
            elif message is not None and message["type"] == "subscribe":
                self.memory.listening = True
                self.subscribed.set()
            decisions.flush()
            if time.monotonic() > checked_at + HEARTBEAT:
                await self._check()
                checked_at = time.monotonic()

    async def _check(self) -> None:
        """Make sure that this is still the right server: one that has lost our keys goes on answering a listener."""
        async with asyncio.timeout(HEARTBEAT):
            if await identity(self._redis, self._redis.tag) != self.server:
                raise ConnectionError("another server has our keys now")

    def hear(self, data: bytes) -> None:
        """Take an announcement in; one that cannot be read is passed over, as by a service of another version."""
        try:
            news = self._decoder.decode(data)
        except (ValueError, RecursionError):
            _log.warning("announcement not understood")
            return
        STANDING_LAG.observe(max(0.0, self._clock() - news.posted_at))
        if news.standing is None:
            self.memory.bury(news.session, news.until)
        else:
            self.memory.replace(news.session, news.standing)


def refusal_of(error: BaseException) -> str | None:
    """What Redis said where it refused a command, as for want of a right: nothing mends that but a person."""
    return str(error) if isinstance(error, ResponseError) else None


async def identity(redis: Redis, tag: str = "") -> bytes:
    """Which Redis has the keys of this tag: another after a restart or a failover."""
    server: bytes = await redis.execute_command(*who(tag))  # type: ignore[no-untyped-call]
    return server
