"""Events on a stream: at least once for each group, whatever dies, is away, or cannot be understood."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from unittest.mock import AsyncMock
from uuid import UUID, uuid4

import msgspec
import pytest
from redis.asyncio import Redis

from common import events
from common.dto import UserEvent
from common.errors import Unavailable
from common.events import DEAD, STREAM, Consumer
from common.redis import connect, listen
from common.tasks import end
from common.telemetry.metrics import EVENTS_LAG
from common.testing import eventually
from common.values import RedisUrl
from devstack.embedded import Valkey

GROUP = "test"
DEADLINE = 15.0


class Reader:
    """Notes what a consumer hands over; `fail` is raised instead, while `held` is an event not set it waits."""

    def __init__(self) -> None:
        self.taken: list[UUID] = []
        self.tried = 0
        self.caught_up = 0
        self.fail: Exception | None = None
        self.held: asyncio.Event | None = None

    async def handle(self, event: UserEvent, _entry: str) -> None:
        """Take an event."""
        self.tried += 1
        if self.held is not None:
            await self.held.wait()
        if self.fail is not None:
            raise self.fail
        self.taken.append(event.user)

    async def catch_up(self) -> None:
        """Count."""
        self.caught_up += 1


Run = Callable[..., Any]


async def until_answered(ask: Callable[[], Awaitable[Any]], answer: Any) -> None:
    """Wait until this is the answer."""
    deadline = time.monotonic() + DEADLINE
    while (last := await ask()) != answer:
        assert time.monotonic() < deadline, f"still {last}"
        await asyncio.sleep(0.01)


async def post(redis: Redis, text: bytes | None = None) -> UUID:
    """Append an event, or whatever `text` is."""
    event = UserEvent("user.deleted", uuid4(), 1)
    await redis.xadd(STREAM, {"event": msgspec.json.encode(event) if text is None else text})
    return event.user


async def pending(redis: Redis) -> int:
    """Entries that were read and not confirmed."""
    found: Any = await redis.xpending(STREAM, GROUP)
    return int(found["pending"])


@pytest.fixture
def run(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a consumer until the block ends; what is abandoned is taken over soon, and put aside after few tries."""
    monkeypatch.setattr(events, "ABANDONED", 40)
    monkeypatch.setattr(events, "DELIVERIES", 3)
    monkeypatch.setattr(events, "PAUSE", 0.02)
    monkeypatch.setattr(events, "BLOCK", 50)

    @asynccontextmanager
    async def run(reader: Reader) -> AsyncIterator[asyncio.Task[None]]:
        client = listen(RedisUrl.parse(redis_url))
        task = asyncio.create_task(Consumer(client, GROUP, reader.handle, reader.catch_up).run())
        try:
            yield task
        finally:
            await end(task)
            await client.aclose()

    return run


async def test_events_are_handed_over_in_order(redis: Redis, run: Run) -> None:
    """Also those that were there before the group; each is confirmed, and catching up comes first."""
    early = await post(redis)
    reader = Reader()
    async with run(reader):
        await eventually(lambda: reader.taken == [early])
        late = [await post(redis), await post(redis)]
        await eventually(lambda: reader.taken == [early, *late])
        await until_answered(lambda: pending(redis), 0)

    assert reader.caught_up == 1


async def test_a_restart_takes_up_where_it_ended(redis: Redis, run: Run) -> None:
    """What was confirmed is not handed over again."""
    first, second = Reader(), Reader()
    await post(redis)
    async with run(first):
        await eventually(lambda: len(first.taken) == 1)
        await until_answered(lambda: pending(redis), 0)
    missed = await post(redis)
    async with run(second):
        await eventually(lambda: second.taken == [missed])


