"""The ladder while somebody can judge: Redis first, then `/me`; what is remembered of it, and what is not."""

import asyncio
from typing import Any

import httpx
import msgspec
import pytest
from prometheus_client import REGISTRY

from common.auth import Principal, Source, memory
from common.auth.standing import TOMBSTONE, encode, key
from common.testing import a_user


def decisions(source: Source, verdict: str, reason: str = "") -> float:
    """The metric of one kind of decision."""
    labels = {"source": source, "verdict": verdict, "reason": reason}
    return REGISTRY.get_sample_value("auth_decisions_total", labels) or 0.0


async def test_standing_in_redis_admits(door: Any) -> None:
    """A hit is the answer: who it is now, how old that is, and nobody else is asked."""
    caller = door.caller(a_user(is_superuser=True))
    await door.redis.set(key(caller.session), encode(caller.user, door.clock() - 7))
    found = await door.admit(caller)
    assert (found.id, found.session, found.source) == (caller.user.id, caller.session, Source.REDIS)
    assert door.clock() - found.as_of == 7.0
    assert found.is_superuser
    assert door.user_svc.asked == 0


async def test_clock_that_is_behind_gives_no_negative_age(door: Any) -> None:
    """Whoever filled Redis may have a clock that is ahead."""
    caller = door.caller()
    await door.redis.set(key(caller.session), encode(caller.user, door.clock() + 3))
    assert (await door.admit(caller)).age == 0.0


async def test_tombstone_in_redis_refuses(door: Any) -> None:
    """A dead session is dead, whatever its tokens prove, and `/me` is not asked."""
    caller = door.caller()
    door.knows(caller.user)
    await door.redis.set(key(caller.session), TOMBSTONE)
    assert await door.refusal(caller) == ("revoked", "redis")
    assert door.user_svc.asked == 0


async def test_inactive_user_in_redis_is_refused(door: Any) -> None:
    """A standing that says the account is off admits nobody."""
    caller = door.caller(a_user(is_active=False))
    await door.redis.set(key(caller.session), encode(caller.user, door.clock()))
    assert await door.refusal(caller) == ("revoked", "redis")


async def test_gap_is_filled_from_me(door: Any) -> None:
    """The first request asks user-svc, the next one finds it in Redis."""
    caller = door.caller()
    door.knows(caller.user)
    first, second = await door.admit(caller), await door.admit(caller)
    assert first == Principal(caller.user.id, caller.session, Source.USER_SVC, door.clock(), caller.user)
    assert second.source is Source.REDIS
    assert msgspec.to_builtins(second.user) == {**msgspec.to_builtins(caller.user), "as_of": door.clock()}
    assert door.user_svc.asked == 1


async def test_fill_ends_with_the_token(door: Any) -> None:
    """What Redis keeps of a session never outlives the token it was asked with."""
    caller = door.caller(exp=door.clock() + 5)
    door.knows(caller.user)
    await door.admit(caller)
    assert 4000 < await door.redis.pttl(key(caller.session)) <= 5000


async def test_expiry_is_judged_on_every_request(door: Any) -> None:
    """A good standing, and a proof made before, carry no token past `exp`."""
    caller = door.caller()
    await door.redis.set(key(caller.session), encode(caller.user, door.clock()))
    await door.admit(caller)
    door.clock.now += 600
    assert await door.refusal(caller) == ("expired", "proof")


async def test_refusal_of_me_refuses(door: Any) -> None:
    """401 with a Bearer challenge is a verdict; Redis learns nothing of it, for only user-svc buries."""
    caller = door.caller()
    door.refuses()
    assert await door.refusal(caller) == ("revoked", "user-svc")
    assert await door.kept(caller) is None


async def test_refusal_is_remembered_for_ten_seconds(door: Any) -> None:
    """A client that goes on trying does not make us go on asking; after that, user-svc has the word again."""
    caller = door.caller()
    door.refuses()
    await door.refusal(caller)
    door.knows(caller.user)
    door.clock.now += 9.9
    assert await door.refusal(caller) == ("revoked", "memory")
    assert door.user_svc.asked == 1
    door.clock.now += 0.2
    assert (await door.admit(caller)).source is Source.USER_SVC


async def test_refusal_holds_for_its_session_only(door: Any) -> None:
    """The same user's other session is another matter."""
    ended, other = door.caller(), door.caller()
    door.refuses()
    await door.refusal(ended)
    door.knows(other.user)
    assert (await door.admit(other)).source is Source.USER_SVC


