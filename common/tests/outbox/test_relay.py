"""The outbox on a real PostgreSQL: delivered when committed, at once, in order, and until it has been."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any, NoReturn

import asyncpg
import pytest
from redis.exceptions import ConnectionError as RedisAway

from common import connection, outbox
from common.outbox import Entry, Relay
from common.telemetry import log
from common.testing import Logs, eventually
from devstack.fixtures import TestPostgres

SOON = 10.0  # seconds a busy machine may take
TOPIC = "greeting"
GREETING = "INSERT INTO outbox (topic, payload) VALUES ('greeting', '{\"n\": 1}')"


async def test_entry_is_delivered_within_moments_of_its_commit(left: Any, dsn: str, post: Any, receiver: Any) -> None:
    """NOTIFY wakes the relay: a tenth of a second, not a poll, separates a commit from its delivery."""
    async with Relay(dsn, TOPIC, receiver) as relay:
        assert await relay.flush(SOON)
        started = time.perf_counter()
        await post(1)
        await eventually(lambda: receiver.received)
        assert time.perf_counter() - started < 0.1
        [[entry]] = receiver.batches
        assert await relay.flush(SOON)
    assert (entry.payload, entry.attempts) == ('{"n": 1}', 0)
    assert entry.posted_at == pytest.approx(time.time(), abs=SOON)
    assert await left() == 0


async def test_rolled_back_entry_is_never_delivered(writer: Any, dsn: str, post: Any, receiver: Any) -> None:
    """What did not happen has no consequences elsewhere."""
    async with Relay(dsn, TOPIC, receiver) as relay:
        transaction = writer.transaction()
        await transaction.start()
        await post(1)
        await relay.flush(SOON)
        await transaction.rollback()
        await post(2)
        assert await relay.flush(SOON)
    assert receiver.received == [2]


async def test_entries_come_in_order_whatever_their_number(dsn: str, post: Any, receiver: Any) -> None:
    """Batch by batch, each once, in the order they were posted."""
    for number in range(35):
        await post(number)
    async with Relay(dsn, TOPIC, receiver, batch=10) as relay:
        assert await relay.flush(SOON)
    assert receiver.received == list(range(35))
    assert [len(batch) for batch in receiver.batches] == [10, 10, 10, 5]


async def test_notification_that_was_lost_costs_a_poll(
    writer: Any, dsn: str, receiver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing depends on being told."""
    monkeypatch.setattr(outbox, "POLL", 0.2)
    async with Relay(dsn, TOPIC, receiver) as relay:
        await relay.flush(SOON)
        await writer.execute(GREETING)
        await eventually(lambda: receiver.received)


@pytest.mark.parametrize(
    "error",
    [RedisAway("away"), OSError("away"), TimeoutError(), ValueError("odd payload"), asyncpg.UndefinedTableError("x")],
    ids=lambda error: type(error).__name__,
)
async def test_failing_delivery_is_tried_until_it_succeeds(
    left: Any, dsn: str, post: Any, receiver: Any, error: Exception
) -> None:
    """Whatever went wrong, the entries are kept, tried again, and delivered when it goes right."""
    receiver.fail = error
    async with Relay(dsn, TOPIC, receiver):
        await post(1)
        await eventually(lambda: receiver.tried >= 3)
        assert await left() == 1
        receiver.fail = None
        await eventually(lambda: receiver.received)
    assert receiver.received == [1]


async def test_entry_that_is_put_off_keeps_no_other_waiting(
    writer: Any, left: Any, dsn: str, post: Any, receiver: Any
) -> None:
    """What cannot be delivered now comes again once it is time; what came behind it does not wait."""
    receiver.later = {1}
    await post(1)
    await post(2)
    async with Relay(dsn, TOPIC, receiver) as relay:
        assert await relay.flush(SOON)
        assert receiver.received == [2]
        await writer.execute("UPDATE outbox SET not_before = now()")
        assert await relay.flush(SOON)
        assert receiver.received == [2, 1]
    assert [entry.attempts for batch in receiver.batches for entry in batch] == [0, 0, 1]
    assert await left() == 0


async def test_entry_is_put_off_however_often_it_failed(writer: Any, dsn: str, post: Any, receiver: Any) -> None:
    """Five minutes at most, and never past what a power of two can be: that would hold up the whole topic."""
    receiver.later = {1}
    await post(1)
    await writer.execute("UPDATE outbox SET attempts = 2000")
    async with Relay(dsn, TOPIC, receiver) as relay:
        assert await relay.flush(SOON)
    wait = await writer.fetchval("SELECT not_before - now() FROM outbox WHERE attempts = 2001")
    assert 290 < wait.total_seconds() <= 300


async def test_entry_is_put_off_from_the_end_of_its_try(writer: Any, dsn: str, post: Any) -> None:
    """And not from the beginning of the transaction: a slow try would be followed by the next at once."""
    ends: list[Any] = []

    async def deliver(connection: Any, entries: Sequence[Entry]) -> list[int]:
        ends.append(await connection.fetchval("SELECT clock_timestamp()"))
        return [entry.id for entry in entries]

    await post(1)
    async with Relay(dsn, TOPIC, deliver) as relay:
        assert await relay.flush(SOON)
    assert await writer.fetchval("SELECT not_before > $1::timestamptz + interval '1 second' FROM outbox", ends[0])


