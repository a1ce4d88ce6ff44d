"""Live changes: read once per owner and process, given to each of the owner's streams at its own pace."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, contextmanager
from types import TracebackType
from typing import Final, Self
from uuid import UUID

import msgspec
import structlog

from common.auth.recheck import Recheck
from common.database import Database
from common.errors import Gone, TooManyRequests, Unavailable
from common.shutdown import on_shutdown
from common.tasks import end
from todo_svc.sync.queries import ChangeQueries
from todo_svc.sync.schemas import Change, Changes, Place

STREAMS: Final = 20  # of one owner, in one process
KEPT: Final = 100  # events; a stream that is further behind reads for itself
POLL: Final = 5.0  # seconds between two looks while other processes can be heard
POLL_DEAF: Final = 1.0  # while they cannot
QUIET: Final = 15.0  # seconds after which a comment shows that the connection lives
RETRY: Final = 2000  # milliseconds a client should wait before it comes again

_log = structlog.get_logger()


class Feed:
    """The last changes of one owner; `moved` is set, and replaced, when there may be more."""

    def __init__(self, queries: ChangeQueries, number: int) -> None:
        self._queries = queries
        self._recent: deque[tuple[int, bytes]] = deque()
        self._floor = self._number = number  # of what lies between them, all is in `_recent`
        self.moved = asyncio.Event()
        self.rung = asyncio.Event()
        self.streams = 0
        self.is_over = False

    async def after(self, number: int) -> tuple[bytes, int]:
        """The events behind this number, as far as they are read, and the number to go on from."""
        if number < self._floor:
            changes = await self._queries.after(Place.at(number), KEPT)
            return b"".join(map(event, changes.items)), int(changes.next)
        events = b"".join(text for at, text in self._recent if at > number)
        return events, max(number, self._number)

    async def read(self) -> None:
        """Take in what has changed."""
        more = True
        while more:
            changes = await self._queries.after(Place.at(self._number), KEPT)
            self._take(changes)
            more = changes.more

    def wake(self) -> None:
        """Let every stream look."""
        moved, self.moved = self.moved, asyncio.Event()
        moved.set()

    def _take(self, changes: Changes) -> None:
        self._recent.extend((change.number, event(change)) for change in changes.items)
        while len(self._recent) > KEPT:
            self._floor, _ = self._recent.popleft()
        self._number = int(changes.next)
        if changes.items:
            self.wake()


class Feeds:
    """The feeds of this process, each for as long as it has streams; `wanted` is set while there are any."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._feeds: dict[UUID, Feed] = {}
        self._tasks: dict[UUID, asyncio.Task[None]] = {}
        self._closing = AsyncExitStack()
        self._is_closed = False
        self.is_deaf = True
        self.wanted = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._closing.enter_context(on_shutdown(self.close))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        await self._closing.aclose()
        for task in list(self._tasks.values()):
            await end(task)

    def close(self) -> None:
        """End every stream, and each that is yet to come."""
        self._is_closed = True
        for feed in self._feeds.values():
            feed.wake()

    def ring(self, owner: UUID) -> None:
        """There may be changes of this owner's."""
        if (feed := self._feeds.get(owner)) is not None:
            feed.rung.set()

    def listen(self, *, deaf: bool) -> None:
        """Whether other processes are heard; what they said while they were not may have been about anybody."""
        if deaf == self.is_deaf:
            return
        self.is_deaf = deaf
        for feed in self._feeds.values():
            feed.rung.set()

    async def stream(self, owner: UUID, recheck: Recheck, *, number: int, clock: int) -> AsyncIterator[bytes]:
        """Server-Sent Events behind `number`, for as long as the caller stands; `clock` is the last one now.

        Its place is taken with the first chunk, before an answer begins: see `begun`.

        Raises:
            TooManyRequests: the owner has enough.
            Unavailable: the process is about to end.

        """
        with self._joined(owner, clock) as feed:
            yield b"retry: %d\nid: %d\n\n" % (RETRY, number)
            spoken = time.monotonic()
            while not (self._is_closed or feed.is_over) and await recheck.stands():
                moved = feed.moved
                try:
                    events, number = await feed.after(number)
                except (Gone, Unavailable):  # the client comes again, and is told
                    return
                silence = QUIET - (time.monotonic() - spoken)
                if events or silence <= 0:
                    yield events or b":\n\n"
                    spoken = time.monotonic()
                else:
                    await _set_within(moved, min(silence, recheck.rest))

    @contextmanager
    def _joined(self, owner: UUID, clock: int) -> Iterator[Feed]:
        if self._is_closed:
            raise Unavailable("this process is about to end", retry_after=1)
        feed = self._feeds.get(owner)
        if feed is not None and feed.streams >= STREAMS:
            raise TooManyRequests("this account has as many open streams as it may", retry_after=5)
        if feed is None:
            feed = self._feeds[owner] = Feed(ChangeQueries(self._database, owner), clock)
            self._tasks[owner] = asyncio.create_task(self._run(feed), name="feed")
            self.wanted.set()
        feed.streams += 1
        try:
            yield feed
        finally:
            feed.streams -= 1
            if not feed.streams:
                del self._feeds[owner]
                self._tasks.pop(owner).cancel()
            if not self._feeds:
                self.wanted.clear()

    async def _run(self, feed: Feed) -> None:
        """Read when the bell rings, and now and then, because a ring may be lost."""
        try:
            while True:
                feed.rung.clear()
                pause = await self._read(feed)
                await _set_within(feed.rung, pause)
        except Gone:
            _log.info("feed ended")
        finally:
            feed.is_over = True
            feed.wake()

    async def _read(self, feed: Feed) -> float:
        """How long to wait for the bell after it, in seconds."""
        try:
            await feed.read()
        except Gone:
            raise
        except Exception as error:  # noqa: BLE001 - nobody would notice a feed that has broken
            _log.warning("changes wait", error=type(error.__cause__ or error).__name__)
            return POLL_DEAF
        return POLL_DEAF if self.is_deaf else POLL


async def begun(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same stream, once its first chunk is there: what stands in its way is raised here, and not in an answer."""
    first = await anext(stream)

    async def whole() -> AsyncIterator[bytes]:
        yield first
        async for chunk in stream:
            yield chunk

    return whole()


def event(change: Change) -> bytes:
    """A change as an event of a stream; JSON has no line breaks of its own."""
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (change.number, change.kind.encode(), msgspec.json.encode(change))


async def _set_within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False
