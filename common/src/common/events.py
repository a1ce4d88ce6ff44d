"""Events of accounts on a Redis stream: read at least once by each service, in a consumer group of its own."""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final
from uuid import uuid4

import msgspec
import structlog
from redis.exceptions import RedisError, ResponseError

from common.dto import UserEvent
from common.errors import Unavailable
from common.redis import TaggedRedis
from common.telemetry.metrics import EVENTS_LAG

STREAM: Final = "user-events"
DEAD: Final = "user-events:dead"
BLOCK: Final = 1000  # milliseconds
ANSWER: Final = BLOCK / 1000 + 1  # seconds after which a connection that says nothing is given up
BATCH: Final = 100
DELIVERIES: Final = 10  # after which an entry that cannot be handled is put aside
ABANDONED: Final = 5_000  # milliseconds after which another consumer's entry is taken over
FORGOTTEN: Final = 3_600_000  # milliseconds after which the name of a consumer that says nothing is removed
PAUSE: Final = 0.5  # seconds
LAST_TRY: Final = 0.2  # seconds

# In one step: with a consumer go the entries it has not confirmed, and nobody would take them over.
_TIDY = """
for _, about in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
    local consumer = {}
    for i = 1, #about, 2 do consumer[about[i]] = about[i + 1] end
    local gone = consumer.name == ARGV[2] or consumer.idle >= tonumber(ARGV[3])
    if gone and consumer.pending == 0 then redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], consumer.name) end
end
"""

_log = structlog.get_logger()

Handle = Callable[[UserEvent, str], Awaitable[None]]


class Consumer:
    """One process' reader; `handle` gets an event and its entry's id, and must not mind a repeat.

    `catch_up` is called whenever entries may have been lost: at start, and after anything was away.
    """

    def __init__(self, redis: TaggedRedis, group: str, handle: Handle, catch_up: Callable[[], Awaitable[None]]) -> None:
        self._redis = redis
        self._stream = redis.tag + STREAM
        self._group = group
        self._name = f"{socket.gethostname()}-{uuid4().hex[:8]}"
        self._handle = handle
        self._catch_up = catch_up
        self._swept_at = 0.0

    async def run(self) -> None:
        """Read until cancelled; whatever is away is waited for."""
        try:
            while True:
                await self._follow()
        finally:
            await self._leave()

    async def _follow(self) -> None:
        """Read until something is away, and pause."""
        try:
            await self._join()
            while True:
                await self._sweep()
                await self._take(await self._read())
        except (RedisError, OSError, TimeoutError, Unavailable) as error:
            _log.info("events wait", error=type(error).__name__)
            await asyncio.sleep(PAUSE)
        except Exception:  # noqa: BLE001 - nobody would notice a consumer that has ended
            _log.exception("events wait")
            await asyncio.sleep(PAUSE)

    async def _join(self) -> None:
        """Make the group where there is none; then nobody knows what was in a stream before."""
        try:
            await self._redis.xgroup_create(self._stream, self._group, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise
        await self._tidy()
        await self._catch_up()

    async def _leave(self) -> None:
        with suppress(RedisError, OSError, TimeoutError):
            async with asyncio.timeout(LAST_TRY):
                await self._tidy()

    async def _tidy(self) -> None:
        """Remove our name, which the next read makes anew, and forgotten ones: each start would leave one for good."""
        await self._redis.eval(_TIDY, 1, self._stream, self._group, self._name, FORGOTTEN)

    async def _read(self) -> list[tuple[bytes, dict[bytes, bytes]]]:
        answer: Any = await self._redis.xreadgroup(
            self._group, self._name, {self._stream: ">"}, count=BATCH, block=BLOCK
        )
        streams = answer.values() if isinstance(answer, dict) else [entries for _, entries in answer or []]
        return [entry for entries in streams for entry in _flat(entries)]

    async def _take(self, entries: list[tuple[bytes, dict[bytes, bytes]]]) -> None:
        for entry_id, fields in entries:
            try:
                event = msgspec.json.decode(fields.get(b"event", b""), type=UserEvent)
            except (ValueError, RecursionError):
                _log.error("event not understood", entry=entry_id.decode())
                continue  # it stays pending, and is put aside after some tries
            try:
                await self._persist(event, entry_id.decode())
            except Exception:  # noqa: BLE001 - whatever is wrong with one event, the next are read
                _log.exception("event not handled", entry=entry_id.decode())
                continue  # likewise
            await self._redis.xack(self._stream, self._group, entry_id)

    async def _persist(self, event: UserEvent, entry_id: str) -> None:
        """Try until PostgreSQL takes it: an outage is no fault of the event's."""
        while True:
            try:
                return await self._handle(event, entry_id)
            except Unavailable:
                await asyncio.sleep(PAUSE)

    async def _sweep(self) -> None:
        """Now and then: what dead consumers left, what nobody can handle, and how far behind we are."""
        if time.monotonic() < self._swept_at + ABANDONED / 2000:
            return
        self._swept_at = time.monotonic()
        await self._put_aside()
        claimed: Any = await self._redis.xautoclaim(self._stream, self._group, self._name, ABANDONED, count=BATCH)
        await self._take([entry for entry in claimed[1] if entry[1]])
        for group in await self._redis.xinfo_groups(self._stream):
            if group["name"] == self._group.encode():
                EVENTS_LAG.set(int(group.get("lag") or 0) + int(group["pending"]))

    async def _put_aside(self) -> None:
        pending: Any = await self._redis.xpending_range(self._stream, self._group, "-", "+", BATCH)
        for entry in pending:
            if entry["times_delivered"] < DELIVERIES:
                continue
            found: Any = await self._redis.xrange(self._stream, entry["message_id"], entry["message_id"])
            for entry_id, fields in found:
                dead = {**fields, b"entry": entry_id}
                await self._redis.xadd(self._redis.tag + DEAD, dead, maxlen=BATCH * 100, approximate=True)
            await self._redis.xack(self._stream, self._group, entry["message_id"])
            _log.error("event put aside", entry=entry["message_id"].decode(), stream=DEAD)


def _flat(entries: Any) -> list[Any]:
    """RESP3 nests the entries of a stream once more."""
    return entries[0] if entries and isinstance(entries[0], list) else entries
