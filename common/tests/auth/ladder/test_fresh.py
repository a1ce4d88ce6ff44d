"""FRESH: what cannot be undone needs a standing of the last five seconds, or waits."""

import time
from typing import Any

import msgspec
import pytest

from common.auth import Source
from common.auth.breaker import IN_A_ROW
from common.auth.standing import TOMBSTONE, key, standing
from common.errors import InvalidToken, Unavailable


async def test_young_standing_in_redis_will_do(ladder: Any) -> None:
    """Up to five seconds old; user-svc is not asked."""
    caller = ladder.caller()
    await ladder.keep(caller, age=4.0)
    assert (await ladder.admit(caller, fresh=True)).source is Source.REDIS
    assert ladder.user_svc.asked == 0


@pytest.mark.parametrize("place", ["redis", "memory"])
async def test_older_standing_asks_user_svc(ladder: Any, place: str) -> None:
    """More than five seconds old is not enough, wherever it is found; the answer is kept for all."""
    caller = ladder.caller()
    before = await ladder.keep(caller, age=6.0)
    if place == "memory":
        ladder.memory.remember(caller.session, standing(caller.user, time.time() - 6.0))
    ladder.knows(caller.user)
    found = await ladder.admit(caller, fresh=True)
    assert (found.source, ladder.user_svc.asked) == (Source.USER_SVC, 1)
    assert found.age < 1
    assert await ladder.kept(caller) != before


async def test_older_standing_serves_what_is_not_fresh(ladder: Any) -> None:
    """Only who asks for it pays."""
    caller = ladder.caller()
    await ladder.keep(caller, age=40.0)
    assert (await ladder.admit(caller)).source is Source.REDIS


@pytest.mark.parametrize("blind", ["read", "all"])
async def test_without_a_verdict_it_is_503(unstarted: Any, blind: str) -> None:
    """Proof alone carries nothing that cannot be undone, an old standing does not, and no policy changes that."""
    await unstarted.load()
    await unstarted.start(blind=blind)
    known, unknown = unstarted.caller(), unstarted.caller()
    await unstarted.keep(known, age=6.0)
    for caller in (known, unknown):
        with pytest.raises(Unavailable) as caught:
            await unstarted.admit(caller, safe=False, fresh=True)
        assert caught.value.code == "NOT_FRESH"
        assert int(caught.value.headers["Retry-After"]) > 0


async def test_open_breaker_says_until_when(unstarted: Any) -> None:
    """Retry-After is how long user-svc is left alone, at least a second; then it is asked, and answers."""
    await unstarted.load()
    await unstarted.start()
    breaker, caller, now = unstarted.userinfo._breaker, unstarted.caller(), 0.0
    breaker._clock, breaker._jitter = lambda: now, lambda upper: upper

    async def told() -> int:
        with pytest.raises(Unavailable) as caught:
            await unstarted.admit(caller, safe=False, fresh=True)
        return int(caught.value.headers["Retry-After"])

    assert [await told() for _ in range(IN_A_ROW)][-1] == 2
    for until, longest in ((2, 4), (6, 5), (11, 5)):  # a pressing question need not wait for 8 s, nor for 16
        now = until - 0.5
        assert await told() == 1
        now = float(until)
        assert await told() == longest
    unstarted.knows(caller.user)
    now = 16.0
    assert (await unstarted.admit(caller, safe=False, fresh=True)).source is Source.USER_SVC


async def test_tombstone_is_401_all_the_same(ladder: Any) -> None:
    """With user-svc away the dead are told that they are, in Redis and in memory."""
    caller = ladder.caller()
    await ladder.redis.set(key(caller.session), TOMBSTONE)
    sources = []
    for _ in range(2):
        with pytest.raises(InvalidToken) as caught:
            await ladder.admit(caller, safe=False, fresh=True)
        sources.append(caught.value.source)
    assert sources == ["redis", "memory"]


async def test_refusal_of_user_svc_is_401(ladder: Any) -> None:
    """An old good standing in Redis does not help against it, then or for the next ordinary request."""
    caller = ladder.caller()
    await ladder.keep(caller, age=6.0)
    ladder.refuses()
    for fresh in (True, False):
        with pytest.raises(InvalidToken):
            await ladder.admit(caller, fresh=fresh)


async def test_privileges_are_those_of_now(ladder: Any) -> None:
    """Whoever was demoted six seconds ago, unannounced, is no superuser for what cannot be undone."""
    caller = ladder.caller()
    await ladder.keep(caller, age=6.0, is_superuser=True)
    ladder.knows(msgspec.structs.replace(caller.user, is_superuser=False))
    assert (await ladder.admit(caller, fresh=True)).is_superuser is False
