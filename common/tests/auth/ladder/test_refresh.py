"""A good entry past 80 % of its life is refreshed behind the answer, and never over what user-svc has set."""

import asyncio
import time
from typing import Any

import httpx
import msgspec

from common.auth import Source
from common.auth.standing import CHANNEL, STALE_AFTER, TOMBSTONE, Announcement, Standing, key, standing
from common.testing import eventually

STALE = STALE_AFTER + 1


async def test_answer_comes_at_once_and_the_value_is_renewed(ladder: Any) -> None:
    """Nobody waits for user-svc; when it has answered, Redis holds a new minute."""
    caller = ladder.caller()
    before = await ladder.keep(caller, age=STALE)
    ladder.knows(caller.user)
    ladder.user_svc.held = asyncio.Event()
    found = await asyncio.wait_for(ladder.admit(caller), 0.5)
    assert found.source is Source.REDIS
    assert await ladder.kept(caller) == before
    await eventually(lambda: ladder.user_svc.asked)
    ladder.user_svc.held.set()
    await ladder.landed()
    renewed = msgspec.json.decode(await ladder.kept(caller), type=Standing)
    assert time.time() - renewed.as_of < 5
    assert await ladder.redis.pttl(key(caller.session)) > 50_000


async def test_young_entry_is_left_alone(ladder: Any) -> None:
    """Before 80 % of its life nobody is asked."""
    caller = ladder.caller()
    await ladder.keep(caller, age=STALE_AFTER - 2)
    ladder.knows(caller.user)
    await ladder.admit(caller)
    assert (ladder.guard._flights._tasks, ladder.user_svc.asked) == ({}, 0)


async def test_hundred_requests_refresh_once(ladder: Any) -> None:
    """One question, however many find it stale at once."""
    caller = ladder.caller()
    await ladder.keep(caller, age=STALE)
    ladder.knows(caller.user)
    found = await asyncio.gather(*(ladder.admit(caller) for _ in range(100)))
    await ladder.landed()
    assert {principal.source for principal in found} <= {Source.REDIS, Source.MEMORY}
    assert ladder.user_svc.asked == 1


async def held_refresh(ladder: Any, caller: Any) -> None:
    """A refresh that has asked and has no answer yet."""
    await ladder.keep(caller, age=STALE)
    ladder.knows(caller.user)
    ladder.user_svc.held = asyncio.Event()
    await ladder.admit(caller)
    await eventually(lambda: ladder.user_svc.asked)


async def test_refresh_never_overwrites_a_tombstone(ladder: Any) -> None:
    """The session ended while user-svc was being asked: the good answer comes too late."""
    caller = ladder.caller()
    await held_refresh(ladder, caller)
    await ladder.redis.set(key(caller.session), TOMBSTONE, ex=600)
    ladder.user_svc.held.set()
    await ladder.landed()
    assert await ladder.kept(caller) == TOMBSTONE
    assert await ladder.redis.ttl(key(caller.session)) > 500


async def test_refresh_never_overwrites_a_newer_profile(ladder: Any) -> None:
    """The profile changed while user-svc was being asked: the compare-and-set finds another value, and gives up."""
    caller = ladder.caller()
    await held_refresh(ladder, caller)
    newer = await ladder.keep(caller, email="new@example.com")
    ladder.user_svc.held.set()
    await ladder.landed()
    assert await ladder.kept(caller) == newer


async def test_refresh_never_brings_back_what_was_removed(ladder: Any) -> None:
    """A key that is gone, flushed perhaps with its tombstone, is not the value that was read."""
    caller = ladder.caller()
    await held_refresh(ladder, caller)
    await ladder.redis.delete(key(caller.session))
    ladder.user_svc.held.set()
    await ladder.landed()
    assert await ladder.kept(caller) is None


async def test_first_answer_never_overwrites_a_tombstone(ladder: Any) -> None:
    """Nor does a gap that was filled meanwhile: the very first `/me` of a session is as slow."""
    caller = ladder.caller()
    ladder.knows(caller.user)
    ladder.user_svc.held = asyncio.Event()
    first = asyncio.create_task(ladder.admit(caller))
    await eventually(lambda: ladder.user_svc.asked)
    await ladder.redis.set(key(caller.session), TOMBSTONE, ex=600)
    ladder.user_svc.held.set()
    await first
    assert await ladder.kept(caller) == TOMBSTONE


async def test_announced_end_holds_against_an_answer_under_way(ladder: Any) -> None:
    """A logout heard while user-svc is being asked is not undone in memory by the older answer."""
    caller = ladder.caller()
    await held_refresh(ladder, caller)
    news = Announcement(caller.session, None, time.time() + 600, time.time())
    await ladder.redis.publish(CHANNEL, msgspec.json.encode(news))
    await eventually(lambda: ladder.memory.is_dead(caller.session))
    ladder.user_svc.held.set()
    await ladder.landed()
    assert ladder.memory.good(caller.session) is None


async def test_announced_profile_holds_against_an_answer_under_way(ladder: Any) -> None:
    """A demotion heard while user-svc is being asked: what was true when it was asked is older."""
    caller = ladder.caller()
    await held_refresh(ladder, caller)
    demoted = standing(msgspec.structs.replace(caller.user, email="new@example.com"), time.time())
    news = Announcement(caller.session, demoted, time.time() + 60, time.time())
    await ladder.redis.publish(CHANNEL, msgspec.json.encode(news))
    await eventually(lambda: ladder.memory.good(caller.session) == demoted)
    ladder.user_svc.held.set()
    await ladder.landed()
    assert ladder.memory.good(caller.session) == demoted


async def test_refused_refresh_ends_the_session(ladder: Any) -> None:
    """What user-svc says behind one answer holds for the next."""
    caller = ladder.caller()
    await ladder.keep(caller, age=STALE)
    ladder.refuses()
    assert (await ladder.admit(caller)).source is Source.REDIS
    await ladder.landed()
    assert ladder.memory.is_dead(caller.session)


async def test_failed_refresh_changes_nothing(ladder: Any) -> None:
    """user-svc away: the entry serves as long as it lives, and nobody notices."""
    caller = ladder.caller()
    before = await ladder.keep(caller, age=STALE)
    ladder.user_svc.fail = httpx.ConnectError("refused")
    assert (await ladder.admit(caller)).source is Source.REDIS
    await ladder.landed()
    assert await ladder.kept(caller) == before
