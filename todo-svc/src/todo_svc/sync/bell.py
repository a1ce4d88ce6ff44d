"""The bell: after each write, in every process, whoever streams the owner's changes is told to look.

A ring is a hint and may be lost; it never delays or fails the request that caused it.
"""

import asyncio
import random
from collections.abc import Awaitable
from types import TracebackType
from typing import Final, Self
from uuid import UUID, uuid4

import hiredis
import structlog
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from common.http.headers import SAFE
from common.redis import listen, messages
from common.resp import RespClient
from common.tasks import end
from common.values import RedisUrl
from common.wire import Away
from todo_svc.sync.feeds import Feeds

CHANNEL: Final = "changes"
ANSWER: Final = 0.25  # seconds
HEARTBEAT: Final = 0.5  # seconds without a word before the server is asked whether it is there
PAUSE: Final = 0.5  # seconds, at most, between two tries
ID: Final = 16  # bytes

_log = structlog.get_logger()


class Bell:
    """Rings here at once, and elsewhere by Redis: all rings of one turn of the event loop in one message.

    Others are listened to only while there are feeds.
    """

    def __init__(self, url: RedisUrl, feeds: Feeds) -> None:
        self._publisher = RespClient(url)
        self._redis = listen(url)
        self._feeds = feeds
        self._name = uuid4().bytes
        self._pending: set[UUID] = set()
        self._rung = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(task()) for task in (self._tell, self._run)]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            await end(task)
        await self._publisher.aclose()
        await self._redis.aclose()

    def ring(self, owner: UUID) -> None:
        """There may be changes of this owner's."""
        self._feeds.ring(owner)
        self._pending.add(owner)
        self._rung.set()

    def layer(self, app: ASGIApp) -> ASGIApp:
        """Rings when a request that may have written is answered well, which is after its commit."""

        def pass_on(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
            caller = scope.get("user")
            if caller is None or scope.get("method") in SAFE:
                return app(scope, receive, send)
            return app(scope, receive, self._ringing(caller.id, send))

        return pass_on

    def _ringing(self, owner: UUID, send: Send) -> Send:
        async def respond(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] < 300:  # noqa: PLR2004
                self.ring(owner)
            await send(message)

        return respond

    async def _tell(self) -> None:
        while True:
            await self._rung.wait()
            self._rung.clear()
            owners, self._pending = self._pending, set()
            words = b"".join((self._name, *(owner.bytes for owner in owners)))
            try:
                async with asyncio.timeout(ANSWER):
                    await self._publisher.execute_command("PUBLISH", CHANNEL, words)
            except (Away, hiredis.HiredisError, TimeoutError):  # others look by themselves before long
                await asyncio.sleep(PAUSE)

    async def _run(self) -> None:
        while True:
            await self._feeds.wanted.wait()
            try:
                async with self._redis.pubsub() as subscription:
                    await self._listen(subscription)
            except (RedisError, OSError, TimeoutError) as error:
                if not self._feeds.is_deaf:
                    _log.warning("changes of other processes not heard", error=type(error).__name__)
            finally:
                self._feeds.listen(deaf=True)
            await asyncio.sleep(random.uniform(PAUSE / 10, PAUSE))  # noqa: S311 - no secret

    async def _listen(self, subscription: PubSub) -> None:
        async with asyncio.timeout(2 * HEARTBEAT):
            await subscription.subscribe(CHANNEL)
        async for message in messages(subscription, heartbeat=HEARTBEAT):
            if message is not None and message["type"] == "message":
                self._hear(message["data"])
            elif message is not None:
                self._feeds.listen(deaf=False)
            if not self._feeds.wanted.is_set():
                return

    def _hear(self, words: bytes) -> None:
        """What this process itself has said it knows."""
        if not words.startswith(self._name):
            for start in range(ID, len(words) - ID + 1, ID):
                self._feeds.ring(UUID(bytes=words[start : start + ID]))