async def test_no_fault_of_ours_ends_it(redis: Redis, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody would notice a consumer that has ended; it begins anew, and goes on."""
    reader = Reader()
    monkeypatch.setattr(reader, "catch_up", AsyncMock(side_effect=[ValueError("odd"), None]))
    user = await post(redis)
    async with run(reader):
        await eventually(lambda: reader.taken == [user])


async def test_a_dead_consumers_entries_are_taken_over(redis: Redis, run: Run) -> None:
    """Who dies between taking and confirming leaves it to another, who gets it again."""
    dead, alive = Reader(), Reader()
    dead.held = asyncio.Event()
    user = await post(redis)
    async with run(dead):
        await eventually(lambda: dead.tried == 1)
    async with run(alive):
        await eventually(lambda: alive.taken == [user])
        await until_answered(lambda: pending(redis), 0)


async def names(redis: Redis) -> set[bytes]:
    """The group's consumers."""
    return {consumer["name"] for consumer in await redis.xinfo_consumers(STREAM, GROUP)}


async def test_a_clean_end_leaves_no_name(redis: Redis, run: Run) -> None:
    """A service restarted a thousand times has not a thousand consumers."""
    reader = Reader()
    async with run(reader):
        user = await post(redis)
        await eventually(lambda: reader.taken == [user])
        await until_answered(lambda: pending(redis), 0)
        assert len(await names(redis)) == 1
    assert await names(redis) == set()


async def test_a_start_removes_forgotten_names(redis: Redis, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of processes that were killed; not while an entry is pending, which would be lost with its consumer."""
    monkeypatch.setattr(events, "ABANDONED", 60_000)
    monkeypatch.setattr(events, "FORGOTTEN", 0)
    await post(redis)
    await redis.xgroup_create(STREAM, GROUP, id="0")
    await redis.xgroup_createconsumer(STREAM, GROUP, "killed")
    await redis.xreadgroup(GROUP, "killed with an entry", {STREAM: ">"})
    reader = Reader()
    async with run(reader):
        user = await post(redis)
        await eventually(lambda: reader.taken == [user])
        assert (b"killed" in await names(redis), len(await names(redis))) == (False, 2)
    assert (await names(redis), await pending(redis)) == ({b"killed with an entry"}, 1)


async def test_a_name_heard_of_lately_stays(redis: Redis, run: Run) -> None:
    """Other processes read in the same group."""
    reader = Reader()
    await redis.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
    await redis.xgroup_createconsumer(STREAM, GROUP, "another")
    async with run(reader):
        await eventually(lambda: reader.caught_up == 1)
        assert b"another" in await names(redis)


async def test_two_consumers_share(redis: Redis, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each entry goes to one of a group's consumers, and both work."""
    monkeypatch.setattr(events, "ABANDONED", 60_000)
    monkeypatch.setattr(events, "BATCH", 1)
    one, other = Reader(), Reader()
    one.held = asyncio.Event()
    users = {await post(redis) for _ in range(5)}
    async with run(one):
        await eventually(lambda: one.tried == 1)
        async with run(other):
            await eventually(lambda: len(other.taken) == 4)
            one.held.set()
            await eventually(lambda: len(one.taken) == 1)

    assert (len(one.taken), {*one.taken, *other.taken}) == (1, users)


@pytest.mark.parametrize("text", [b"{", b'{"type": "user.deleted"}', b"[" * 100_000, b""])
async def test_what_cannot_be_understood_is_put_aside(redis: Redis, run: Run, text: bytes) -> None:
    """After some tries it stands in the dead-letter stream with its number, and held nothing up."""
    await post(redis, text)
    reader = Reader()
    async with run(reader):
        user = await post(redis)
        await eventually(lambda: reader.taken == [user])
        await until_answered(lambda: redis.xlen(DEAD), 1)
        await until_answered(lambda: pending(redis), 0)
    entries: Any = await redis.xrange(STREAM)
    dead: Any = await redis.xrange(DEAD)

    assert dead[0][1] == {b"event": text, b"entry": entries[0][0]}


async def test_what_cannot_be_handled_is_put_aside(redis: Redis, run: Run) -> None:
    """A fault in the handling ends neither the consumer nor the events behind it."""
    await post(redis)
    reader = Reader()
    reader.fail = ZeroDivisionError("a fault")
    async with run(reader):
        await until_answered(lambda: redis.xlen(DEAD), 1)
        reader.fail = None
        user = await post(redis)
        await eventually(lambda: reader.taken == [user])

    assert reader.tried == events.DELIVERIES + 1


async def test_an_outage_is_no_fault_of_the_events(redis: Redis, run: Run) -> None:
    """While PostgreSQL is away an event is tried as often as it takes, and is never put aside."""
    user = await post(redis)
    reader = Reader()
    reader.fail = Unavailable("away")
    async with run(reader):
        await eventually(lambda: reader.tried > 2 * events.DELIVERIES)
        reader.fail = None
        await eventually(lambda: reader.taken == [user])
        await until_answered(lambda: pending(redis), 0)

    assert await redis.xlen(DEAD) == 0


async def test_a_lost_stream_is_made_anew(redis: Redis, run: Run) -> None:
    """After FLUSHALL there is a group again, whoever reads is told to catch up, and events go on."""
    reader = Reader()
    async with run(reader):
        await eventually(lambda: reader.caught_up == 1)
        await redis.flushall()
        await eventually(lambda: reader.caught_up == 2)
        user = await post(redis)
        await eventually(lambda: reader.taken == [user])


async def test_redis_may_go_and_come(redis: Redis, run: Run, valkey_server: Valkey) -> None:
    """A consumer outlives Redis, at start as well, and catches up when it is back."""
    valkey_server.stop()
    reader = Reader()
    async with run(reader) as task:
        valkey_server.start()  # in this thread: it lives as long as what started it
        await eventually(lambda: reader.caught_up == 1)
        valkey_server.stop()
        valkey_server.start()  # in this thread: it lives as long as what started it
        await eventually(lambda: reader.caught_up == 2)
        user = await post(redis)
        await eventually(lambda: reader.taken == [user])
        assert not task.done()


async def test_the_lag_is_measured(redis: Redis, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """`events_lag` is what is not confirmed: it rises while work waits, and falls to nothing."""
    monkeypatch.setattr(events, "DELIVERIES", 10_000)
    held, other = Reader(), Reader()
    held.fail = Unavailable("away")
    await post(redis)
    async with run(held):
        await eventually(lambda: held.tried > 0)
        other.fail = ZeroDivisionError("a fault")
        async with run(other):
            await eventually(lambda: EVENTS_LAG._value.get() == 1)
            held.fail = other.fail = None
            await eventually(lambda: EVENTS_LAG._value.get() == 0)


async def test_a_connection_that_fell_silent_is_given_up(silent: Any) -> None:
    """A network that swallows everything without closing: the next connection may lead somewhere."""
    reader = Reader()
    consumer = Consumer(
        connect(RedisUrl.parse(f"redis://{silent.address}"), answer=0.2), GROUP, reader.handle, reader.catch_up
    )
    task = asyncio.create_task(consumer.run())
    await eventually(lambda: len(silent.connections) > 2)
    await end(task)
