"""Refresh tokens: each is good for one use, known by its hash alone, and ends its session when it comes twice."""

import asyncio
import hashlib
from base64 import urlsafe_b64decode
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import httpx
import pytest
from msgspec.structs import replace

from common.testing import client_of, session_of
from user_svc.app import create_app
from user_svc.settings import Settings

Buried = Callable[[UUID], Awaitable[None]]
Call = Callable[..., Awaitable[httpx.Response]]
Remembered = Callable[[], Awaitable[dict[str, tuple[str, int]]]]
Rows = Callable[..., Awaitable[list[tuple[Any, ...]]]]

DAY = 24 * 3600
REFUSAL = {"error": "invalid_grant", "code": "REFRESH_BAD_TOKEN", "status": 400}
LIVE = "SELECT count(*) FROM refresh_tokens WHERE used_at IS NULL"
OPEN = "SELECT count(*) FROM sessions WHERE revoked_at IS NULL"
TABLES = "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public'"


def bearer(token: str) -> dict[str, str]:
    """The header of a request with this token."""
    return {"Authorization": f"Bearer {token}"}


def refused(answer: httpx.Response) -> bool:
    """Whether this is the one refusal of a refresh token."""
    body: dict[str, object] = answer.json()
    return REFUSAL.items() <= body.items()


def raw(token: str) -> bytes:
    """The bits of a refresh token."""
    return urlsafe_b64decode(token + "=")


async def test_a_refresh_token_is_taken_for_its_successor(
    client: httpx.AsyncClient, tokens: dict[str, Any], refresh: Call, rows: Rows
) -> None:
    """200 as a login has it, uncached: new tokens of the same session, and the session has been used just now."""
    await rows("UPDATE sessions SET last_used_at = now() - interval '1 day'")

    answer = await refresh(tokens["refresh_token"])

    body = answer.json()
    me = await client.get("/me", headers=bearer(body["access_token"]))
    [(fresh,)] = await rows("SELECT last_used_at > now() - interval '1 minute' FROM sessions")
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    assert body.keys() == tokens.keys() == {"access_token", "token_type", "expires_in", "refresh_token"}
    assert body["refresh_token"] != tokens["refresh_token"]
    assert session_of(body["access_token"]) == session_of(tokens["access_token"])
    assert (me.status_code, fresh) == (200, True)


async def test_a_chain_of_refreshes_stays_one_session(tokens: dict[str, Any], refresh: Call, rows: Rows) -> None:
    """However often it is renewed, one session stands, with one token that is good."""
    token = tokens["refresh_token"]
    seen = {token}
    for _ in range(5):
        token = (await refresh(token)).json()["refresh_token"]
        seen.add(token)

    assert len(seen) == 6
    assert (await rows(OPEN), await rows(LIVE)) == ([(1,)], [(1,)])


async def test_refreshes_at_the_same_time_leave_one_live_successor(
    settings: Settings, tokens: dict[str, Any], refresh: Call, rows: Rows
) -> None:
    """Two browser tabs, two processes: all are given the same successor, and nobody is logged out."""
    async with client_of(create_app(settings)) as other:
        answers = await asyncio.gather(*(refresh(tokens["refresh_token"], at=at) for at in (None, other) * 4))

    assert [answer.status_code for answer in answers] == [200] * 8
    assert len({answer.json()["refresh_token"] for answer in answers}) == 1
    assert (await rows(OPEN), await rows(LIVE)) == ([(1,)], [(1,)])


async def test_without_grace_only_one_of_two_gets_through(
    settings: Settings, tokens: dict[str, Any], refresh: Call, rows: Rows
) -> None:
    """With `REFRESH_GRACE_SECONDS=0` the second of two is a reuse: never two successors."""
    strict = replace(settings, refresh_grace_seconds=0)
    async with client_of(create_app(strict)) as one, client_of(create_app(strict)) as two:
        answers = await asyncio.gather(*(refresh(tokens["refresh_token"], at=at) for at in (one, two)))

    assert sorted(answer.status_code for answer in answers) == [200, 400]
    assert await rows(OPEN) == [(0,)]
    assert await rows("SELECT count(*) FROM refresh_tokens") == [(2,)]


async def test_a_lost_answer_can_be_fetched_again(tokens: dict[str, Any], refresh: Call, rows: Rows) -> None:
    """Within the grace the same token gives the same successor, which works."""
    first, again = await refresh(tokens["refresh_token"]), await refresh(tokens["refresh_token"])

    assert [first.status_code, again.status_code] == [200, 200]
    assert first.json()["refresh_token"] == again.json()["refresh_token"]
    assert (await refresh(again.json()["refresh_token"])).status_code == 200
    assert await rows(LIVE) == [(1,)]


async def test_grace_is_over_in_time(tokens: dict[str, Any], refresh: Call, rows: Rows) -> None:
    """After ten seconds a used token is a reuse, though its successor has not been used."""
    await refresh(tokens["refresh_token"])
    await rows("UPDATE refresh_tokens SET used_at = used_at - interval '10 seconds' WHERE used_at IS NOT NULL")

    assert refused(await refresh(tokens["refresh_token"]))
    assert await rows(OPEN) == [(0,)]


