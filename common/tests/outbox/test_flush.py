"""Waiting for the outbox: what is committed has been delivered, or it is said that it has not."""

import asyncio
import time
from typing import Any
from unittest.mock import Mock

import asyncpg
import pytest
from prometheus_client import REGISTRY
from redis.exceptions import ConnectionError as RedisAway

from common import outbox
from common.outbox import CHANNEL, LOCK, NOTIFY, Relay
from common.telemetry import log
from common.testing import captured_logs, eventually

SOON = 10.0  # seconds a busy machine may take
TOPIC = "greeting"
GREETING = "INSERT INTO outbox (topic, payload) VALUES ('greeting', '{\"n\": 1}')"


async def test_flush_waits_for_what_is_committed(dsn: str, post: Any, receiver: Any) -> None:
    """Once it has said so, everything committed before has been delivered."""
    async with Relay(dsn, TOPIC, receiver) as relay:
        for number in range(20):
            await post(number)
            assert await relay.flush(SOON)
            assert receiver.received == list(range(number + 1))


async def test_flush_that_runs_out_of_time_says_so(dsn: str, post: Any, receiver: Any) -> None:
    """It is False, in time, and the entry is delivered all the same."""
    receiver.held = asyncio.Event()
    async with Relay(dsn, TOPIC, receiver) as relay:
        await post(1)
        started = time.perf_counter()
        assert await relay.flush(0.1) is False
        assert time.perf_counter() - started < 0.5
        receiver.held.set()
        await eventually(lambda: receiver.received)


async def test_flush_outlasts_a_failure(dsn: str, post: Any, receiver: Any) -> None:
    """Who waits while a delivery fails is told when one has succeeded, not before."""
    receiver.fail = RedisAway("away")
    async with Relay(dsn, TOPIC, receiver) as relay:
        await post(1)
        flushed = asyncio.create_task(relay.flush(SOON))
        await eventually(lambda: receiver.tried >= 2)
        assert not flushed.done()
        receiver.fail = None
        assert await flushed is True
        assert receiver.received == [1]


async def test_outage_is_waited_for_without_haste(
    dsn: str, post: Any, receiver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody waits while Redis is away: tries come apart, over the one connection, and two lines tell of it all."""
    connect = Mock(side_effect=asyncpg.connect)
    monkeypatch.setattr(asyncpg, "connect", connect)
    receiver.fail = RedisAway("away")
    with captured_logs() as logs:
        log.configure("test", level="INFO", form="json")
        async with Relay(dsn, TOPIC, receiver) as relay:
            await post(1)
            assert await relay.flush(0.6) is False
            tried = receiver.tried
            receiver.fail = None
            assert await relay.flush(SOON) is True
    assert [line["event"] for line in logs.lines] == ["outbox waits", "outbox goes on"]
    assert connect.call_count == 1
    assert tried < 12


async def test_flush_waits_for_the_relay_of_another_process(dsn: str, post: Any, receiver: Any) -> None:
    """While another process is at it, what it has taken is not yet delivered."""
    holder = await asyncpg.connect(dsn)
    transaction = holder.transaction()
    await transaction.start()
    await holder.execute("SELECT pg_advisory_xact_lock($1, hashtext($2))", LOCK, TOPIC)
    async with Relay(dsn, TOPIC, receiver) as relay:
        await post(1)
        assert await relay.flush(0.3) is False
        await transaction.rollback()
        assert await relay.flush(SOON) is True
        assert receiver.received == [1]
    await holder.close()


async def test_what_is_left_is_delivered_before_the_end(dsn: str, post: Any, receiver: Any) -> None:
    """A process that is told to end while it waits for its next try takes nothing with it."""
    receiver.fail = RedisAway("away")
    async with Relay(dsn, TOPIC, receiver):
        await post(1)
        await eventually(lambda: receiver.tried)
        receiver.fail = None
    assert receiver.received == [1]


async def test_the_end_does_not_wait_for_ever(
    left: Any, dsn: str, post: Any, receiver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be delivered stays where it is, for whoever comes next."""
    monkeypatch.setattr(outbox, "LAST_TRY", 0.3)
    receiver.fail = RedisAway("away")
    async with Relay(dsn, TOPIC, receiver):
        await post(1)
        await eventually(lambda: receiver.tried)
        started = time.perf_counter()
    assert time.perf_counter() - started < 1.0
    assert await left() == 1


async def test_age_of_the_oldest_entry_is_measured(writer: Any, dsn: str, receiver: Any) -> None:
    """`outbox_oldest_seconds` shows how long Redis has not been told; nothing waiting is zero."""
    receiver.fail = RedisAway("away")
    await writer.execute(
        "INSERT INTO outbox (topic, payload, created_at) VALUES ('greeting', '{\"n\": 1}', now() - interval '100 s')"
    )
    async with Relay(dsn, TOPIC, receiver) as relay:
        await eventually(lambda: receiver.tried)
        assert REGISTRY.get_sample_value("outbox_oldest_seconds", {"topic": TOPIC}) == pytest.approx(100, abs=SOON)
        receiver.fail = None
        assert await relay.flush(SOON)
        assert REGISTRY.get_sample_value("outbox_oldest_seconds", {"topic": TOPIC}) == 0.0


async def test_entry_that_is_put_off_is_counted(writer: Any, dsn: str, post: Any, receiver: Any) -> None:
    """A mail server that is away shows in `outbox_oldest_seconds` all the time, not just while it is tried."""
    await post(1)
    await writer.execute("UPDATE outbox SET created_at = now() - interval '100 seconds'")
    receiver.later = {1}
    async with Relay(dsn, TOPIC, receiver) as relay:
        assert await relay.flush(SOON)
        assert REGISTRY.get_sample_value("outbox_oldest_seconds", {"topic": TOPIC}) == pytest.approx(100, abs=SOON)


def test_notification_goes_to_the_channel_the_relay_listens_on() -> None:
    """The statement's text cannot take a parameter there."""
    assert f"pg_notify('{CHANNEL}'" in NOTIFY


async def test_flush_does_not_wait_for_the_pause_between_two_tries(dsn: str, post: Any, receiver: Any) -> None:
    """PostgreSQL or Redis is back, and somebody logs out before the relay has noticed: it tries at once."""
    receiver.fail = RedisAway("away")
    async with Relay(dsn, TOPIC, receiver) as relay:
        await post(1)
        await eventually(lambda: receiver.tried >= 7)  # by now it would wait for half a second at least
        receiver.fail = None
        started = time.perf_counter()
        assert await relay.flush(SOON) is True
        assert time.perf_counter() - started < 0.3
    assert receiver.received == [1]
