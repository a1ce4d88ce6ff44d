"""What owners change of their accounts: the e-mail address and the password."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from user_svc.settings import Settings

ANN = "ann@example.com"
PASSWORD = "correct horse battery"
OTHER = "another horse battery"

Call = Callable[..., Awaitable[httpx.Response]]
Rows = Callable[..., Awaitable[list[tuple[Any, ...]]]]


def bearer(token: str) -> dict[str, str]:
    """The header of a request with this token."""
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def change(client: httpx.AsyncClient, token: str) -> Call:
    """PATCH Ann's account with these fields."""

    async def change(**fields: Any) -> httpx.Response:
        return await client.patch("/users/me", json=fields, headers=bearer(token))

    return change


@pytest.fixture
def change_password(client: httpx.AsyncClient, token: str) -> Call:
    """Change Ann's password in her first session."""

    async def change(current: str = PASSWORD, new: str = OTHER) -> httpx.Response:
        body = {"current_password": current, "new_password": new}
        return await client.post("/users/me/password", json=body, headers=bearer(token))

    return change


async def test_another_address_is_not_verified_yet(
    client: httpx.AsyncClient, token: str, rows: Rows, change: Call, login: Call
) -> None:
    """200 with the new profile, which `/me` gives too; a mail is on its way, and the new address logs in."""
    await rows("UPDATE accounts SET is_verified = true")

    answer = await change(email="Ann@Example.org", current_password=PASSWORD)

    me = (await client.get("/me", headers=bearer(token))).json()
    assert (answer.status_code, answer.json()) == (200, me)
    assert (me["email"], me["is_verified"]) == ("Ann@example.org", False)
    [(account, action)] = await rows("SELECT payload->>'account', payload->>'action' FROM outbox WHERE topic = 'mail'")
    assert (account, action) == (me["id"], "verify")
    assert (await login("ann@example.org")).status_code == 200
    assert (await login(ANN)).status_code == 400


async def test_every_session_is_told_of_another_address(
    token: str, login: Call, change: Call, settings: Settings
) -> None:
    """Redis soon holds the new profile of all of Ann's sessions."""
    assert token
    await login()
    assert (await change(email="ann@example.org", current_password=PASSWORD)).status_code == 200

    async with Redis.from_url(settings.redis_url.reveal(), decode_responses=True) as redis:
        sessions = await redis.keys("standing:*-*")
        end = time.monotonic() + 5
        while not all("ann@example.org" in str(standing) for standing in await redis.mget(sessions)):
            assert time.monotonic() < end, "not all were told"
            await asyncio.sleep(0.01)
    assert len(sessions) == 2


@pytest.mark.parametrize("taken", ["bob@example.com", "BOB@Example.COM"])
async def test_a_taken_address_is_a_conflict(register: Call, rows: Rows, change: Call, taken: str) -> None:
    """409, and nothing is changed or mailed."""
    await register("bob@example.com")

    answer = await change(email=taken, current_password=PASSWORD)

    assert (answer.status_code, answer.json()["code"]) == (409, "UPDATE_USER_EMAIL_ALREADY_EXISTS")
    assert await rows("SELECT email FROM accounts ORDER BY id") == [(ANN,), ("bob@example.com",)]
    assert await rows("SELECT FROM outbox") == []


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"email": "new@example.com", "current_password": "wrong horse battery"}, 400, "CURRENT_PASSWORD_WRONG"),
        ({"email": "new@example.com", "current_password": ""}, 400, "CURRENT_PASSWORD_WRONG"),
        ({"email": "new@example.com"}, 422, "INVALID_VALUE"),
        ({"email": "new", "current_password": PASSWORD}, 422, "INVALID_VALUE"),
        ({"email": None, "current_password": PASSWORD}, 422, "INVALID_VALUE"),
        ({"is_superuser": True}, 422, "INVALID_VALUE"),
        ({"is_verified": True, "email": "new@example.com", "current_password": PASSWORD}, 422, "INVALID_VALUE"),
        ({"password": OTHER, "current_password": PASSWORD}, 422, "INVALID_VALUE"),
    ],
)
async def test_what_is_not_allowed_changes_nothing(
    rows: Rows, change: Call, fields: dict[str, Any], status: int, code: str
) -> None:
    """No change without the password, none of a flag, and no password by this route."""
    before = await rows("SELECT email, is_superuser, is_verified, password_hash FROM accounts")

    answer = await change(**fields)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert await rows("SELECT email, is_superuser, is_verified, password_hash FROM accounts") == before


@pytest.mark.parametrize("fields", [{}, {"current_password": "x"}, {"email": ANN, "current_password": PASSWORD}])
async def test_what_changes_nothing_is_no_change(rows: Rows, change: Call, fields: dict[str, str]) -> None:
    """200, and a verified address stays verified."""
    await rows("UPDATE accounts SET is_verified = true")

    answer = await change(**fields)

    assert (answer.status_code, answer.json()["is_verified"]) == (200, True)
    assert await rows("SELECT FROM outbox WHERE topic = 'mail'") == []


async def test_another_password_ends_the_other_sessions(
    client: httpx.AsyncClient, token: str, login: Call, change_password: Call
) -> None:
    """204; this session goes on, the others are dead at once, and only the new password logs in."""
    other = (await login()).json()

    assert (await change_password()).status_code == 204
    after = await login(password=OTHER)

    alive = [
        (await client.get("/me", headers=bearer(access))).status_code
        for access in (token, other["access_token"], after.json()["access_token"])
    ]
    form = {"grant_type": "refresh_token", "refresh_token": other["refresh_token"]}
    assert alive == [200, 401, 200]
    assert (await client.post("/auth/jwt/refresh", data=form)).status_code == 400
    assert (await login()).status_code == 400


async def test_a_wrong_current_password_changes_nothing(token: str, login: Call, change_password: Call) -> None:
    """400, and the old password still logs in."""
    assert token
    answer = await change_password(current="wrong horse battery")

    assert (answer.status_code, answer.json()["code"]) == (400, "CURRENT_PASSWORD_WRONG")
    assert (await login()).status_code == 200


@pytest.mark.parametrize("new", ["short", "password1", "x" * 1025])
async def test_a_weak_new_password_is_refused_with_the_reason(token: str, change_password: Call, new: str) -> None:
    """422, as at registration."""
    assert token
    answer = await change_password(new=new)

    assert (answer.status_code, answer.json()["code"]) == (422, "UPDATE_USER_INVALID_PASSWORD")
    assert "password" in answer.json()["reason"]


async def test_of_two_changes_at_once_one_holds(token: str, login: Call, change_password: Call) -> None:
    """The change is guarded by the hash that was checked, so that none is lost."""
    assert token
    answers = await asyncio.gather(*(change_password(new=f"the horse number {number}") for number in range(4)))

    statuses = [answer.status_code for answer in answers]
    assert sorted(statuses) == [204, 400, 400, 400]
    assert (await login(password=f"the horse number {statuses.index(204)}")).status_code == 200
