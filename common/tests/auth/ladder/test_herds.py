"""Herds: however many come at once, user-svc is asked little, and everybody is answered."""

import asyncio
from typing import Any

import httpx
import msgspec
import pytest

from common.auth import Source, standing, userinfo
from common.auth.userinfo import BULKHEAD
from common.testing import a_user, eventually


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A herd on a busy machine takes its time; the budgets are another module's matter."""
    monkeypatch.setattr(standing, "BUDGET", 10.0)
    monkeypatch.setattr(userinfo, "TOTAL", 10.0)


def answers_whoever_asks(ladder: Any, seconds: float) -> None:
    """`/me` takes so long, and knows each caller by the token."""
    users: dict[str, bytes] = {}
    ladder.users = users

    async def answer(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(seconds)
        return httpx.Response(200, content=users[request.headers["Authorization"].removeprefix("Bearer ")])

    ladder.user_svc.inner = httpx.MockTransport(answer)


async def test_500_first_requests_are_one_question(ladder: Any) -> None:
    """A burst of one new session asks `/me` once, and each of the 500 has the answer."""
    caller = ladder.caller()
    ladder.knows(caller.user)
    found = await asyncio.gather(*(ladder.admit(caller) for _ in range(500)))
    assert {(principal.source, principal.id) for principal in found} <= {
        (Source.USER_SVC, caller.user.id),
        (Source.MEMORY, caller.user.id),
    }
    assert ladder.user_svc.asked == 1


async def test_flight_that_has_landed_is_not_flown_again(ladder: Any) -> None:
    """Who looked at memory and Redis before the landing, and comes to ask after it, finds the answer."""
    caller = ladder.caller()
    ladder.knows(caller.user)
    claims = ladder.guard._verifier.verify(caller.token)
    found = await ladder.guard._recall(claims)
    await ladder.admit(caller)
    late = await ladder.guard._ask(caller.token, claims, found, fresh=False)
    assert (late.id, ladder.user_svc.asked) == (caller.user.id, 1)


async def test_refused_flight_is_not_flown_again(ladder: Any) -> None:
    """Nor is a refusal asked for twice."""
    caller = ladder.caller()
    ladder.refuses()
    errors = await asyncio.gather(*(ladder.admit(caller) for _ in range(500)), return_exceptions=True)
    assert {type(error).__name__ for error in errors} == {"InvalidToken"}
    assert ladder.user_svc.asked == 1


async def test_cancelled_caller_cancels_nobody_else(ladder: Any) -> None:
    """The client that came first, and a hundred of those behind it, hang up: the others are answered all the same."""
    caller = ladder.caller()
    ladder.knows(caller.user)
    ladder.user_svc.held = asyncio.Event()
    callers = [asyncio.create_task(ladder.admit(caller)) for _ in range(200)]
    await eventually(lambda: ladder.user_svc.asked)
    for gone in callers[::2]:
        gone.cancel()
    await asyncio.sleep(0)
    ladder.user_svc.held.set()
    found = await asyncio.gather(*callers[1::2])
    assert {principal.id for principal in found} == {caller.user.id}
    assert ladder.user_svc.asked == 1
    assert (await ladder.kept(caller)) is not None


async def test_all_callers_gone_leaves_the_next_one_an_answer(ladder: Any) -> None:
    """A question whose askers all hung up is still answered, remembered, and no failure of user-svc."""
    caller = ladder.caller()
    ladder.knows(caller.user)
    ladder.user_svc.held = asyncio.Event()
    only = asyncio.create_task(ladder.admit(caller))
    await eventually(lambda: ladder.user_svc.asked)
    only.cancel()
    await asyncio.wait({only})
    ladder.user_svc.held.set()
    await ladder.landed()
    assert (await ladder.admit(caller)).source is Source.MEMORY
    assert ladder.user_svc.asked == 1


async def test_200_sessions_stay_within_the_bulkhead(ladder: Any) -> None:
    """Never more than 64 questions at once, and each of the 200 has its own user's answer."""
    answers_whoever_asks(ladder, 0.03)
    callers = [ladder.caller(a_user(email=f"{number}@example.com")) for number in range(200)]
    ladder.users.update({caller.token: msgspec.json.encode(caller.user) for caller in callers})
    found = await asyncio.gather(*map(ladder.admit, callers))
    assert [principal.user.email for principal in found] == [caller.user.email for caller in callers]
    assert {principal.source for principal in found} == {Source.USER_SVC}
    assert (ladder.user_svc.most, ladder.user_svc.asked) == (BULKHEAD, 200)


async def test_200_sessions_of_a_slow_user_svc_all_get_answers(ladder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who cannot be asked about in time is carried by proof: none waits for ever, and none is 401."""
    monkeypatch.setattr(userinfo, "TOTAL", 0.6)
    answers_whoever_asks(ladder, 0.25)
    callers = [ladder.caller() for _ in range(200)]
    ladder.users.update({caller.token: msgspec.json.encode(caller.user) for caller in callers})
    async with asyncio.timeout(3):
        found = await asyncio.gather(*map(ladder.admit, callers))
    assert [principal.id for principal in found] == [caller.user.id for caller in callers]
    assert {principal.source for principal in found} <= {Source.USER_SVC, Source.PROOF}
    assert Source.PROOF in {principal.source for principal in found}
    assert ladder.user_svc.most == BULKHEAD
