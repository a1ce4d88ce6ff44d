"""The seven rungs, in order: each decides where it can, and asks no further."""

import time
from typing import Any

import httpx
import msgspec
import pytest

from common.auth import Source
from common.auth.channel import identity
from common.auth.guard import bearer
from common.auth.standing import CHANNEL, READY, TOMBSTONE, Announcement, Standing, key
from common.errors import InvalidToken, Unauthorized, Unavailable
from common.testing import a_user, eventually, mint_token

AWAY = "redis://127.0.0.1:1/0"
TOKEN = (b"authorization", b"Bearer a.b.c")
NO_VERDICTS: dict[str, Any] = {
    "401 without a challenge": lambda: httpx.Response(401),
    "401 of a proxy": lambda: httpx.Response(401, headers={"WWW-Authenticate": "Basic"}),
    "403": lambda: httpx.Response(403),
    "404": lambda: httpx.Response(404),
    "429": lambda: httpx.Response(429),
    "500": lambda: httpx.Response(500),
    "a redirect": lambda: httpx.Response(302, headers={"Location": "/login"}),
    "HTML": lambda: httpx.Response(200, html="<h1>Welcome</h1>"),
    "nothing": lambda: httpx.Response(200),
    "somebody else": lambda: httpx.Response(200, content=msgspec.json.encode(a_user())),
    "a timeout": httpx.ReadTimeout("slow"),
    "a refused connection": httpx.ConnectError("refused"),
}


async def refusal(ladder: Any, caller: Any, **asked: bool) -> tuple[str, str]:
    """Why it is 401, and who says so."""
    with pytest.raises(InvalidToken) as caught:
        await ladder.admit(caller, **asked)
    return caught.value.reason, caught.value.source


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [TOKEN, TOKEN],
        [(b"authorization", b"Basic YTpi")],
        [(b"authorization", b"Bearer")],
        [(b"authorization", b"Bearer a.b.c d")],
        [(b"authorization", b"Bearer a.b.c,d")],
        [(b"authorization", b"Bearer a.b.c\n")],
        [(b"x-authorization", b"Bearer a.b.c")],
    ],
)
def test_first_rung_wants_exactly_one_bearer_token(headers: Any) -> None:
    """None, two, or something else is 401 before anybody is asked."""
    with pytest.raises(Unauthorized):
        bearer(headers)


@pytest.mark.parametrize("scheme", [b"Bearer ", b"bearer ", b"BEARER   "])
def test_first_rung_takes_the_scheme_in_any_case(scheme: bytes) -> None:
    """RFC 9110 section 11.1."""
    assert bearer([(b"authorization", scheme + b"a.b.c")]) == "a.b.c"


async def test_second_rung_refuses_without_a_word_to_anybody(ladder: Any) -> None:
    """A forgery of a session that is known good everywhere is 401 by proof."""
    caller = ladder.caller()
    await ladder.keep(caller)
    ladder.knows(caller.user)
    await ladder.admit(caller)
    await ladder.redis.config_resetstat()
    forged = mint_token(type(ladder.keys)({"test": bytes(range(32))}), sub=str(caller.user.id), sid=str(caller.session))
    assert await refusal(ladder, caller._replace(token=forged)) == ("signature", "proof")
    asked = await ladder.redis.info("commandstats")
    assert ("cmdstat_mget" in asked, ladder.user_svc.asked) == (False, 0)


async def test_third_rung_answers_from_memory(ladder: Any) -> None:
    """Within a second of the last answer nobody is asked, and the answer says how old it is."""
    caller = ladder.caller()
    await ladder.keep(caller, age=3.0)
    await ladder.admit(caller)
    await ladder.redis.delete(key(caller.session))
    found = await ladder.admit(caller)
    assert (found.source, found.is_superuser, ladder.user_svc.asked) == (Source.MEMORY, False, 0)
    assert found.age == pytest.approx(3.0, abs=0.5)


