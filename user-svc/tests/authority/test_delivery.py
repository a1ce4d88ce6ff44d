"""What is delivered to Redis is the truth of now, and it is announced."""

import time
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from common.auth.standing import CHANNEL, TOMBSTONE, Announcement, Standing, encode, key
from common.testing import a_user
from user_svc.sessions.ending import END_ONE

SOON = 10.0  # seconds a busy machine may take
LIFETIME = 600


async def test_deliveries_are_the_truth_of_now(authority: Any) -> None:
    """Not what was posted but what is true: a tombstone for the ended, the profile for the good."""
    good, ended, unknown, expired, inactive = [await authority.session() for _ in range(5)]
    await authority.repository.end(END_ONE, ended)
    await authority.database.rows("DELETE FROM sessions WHERE id = $1", unknown)
    await authority.database.rows("UPDATE sessions SET expires_at = now() - interval '1 s' WHERE id = $1", expired)
    await authority.database.rows(
        "UPDATE accounts SET is_active = false WHERE id = (SELECT account_id FROM sessions WHERE id = $1)", inactive
    )
    await authority.deliver(good, ended, unknown, expired, inactive)
    assert [await authority.kept(session) for session in (ended, unknown, expired, inactive)] == [TOMBSTONE] * 4
    known = msgspec.json.decode(await authority.kept(good), type=Standing)
    assert (known.email.endswith("@example.com"), known.is_active) == (True, True)
    assert known.as_of == pytest.approx(time.time(), abs=SOON)
    assert 0 < await authority.redis.ttl(key(good)) <= 60
    assert LIFETIME - SOON < await authority.redis.ttl(key(ended)) <= LIFETIME + 2


async def test_delivery_overwrites_and_late_ones_change_nothing(authority: Any) -> None:
    """The authority sets: over a good standing, and the same again when an entry comes twice or out of order."""
    session = await authority.session()
    await authority.side.prime(session, a_user())
    await authority.repository.end(END_ONE, session)
    for _ in range(2):
        await authority.deliver(session, session)
        assert await authority.kept(session) == TOMBSTONE


async def test_a_good_standing_that_comes_late_leaves_a_tombstone(authority: Any) -> None:
    """As from a delivery that was given up, whose bytes arrive when the session has ended and Redis knows."""
    session = await authority.session()
    await authority.redis.set(key(session), TOMBSTONE, ex=LIFETIME)
    await authority.deliver(session)
    assert await authority.kept(session) == TOMBSTONE
    assert await authority.redis.ttl(key(session)) > 60


async def test_deliveries_are_announced(authority: Any) -> None:
    """Whoever listens hears of the ended and of the changed, after Redis can already tell."""
    good, ended = await authority.session(), await authority.session()
    await authority.repository.end(END_ONE, ended)
    async with authority.redis.pubsub(ignore_subscribe_messages=True) as channel:
        await channel.subscribe(CHANNEL)
        await channel.get_message(timeout=SOON)
        await authority.deliver(good, ended)
        heard = [await channel.get_message(ignore_subscribe_messages=True, timeout=SOON) for _ in range(2)]
    news = {
        told.session: told
        for message in heard
        if message
        for told in [msgspec.json.decode(message["data"], type=Announcement)]
    }
    assert news[ended].standing is None
    assert news[ended].until == pytest.approx(time.time() + LIFETIME, abs=SOON)
    told = news[good].standing
    assert told is not None
    assert told.is_active
    assert [one.posted_at for one in news.values()] == pytest.approx([time.time()] * 2, abs=SOON)


async def test_prime_fills_a_gap_and_nothing_else(authority: Any) -> None:
    """Never over a tombstone, nor over a newer profile; and it lasts a minute at most."""
    gap, dead, newer = uuid4(), uuid4(), uuid4()
    profile = encode(a_user(email="new@example.com"), time.time())
    await authority.redis.set(key(dead), TOMBSTONE)
    await authority.redis.set(key(newer), profile)
    for session in (gap, dead, newer):
        await authority.side.prime(session, a_user())
    assert [await authority.kept(session) for session in (dead, newer)] == [TOMBSTONE, profile]
    assert msgspec.json.decode(await authority.kept(gap), type=Standing).email == "ann@example.com"
    assert 0 < await authority.redis.ttl(key(gap)) <= 60