async def test_grace_ends_when_the_successor_is_used(tokens: dict[str, Any], refresh: Call, rows: Rows) -> None:
    """Whoever used the successor had the answer: an older token that comes after that was stolen."""
    successor = (await refresh(tokens["refresh_token"])).json()["refresh_token"]
    assert (await refresh(successor)).status_code == 200

    assert refused(await refresh(tokens["refresh_token"]))
    assert await rows(OPEN) == [(0,)]


async def test_a_reused_token_ends_its_session_everywhere(
    settings: Settings, client: httpx.AsyncClient, tokens: dict[str, Any], refresh: Call, login: Call, buried: Buried
) -> None:
    """The answer is 400, and all the same the session is dead: at `/me`, in Redis, and for the successor too."""
    other = (await login()).json()
    async with client_of(create_app(replace(settings, refresh_grace_seconds=0))) as strict:
        renewed = (await refresh(tokens["refresh_token"], at=strict)).json()
        assert refused(await refresh(tokens["refresh_token"], at=strict))

    accesses = (tokens["access_token"], renewed["access_token"], other["access_token"])
    me = [(await client.get("/me", headers=bearer(access))).status_code for access in accesses]
    assert me == [401, 401, 200]
    await buried(session_of(tokens["access_token"]))
    assert refused(await refresh(renewed["refresh_token"]))
    assert (await refresh(other["refresh_token"])).status_code == 200


async def test_it_survives_a_restart(settings: Settings, tokens: dict[str, Any], refresh: Call) -> None:
    """Nothing of it lives in the process: another app on the same database takes it."""
    async with client_of(create_app(settings)) as restarted:
        answer = await refresh(tokens["refresh_token"], at=restarted)

    assert answer.status_code == 200


async def test_it_lives_as_long_as_it_may_lie_unused(tokens: dict[str, Any], refresh: Call, rows: Rows) -> None:
    """Fourteen days from each use, so that who comes back in time stays logged in."""
    seconds = "SELECT extract(epoch FROM expires_at - now())::float8 FROM refresh_tokens WHERE used_at IS NULL"
    [(first,)] = await rows(seconds)
    await rows("UPDATE refresh_tokens SET expires_at = now() + interval '1 minute'")
    await refresh(tokens["refresh_token"])

    assert [first, (await rows(seconds))[0][0]] == pytest.approx([14 * DAY] * 2, abs=30)


async def test_one_that_lay_unused_too_long_is_refused(tokens: dict[str, Any], refresh: Call, rows: Rows) -> None:
    """After the idle time it is as good as unknown; that is no reuse, and ends nothing."""
    await rows("UPDATE refresh_tokens SET expires_at = now()")

    assert refused(await refresh(tokens["refresh_token"]))
    assert (await rows(OPEN), await rows(LIVE)) == ([(1,)], [(1,)])


async def test_no_refresh_outlives_the_session(tokens: dict[str, Any], refresh: Call, rows: Rows) -> None:
    """The session's end does not move: a successor lives no longer, and after it nothing is renewed."""
    await rows("UPDATE sessions SET expires_at = now() + interval '1 hour'")
    successor = (await refresh(tokens["refresh_token"])).json()["refresh_token"]
    [(capped,)] = await rows(
        "SELECT r.expires_at = s.expires_at FROM refresh_tokens r, sessions s WHERE r.used_at IS NULL"
    )
    await rows("UPDATE sessions SET expires_at = now()")

    assert capped
    assert refused(await refresh(successor))
    assert refused(await refresh(tokens["refresh_token"]))


async def test_a_short_session_caps_the_first_token(
    settings: Settings, login: Call, register: Call, rows: Rows
) -> None:
    """Also the token of the login itself ends with the session."""
    await register()
    async with client_of(create_app(replace(settings, session_seconds=60))) as short:
        await login(at=short)

    assert await rows("SELECT r.expires_at = s.expires_at FROM refresh_tokens r, sessions s") == [(True,)]


@pytest.mark.parametrize("used", [False, True])
async def test_an_inactive_account_renews_nothing(
    tokens: dict[str, Any], refresh: Call, rows: Rows, *, used: bool
) -> None:
    """Neither with a new token nor with one whose answer was lost."""
    if used:
        await refresh(tokens["refresh_token"])
    await rows("UPDATE accounts SET is_active = false")

    assert refused(await refresh(tokens["refresh_token"]))


async def test_a_logout_ends_the_refresh_token_too(
    client: httpx.AsyncClient, tokens: dict[str, Any], refresh: Call
) -> None:
    """After 204 nobody comes back with what that browser still holds."""
    assert (await client.post("/auth/jwt/logout", headers=bearer(tokens["access_token"]))).status_code == 204

    assert refused(await refresh(tokens["refresh_token"]))


async def test_only_hashes_rest(tokens: dict[str, Any], refresh: Call, rows: Rows, remembered: Remembered) -> None:
    """Whoever reads every table and all of Redis can log in nowhere: no token is there, used or not."""
    successor = (await refresh(tokens["refresh_token"])).json()["refresh_token"]

    tables = [name for (name,) in await rows(TABLES)]
    stored = "\n".join([str(row) for name in tables for row in await rows(f'SELECT t::text FROM "{name}" t')])
    stored += str(await remembered())
    for token in (tokens["refresh_token"], successor):
        assert hashlib.sha256(raw(token)).hexdigest() in stored
        assert token not in stored
        assert raw(token).hex() not in stored
    assert tokens["access_token"].rpartition(".")[2] not in stored