async def test_relay_waits_for_another_that_is_slow(
    dsn: str, post: Any, receiver: Any, logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mail server may take longer than any statement; that is no outage, and costs no connection."""
    slow = type(receiver)()
    slow.held = asyncio.Event()
    monkeypatch.setattr(connection, "STATEMENT", 0.1)
    log.configure("user-svc", level="INFO", form="json")
    await post(1)
    async with Relay(dsn, TOPIC, slow):
        await eventually(lambda: slow.tried)
        async with Relay(dsn, TOPIC, receiver) as waiting:
            assert not await waiting.flush(0.3)
            assert logs.text == ""
            slow.held.set()
            assert await waiting.flush(SOON)
    assert (slow.received, receiver.received) == ([1], [])


async def test_topics_are_relayed_apart(
    writer: Any, left: Any, dsn: str, receiver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relay takes nothing of another topic, and is kept from nothing by one that is stuck."""
    monkeypatch.setattr(outbox, "LAST_TRY", 0.1)
    stuck = type(receiver)()
    stuck.held = asyncio.Event()
    await writer.execute(GREETING.replace("greeting", "farewell"))
    await writer.execute(GREETING)
    async with Relay(dsn, "farewell", stuck), Relay(dsn, TOPIC, receiver) as relay:
        await eventually(lambda: stuck.tried)
        assert await relay.flush(SOON)
        assert await left() == 1
    assert (receiver.received, stuck.received) == ([1], [])


async def test_relay_that_starts_before_the_table_is_there_waits_for_it(
    writer: Any, dsn: str, post: Any, receiver: Any
) -> None:
    """A service may be started before its first migration is through."""
    await writer.execute("ALTER TABLE outbox RENAME TO later")
    async with Relay(dsn, TOPIC, receiver) as relay:
        assert await relay.flush(0.3) is False
        await writer.execute("ALTER TABLE later RENAME TO outbox")
        await post(1)
        await eventually(lambda: receiver.received)


async def test_two_relays_share_without_overlap(left: Any, dsn: str, post: Any) -> None:
    """Two processes drain one table: every entry is delivered once, and never two batches at a time."""
    received: list[int] = []
    busy = 0

    async def deliver(_connection: Any, entries: Sequence[Entry]) -> tuple[int, ...]:
        nonlocal busy
        busy += 1
        assert busy == 1
        await asyncio.sleep(0)
        received.extend(entry.id for entry in entries)
        busy -= 1
        return ()

    async with Relay(dsn, TOPIC, deliver), Relay(dsn, TOPIC, deliver):
        for number in range(60):
            await post(number)

        async def all_delivered() -> bool:
            return bool(await left() == 0)

        await eventually(all_delivered)
    assert received == sorted(set(received))
    assert len(received) == 60


async def test_crash_between_delivery_and_its_record_delivers_again(
    left: Any, dsn: str, post: Any, receiver: Any
) -> None:
    """At least once: the next process finds the entry still there."""
    await post(1)
    first = type(receiver)()

    async def deliver_and_die(connection: Any, entries: Sequence[Entry]) -> NoReturn:
        await first(connection, entries)
        relay._ended = True  # a crash says no farewell
        connection.terminate()
        raise asyncio.CancelledError

    relay = Relay(dsn, TOPIC, deliver_and_die)
    async with relay:
        await eventually(lambda: first.received)
    async with Relay(dsn, TOPIC, receiver) as second:
        assert await second.flush(SOON)
    assert (first.received, receiver.received, await left()) == ([1], [1], 0)


async def test_other_process_takes_over_when_one_dies(
    writer: Any, dsn: str, post: Any, receiver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock of a connection that is gone is free, and what it had not delivered is."""
    monkeypatch.setattr(outbox, "LAST_TRY", 0.1)
    stuck = type(receiver)()
    stuck.held = asyncio.Event()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(Relay(dsn, TOPIC, stuck))
        await post(1)
        await eventually(lambda: stuck.tried)
        await stack.enter_async_context(Relay(dsn, TOPIC, receiver))
        await writer.execute(
            "SELECT pg_terminate_backend(l.pid) FROM pg_locks l WHERE l.locktype = 'advisory' AND l.granted"
            " AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        await eventually(lambda: receiver.received, seconds=SOON)
    assert receiver.received == [1]


async def test_restart_of_postgresql_is_survived(dsn: str, receiver: Any, postgres_server: TestPostgres) -> None:
    """After its return the same relay delivers, with no restart of ours."""
    async with Relay(dsn, TOPIC, receiver) as relay:
        assert await relay.flush(SOON)
        postgres_server.stop()
        assert not await relay.flush(0.1)
        postgres_server.start()
        connection = await asyncpg.connect(dsn)
        await connection.execute(GREETING)
        await connection.close()
        await eventually(lambda: receiver.received)
