"""Logout, and what other services learn from Redis, over HTTP."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import msgspec
import pytest

from common.auth.standing import TOMBSTONE
from common.testing import session_of

Call = Callable[..., Awaitable[httpx.Response]]
Rows = Callable[..., Awaitable[list[tuple[Any, ...]]]]
Remembered = Callable[[], Awaitable[dict[str, tuple[str, int]]]]

URL = "/auth/jwt/logout"


def bearer(token: str) -> dict[str, str]:
    """The header of a request with this token."""
    return {"Authorization": f"Bearer {token}"}


async def test_a_login_primes_the_standing(client: httpx.AsyncClient, token: str, remembered: Remembered) -> None:
    """The session's first request elsewhere finds the user in Redis already, for at most a minute."""
    user = (await client.get("/me", headers=bearer(token))).json()

    [(name, (value, seconds))] = (await remembered()).items()

    standing = msgspec.json.decode(value)
    assert name == f"standing:{session_of(token)}"
    assert {field: standing[field] for field in user} == user
    assert 0 < seconds <= 60


async def test_a_logout_ends_the_session(client: httpx.AsyncClient, token: str, rows: Rows) -> None:
    """204; the row is revoked, `/me` is 401 with a reason, and a second logout is refused like any dead token."""
    answer = await client.post(URL, headers=bearer(token))
    me = await client.get("/me", headers=bearer(token))
    again = await client.post(URL, headers=bearer(token))

    [(session, revoked)] = await rows("SELECT id, revoked_at IS NOT NULL FROM sessions")
    assert (answer.status_code, answer.content) == (204, b"")
    assert (session, revoked) == (session_of(token), True)
    assert [found.status_code for found in (me, again)] == [401, 401]
    assert me.headers["WWW-Authenticate"] == (
        'Bearer error="invalid_token", error_description="the session of this access token has ended"'
    )
    assert me.json()["code"] == "INVALID_TOKEN"


async def test_a_logout_leaves_a_tombstone(
    client: httpx.AsyncClient, token: str, rows: Rows, remembered: Remembered
) -> None:
    """Other services refuse the session from Redis, for as long as they would take any token (JWT_MAX_SECONDS)."""
    await client.post(URL, headers=bearer(token))

    [(name, (value, seconds))] = (await remembered()).items()
    assert (name, value) == (f"standing:{session_of(token)}", TOMBSTONE.decode())
    [(left,)] = await rows("SELECT extract(epoch FROM until - now())::float8 FROM tombstones")
    assert 3590 <= seconds <= 3601
    assert left == pytest.approx(3600, abs=10)


async def test_a_logout_ends_this_session_alone(
    client: httpx.AsyncClient, login: Call, token: str, remembered: Remembered
) -> None:
    """The same user's other sessions live on, in PostgreSQL and in Redis."""
    other = (await login()).json()["access_token"]

    await client.post(URL, headers=bearer(token))

    value, _ = (await remembered())[f"standing:{session_of(other)}"]
    assert value != TOMBSTONE.decode()
    assert (await client.get("/me", headers=bearer(other))).status_code == 200


async def test_redis_holds_no_token(client: httpx.AsyncClient, token: str, remembered: Remembered) -> None:
    """Whoever reads Redis can log in nowhere: no part of a token is in a key or a value."""
    before = await remembered()
    await client.post(URL, headers=bearer(token))
    after = await remembered()

    assert (len(before), len(after)) == (1, 1)
    assert not any(part in f"{before}{after}" for part in token.split("."))