async def test_remembered_refusals_are_bounded(door: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond so many the oldest is forgotten, and asked about again."""
    monkeypatch.setattr(memory, "TOMBSTONES", 2)
    door.refuses()
    callers = [door.caller() for _ in range(3)]
    for caller in callers:
        await door.refusal(caller)
    await door.refusal(callers[2])
    assert door.user_svc.asked == 3
    await door.refusal(callers[0])
    assert door.user_svc.asked == 4


async def test_inactive_user_of_me_is_refused(door: Any) -> None:
    """`/me` that says the account is off is a verdict too."""
    caller = door.caller(a_user(is_active=False))
    door.knows(caller.user)
    assert await door.refusal(caller) == ("revoked", "user-svc")
    assert await door.kept(caller) is None


async def test_answer_about_somebody_else_is_none(door: Any) -> None:
    """`/me` that names another user than the token is a fault somewhere: neither of them is let in by it."""
    caller, stranger = door.caller(), a_user(is_superuser=True)
    door.knows(stranger)
    found = await door.admit(caller)
    assert (found.id, found.source, found.user) == (caller.user.id, Source.PROOF, None)
    assert await door.kept(caller) is None


async def test_standing_of_somebody_else_is_none(door: Any) -> None:
    """A standing under our session that names another user is not believed; user-svc's answer takes its place."""
    caller, strangers = door.caller(), encode(a_user(is_superuser=True), door.clock())
    await door.redis.set(key(caller.session), strangers)
    assert (await door.admit(caller)).source is Source.PROOF
    door.knows(caller.user)
    assert (await door.admit(caller)).user == caller.user
    assert await door.kept(caller) == encode(caller.user, door.clock())


@pytest.mark.parametrize(
    "value",
    [b"", b"good", b"{}", b"\xff", b'{"id":"\xff"}', b'{"x":' + b"[" * 100_000],
    ids=["empty", "a word", "an object", "no UTF-8", "no UTF-8 inside", "nested beyond measure"],
)
async def test_corrupt_value_in_redis_is_a_gap(door: Any, value: bytes) -> None:
    """Whatever stands there, user-svc is asked."""
    caller = door.caller()
    await door.redis.set(key(caller.session), value)
    door.knows(caller.user)
    assert (await door.admit(caller)).source is Source.USER_SVC


async def test_late_good_answer_does_not_raise_the_dead(door: Any) -> None:
    """`/me` said yes, then came the logout, then the fill: the tombstone stands."""
    caller = door.caller()
    door.knows(caller.user)
    door.user_svc.held = asyncio.Event()
    asking = asyncio.create_task(door.admit(caller))
    await door.user_svc.arrived.wait()
    await door.redis.set(key(caller.session), TOMBSTONE, ex=600)
    door.user_svc.held.set()
    await asking
    assert await door.kept(caller) == TOMBSTONE
    assert await door.refusal(caller) == ("revoked", "redis")


async def test_every_decision_is_counted(door: Any) -> None:
    """By who decided, what, and why."""
    caller, ended = door.caller(), door.caller()
    await door.redis.set(key(ended.session), TOMBSTONE)
    counted = [(Source.USER_SVC, "allowed", ""), (Source.REDIS, "allowed", ""), (Source.REDIS, "refused", "revoked")]
    before = [decisions(*labels) for labels in counted]
    door.knows(caller.user)
    await door.admit(caller)
    await door.admit(caller)
    await door.refusal(ended)
    assert [decisions(*labels) for labels in counted] == [value + 1 for value in before]


async def test_refusal_of_a_token_at_its_end_says_nothing_of_its_session(door: Any) -> None:
    """It may be refused for its age, by a clock ahead of ours: the session's next token is good at once."""
    ending = door.caller(exp=door.clock() + 4)
    door.refuses()
    assert await door.refusal(ending) == ("expired", "user-svc")
    renewed = door.caller(ending.user, sid=str(ending.session))
    door.knows(ending.user)
    assert (await door.admit(renewed)).source is Source.USER_SVC


async def test_good_token_is_not_refused_along_with_one_at_its_end(door: Any) -> None:
    """Both shared one question, which was asked with the other: so it is asked once more."""
    ending = door.caller(exp=door.clock() + 4)
    renewed = door.caller(ending.user, sid=str(ending.session))
    refusal = httpx.Response(401, headers={"WWW-Authenticate": "Bearer"})
    answers = iter([refusal, httpx.Response(200, content=msgspec.json.encode(ending.user))])
    door.user_svc.fail = lambda: next(answers)
    refused, admitted = await asyncio.gather(door.refusal(ending), door.admit(renewed))
    assert refused == ("expired", "user-svc")
    assert admitted.source is Source.USER_SVC