async def test_third_rung_knows_the_whole_header(ladder: Any) -> None:
    """The next request with the same header costs a dictionary look-up, and says that memory answered."""
    caller = ladder.caller()
    await ladder.keep(caller)
    header = f"Bearer {caller.token}".encode()
    assert ladder.guard.recall(header) is None
    await ladder.admit(caller)
    found = ladder.guard.recall(header)
    assert (found.id, found.session, found.source) == (caller.user.id, caller.session, Source.MEMORY)


async def test_third_rung_outlives_no_token(ladder: Any) -> None:
    """A token with less than a second to live is not looked up by its header."""
    now = time.time()
    caller = ladder.caller(iat=now - 10, exp=now + 0.9)
    await ladder.keep(caller)
    await ladder.admit(caller)
    assert ladder.guard.recall(f"Bearer {caller.token}".encode()) is None


async def test_third_rung_hears_of_the_end(ladder: Any) -> None:
    """A logout announced while the session is in memory is 401 at the next request, though Redis still says good."""
    caller = ladder.caller()
    await ladder.keep(caller)
    await ladder.admit(caller)
    news = Announcement(caller.session, None, time.time() + 600, time.time())
    await ladder.redis.publish(CHANNEL, msgspec.json.encode(news))
    await eventually(lambda: ladder.memory.is_dead(caller.session))
    assert ladder.guard.recall(f"Bearer {caller.token}".encode()) is None
    assert await refusal(ladder, caller) == ("revoked", "memory")


async def test_fourth_rung_answers_from_redis(ladder: Any) -> None:
    """A session primed at login is a hit at its first request: user-svc is not asked."""
    caller = ladder.caller(a_user(is_superuser=True))
    await ladder.keep(caller)
    found = await ladder.admit(caller)
    assert (found.source, found.is_superuser, ladder.user_svc.asked) == (Source.REDIS, True, 0)


async def test_fourth_rung_refuses_a_tombstone(ladder: Any) -> None:
    """It is 401 from Redis, and from then on from memory, whatever `/me` would say."""
    caller = ladder.caller()
    await ladder.redis.set(key(caller.session), TOMBSTONE)
    ladder.knows(caller.user)
    assert await refusal(ladder, caller) == ("revoked", "redis")
    await ladder.redis.delete(key(caller.session))
    assert await refusal(ladder, caller) == ("revoked", "memory")
    assert ladder.user_svc.asked == 0


async def test_fourth_rung_believes_only_a_standing_of_this_user(ladder: Any) -> None:
    """Where another's stands there, user-svc is asked."""
    caller = ladder.caller()
    await ladder.keep(caller, id=a_user().id)
    ladder.knows(caller.user)
    assert (await ladder.admit(caller)).source is Source.USER_SVC


async def test_fourth_rung_refuses_an_inactive_user(ladder: Any) -> None:
    """The profile that user-svc announced says so: nobody is asked."""
    caller = ladder.caller()
    await ladder.keep(caller, is_active=False)
    ladder.knows(caller.user)
    assert await refusal(ladder, caller) == ("revoked", "redis")
    assert ladder.user_svc.asked == 0


async def test_fifth_rung_asks_and_fills_what_was_missing(ladder: Any) -> None:
    """A session nobody knows is asked about once; every process finds the answer in Redis, for a minute at most."""
    caller = ladder.caller(a_user(is_superuser=True))
    ladder.knows(caller.user)
    found = await ladder.admit(caller)
    assert (found.source, found.user) == (Source.USER_SVC, caller.user)
    assert msgspec.json.decode(await ladder.kept(caller), type=Standing).id == caller.user.id
    assert 50_000 < await ladder.redis.pttl(key(caller.session)) <= 60_000
    assert ((await ladder.admit(caller)).source, ladder.user_svc.asked) == (Source.MEMORY, 1)


async def test_fifth_rung_remembers_a_refusal(ladder: Any) -> None:
    """A refused session does not ask with every request, and does not get in by stopping user-svc."""
    caller = ladder.caller()
    ladder.refuses()
    assert await refusal(ladder, caller) == ("revoked", "user-svc")
    ladder.user_svc.fail = httpx.ConnectError("refused")
    assert await refusal(ladder, caller) == ("revoked", "memory")
    assert ladder.user_svc.asked == 1
    assert ladder.memory._dead[caller.session] == pytest.approx(time.time() + 10, abs=1)


