"""The ladder while somebody cannot judge: proof alone, blind, and never longer than the budgets."""

import time
from typing import Any

import httpx
import pytest

from common.auth import Source, standing
from common.auth.standing import TOMBSTONE, encode, key
from common.errors import InvalidToken, Unavailable

DEAD = "redis://127.0.0.1:1"
BUDGET = 0.05  # seconds a look at Redis may take
TOTAL = 0.6  # seconds a question to user-svc may take
NOTICEABLE = 0.4  # seconds: what a busy machine may add to a budget

NO_VERDICTS: dict[str, Any] = {
    "401 without a challenge": lambda: httpx.Response(401),
    "401 of a proxy": lambda: httpx.Response(401, headers={"WWW-Authenticate": "Basic"}),
    "403": lambda: httpx.Response(403),
    "404": lambda: httpx.Response(404),
    "429": lambda: httpx.Response(429, headers={"Retry-After": "60"}),
    "500": lambda: httpx.Response(500),
    "503": lambda: httpx.Response(503),
    "a redirect": lambda: httpx.Response(302, headers={"Location": "/login"}),
    "HTML": lambda: httpx.Response(200, html="<h1>Welcome</h1>"),
    "odd JSON": lambda: httpx.Response(200, json={"id": 1}),
    "nothing": lambda: httpx.Response(200),
    "a timeout": httpx.ReadTimeout("slow"),
    "a refused connection": httpx.ConnectError("refused"),
    "a broken connection": httpx.ReadError("reset"),
}


@pytest.mark.parametrize("fault", NO_VERDICTS.values(), ids=list(NO_VERDICTS))
async def test_no_verdict_and_no_tombstone_is_proof_alone(door: Any, fault: Any) -> None:
    """An outage of user-svc never looks like a logout: the signature carries the request, without privileges."""
    caller = door.caller()
    door.user_svc.fail = fault
    found = await door.admit(caller, safe=False)
    assert (found.id, found.session, found.source) == (caller.user.id, caller.session, Source.PROOF)
    assert (found.user, found.is_superuser) == (None, False)


@pytest.mark.parametrize("fault", NO_VERDICTS.values(), ids=list(NO_VERDICTS))
async def test_no_verdict_is_never_remembered(door: Any, fault: Any) -> None:
    """Nothing of an outage is left: the very next request finds user-svc back."""
    caller = door.caller()
    door.user_svc.fail = fault
    await door.admit(caller)
    assert await door.redis.keys() == [b"standing:ready"]
    door.knows(caller.user)
    assert (await door.admit(caller)).source is Source.USER_SVC


async def test_age_of_a_proof_is_that_of_the_token(door: Any) -> None:
    """Nothing younger is known."""
    caller = door.caller()
    door.clock.now += 30
    assert door.clock() - (await door.admit(caller)).as_of == 30.0


async def test_tombstone_holds_while_user_svc_is_away(door: Any) -> None:
    """The fallback is for those of whom nothing bad is known."""
    caller = door.caller()
    await door.redis.set(key(caller.session), TOMBSTONE)
    assert await door.refusal(caller) == ("revoked", "redis")


async def test_standing_holds_while_user_svc_is_away(door: Any) -> None:
    """Who was seen lately is served from Redis as ever."""
    caller = door.caller()
    await door.redis.set(key(caller.session), encode(caller.user, door.clock()))
    assert (await door.admit(caller)).source is Source.REDIS


async def test_remembered_refusal_holds_while_user_svc_is_away(door: Any) -> None:
    """Stopping user-svc within ten seconds of a refusal does not let the refused back in."""
    caller = door.caller()
    door.refuses()
    await door.refusal(caller)
    door.user_svc.fail = httpx.ConnectError("refused")
    assert await door.refusal(caller) == ("revoked", "memory")


async def test_redis_down_is_no_error(door: Any) -> None:
    """user-svc is asked each time, and its verdict is the verdict."""
    without_redis, caller = door.authenticator(redis_url=DEAD), door.caller()
    door.knows(caller.user)
    for safe in (True, False):
        found = await without_redis.authenticate(caller.token, safe=safe)
        assert (found.source, found.user) == (Source.USER_SVC, caller.user)
    assert door.user_svc.asked == 2


async def test_redis_down_does_not_weaken_a_refusal(door: Any) -> None:
    """A verdict of user-svc needs no Redis."""
    door.refuses()
    with pytest.raises(InvalidToken):
        await door.authenticator(redis_url=DEAD, blind="all").authenticate(door.caller().token, safe=True)


@pytest.mark.parametrize(
    ("blind", "safe", "admitted"),
    [
        ("read", True, True),
        ("read", False, False),
        ("all", True, True),
        ("all", False, True),
        ("none", True, False),
        ("none", False, False),
    ],
)
async def test_blind(door: Any, blind: Any, safe: bool, admitted: bool) -> None:
    """Neither can be asked: `AUTH_BLIND` says what passes, and what does not is 503 with Retry-After, never 401."""
    caller, authenticator = door.caller(), door.authenticator(redis_url=DEAD, blind=blind)
    if admitted:
        found = await authenticator.authenticate(caller.token, safe=safe)
        assert (found.id, found.source, found.user) == (caller.user.id, Source.BLIND, None)
    else:
        with pytest.raises(Unavailable) as caught:
            await authenticator.authenticate(caller.token, safe=safe)
        assert (caught.value.code, caught.value.headers["Retry-After"]) == ("CANNOT_JUDGE", "2")


@pytest.mark.parametrize("fault", NO_VERDICTS.values(), ids=list(NO_VERDICTS))
async def test_blind_after_any_fault(door: Any, fault: Any) -> None:
    """With Redis down too, no answer but a verdict lets a write through."""
    door.user_svc.fail = fault
    with pytest.raises(Unavailable):
        await door.authenticator(redis_url=DEAD).authenticate(door.caller().token, safe=False)


async def test_blind_admits_no_forgery(door: Any) -> None:
    """Proof is the first rung whatever is down."""
    caller = door.caller(aud="other")
    with pytest.raises(InvalidToken):
        await door.authenticator(redis_url=DEAD, blind="all").authenticate(caller.token, safe=True)


@pytest.mark.usefixtures("budgets")
async def test_silent_redis_costs_its_budget(door: Any, silent: Any) -> None:
    """A Redis that accepts and never answers costs 50 ms, and user-svc decides."""
    caller, authenticator = door.caller(), door.authenticator(redis_url=f"redis://{silent.address}")
    door.knows(caller.user)
    started = time.perf_counter()
    assert (await authenticator.authenticate(caller.token, safe=False)).source is Source.USER_SVC
    assert time.perf_counter() - started < BUDGET + NOTICEABLE


@pytest.mark.usefixtures("budgets")
async def test_paused_redis_costs_its_budget(door: Any, valkey_server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Redis that hangs in the middle of its life costs no more, and is used again once it answers."""
    caller = door.caller()
    door.knows(caller.user)
    await door.redis.set(key(caller.session), encode(caller.user, door.clock()))
    await door.admit(caller)
    valkey_server.pause()
    try:
        started = time.perf_counter()
        assert (await door.admit(caller)).source is Source.USER_SVC
        assert time.perf_counter() - started < BUDGET + NOTICEABLE
    finally:
        valkey_server.resume()
    monkeypatch.setattr(standing, "BUDGET", 10.0)
    assert (await door.admit(caller)).source is Source.REDIS


@pytest.mark.usefixtures("budgets")
async def test_both_silent_cost_both_budgets(door: Any, silent: Any) -> None:
    """The longest anybody waits for the guard."""
    authenticator = door.authenticator(redis_url=f"redis://{silent.address}", user_svc_url=f"http://{silent.address}")
    started = time.perf_counter()
    assert (await authenticator.authenticate(door.caller().token, safe=True)).source is Source.BLIND
    assert time.perf_counter() - started < BUDGET + TOTAL + NOTICEABLE