@pytest.mark.parametrize("fault", NO_VERDICTS.values(), ids=list(NO_VERDICTS))
async def test_sixth_rung_lets_proof_carry_the_request(ladder: Any, fault: Any) -> None:
    """No verdict, and no tombstone where there would be one: allowed without privileges, and not remembered."""
    caller = ladder.caller(a_user(is_superuser=True))
    ladder.user_svc.fail = fault
    found = await ladder.admit(caller, safe=False)
    assert (found.id, found.source, found.user, found.is_superuser) == (caller.user.id, Source.PROOF, None, False)
    assert (await ladder.kept(caller), ladder.memory.good(caller.session)) == (None, None)
    ladder.knows(caller.user)
    assert (await ladder.admit(caller)).source is Source.USER_SVC


async def test_sixth_rung_holds_the_tombstone(ladder: Any) -> None:
    """The fallback is for those of whom nothing bad is known."""
    caller = ladder.caller()
    await ladder.redis.set(key(caller.session), TOMBSTONE)
    assert await refusal(ladder, caller) == ("revoked", "redis")


@pytest.mark.parametrize("ready", [None, b"another server", b""], ids=["flushed", "restored", "empty"])
async def test_seventh_rung_is_blind_where_tombstones_may_be_missing(ladder: Any, ready: bytes | None) -> None:
    """A Redis that was flushed, or restored from another, proves nothing by what it lacks."""
    await ladder.redis.set(READY, ready) if ready is not None else await ladder.redis.delete(READY)
    caller = ladder.caller()
    assert (await ladder.admit(caller)).source is Source.BLIND
    with pytest.raises(Unavailable):
        await ladder.admit(caller, safe=False)


async def test_seventh_rung_is_blind_where_the_channel_hears_another_server(unstarted: Any) -> None:
    """`standing:ready` counts only with the identity of the server that is listened to now."""
    await unstarted.load()
    await unstarted.start()
    unstarted.channel.server = b"another"
    assert (await unstarted.admit(unstarted.caller())).source is Source.BLIND
    unstarted.channel.server = await identity(unstarted.redis)
    assert (await unstarted.admit(unstarted.caller())).source is Source.PROOF


@pytest.mark.parametrize(
    ("blind", "safe", "admitted"),
    [("read", True, True), ("read", False, False), ("all", False, True), ("none", True, False)],
)
async def test_seventh_rung_does_as_the_policy_says(unstarted: Any, blind: str, safe: bool, admitted: bool) -> None:
    """Neither can be asked: what passes, passes without privileges; what does not is 503 and never 401."""
    await unstarted.start(redis=AWAY, blind=blind)
    caller = unstarted.caller()
    if admitted:
        found = await unstarted.admit(caller, safe=safe)
        assert (found.source, found.user) == (Source.BLIND, None)
    else:
        with pytest.raises(Unavailable) as caught:
            await unstarted.admit(caller, safe=safe)
        assert (caught.value.code, int(caught.value.headers["Retry-After"]) > 0) == ("CANNOT_JUDGE", True)


async def test_seventh_rung_still_refuses_the_dead(unstarted: Any) -> None:
    """A tombstone this process has heard of holds with everybody away, whatever the policy."""
    await unstarted.start(redis=AWAY, blind="all")
    caller = unstarted.caller()
    unstarted.memory.bury(caller.session, time.time() + 600)
    assert await refusal(unstarted, caller) == ("revoked", "memory")


async def test_redis_away_leaves_the_verdict_to_user_svc(unstarted: Any) -> None:
    """Good is good and refused is refused."""
    await unstarted.start(redis=AWAY)
    caller = unstarted.caller()
    unstarted.knows(caller.user)
    assert (await unstarted.admit(caller, safe=False)).source is Source.USER_SVC
    unstarted.refuses()
    assert await refusal(unstarted, unstarted.caller()) == ("revoked", "user-svc")
