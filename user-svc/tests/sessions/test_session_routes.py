"""Where an account is logged in, over HTTP: the list of its sessions, and ending them."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
from msgspec.structs import replace

from common.http.client import Network
from common.testing import client_of, session_of
from user_svc.app import create_app
from user_svc.passwords import Passwords
from user_svc.settings import Settings

Alive = Callable[..., Awaitable[list[bool]]]
Buried = Callable[[UUID], Awaitable[None]]
Call = Callable[..., Awaitable[httpx.Response]]
Rows = Callable[..., Awaitable[list[tuple[Any, ...]]]]

ANN = {"username": "ann@example.com", "password": "correct horse battery"}
URL = "/users/me/sessions"


def bearer(token: str) -> dict[str, str]:
    """The header of a request with this token."""
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
async def others(token: str, login: Call) -> list[str]:
    """The access tokens of two later logins of Ann's, who has `token` already."""
    assert token
    return [str((await login()).json()["access_token"]) for _ in range(2)]


@pytest.fixture
async def bob(register: Call, login: Call) -> str:
    """The access token of somebody else."""
    await register("bob@example.com")
    return str((await login("bob@example.com")).json()["access_token"])


@pytest.fixture
def alive(client: httpx.AsyncClient) -> Alive:
    """Which of some access tokens are still good."""

    async def alive(*tokens: str) -> list[bool]:
        return [(await client.get("/me", headers=bearer(token))).status_code == 200 for token in tokens]

    return alive


async def test_the_list_shows_where_one_is_logged_in(client: httpx.AsyncClient, register: Call) -> None:
    """Each session with its times, browser and address, and no token or hash of one; only the caller's is current."""
    await register()
    login = await client.post("/auth/jwt/login", data=ANN, headers={"User-Agent": "Lynx/2.9"})
    token = login.json()["access_token"]

    answer = await client.get(URL, headers=bearer(token))

    [session] = answer.json()
    times = [datetime.fromisoformat(session.pop(name)) for name in ("created_at", "last_used_at")]
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    assert session == {
        "id": str(session_of(token)),
        "user_agent": "Lynx/2.9",
        "address": "127.0.0.1",
        "current": True,
    }
    assert [time.tzinfo is not None for time in times] == [True, True]


async def test_the_last_used_comes_first(client: httpx.AsyncClient, token: str, others: list[str], login: Call) -> None:
    """A refresh is a use; the one who asks is marked wherever it stands."""
    old = (await login()).json()
    newest = (await login()).json()
    form = {"grant_type": "refresh_token", "refresh_token": old["refresh_token"]}
    await client.post("/auth/jwt/refresh", data=form)

    sessions = (await client.get(URL, headers=bearer(token))).json()

    order = [old["access_token"], newest["access_token"], *reversed(others), token]
    assert [session["id"] for session in sessions] == [str(session_of(each)) for each in order]
    assert [session["current"] for session in sessions] == [False] * 4 + [True]


@pytest.mark.usefixtures("bob")
async def test_only_ones_own_open_sessions_are_listed(
    client: httpx.AsyncClient, token: str, others: list[str], rows: Rows
) -> None:
    """Neither somebody else's, nor one that ended or expired."""
    ended, expired = (session_of(other) for other in others)
    await client.delete(f"{URL}/{ended}", headers=bearer(token))
    await rows("UPDATE sessions SET expires_at = now() WHERE id = $1", expired)

    sessions = (await client.get(URL, headers=bearer(token))).json()

    assert [session["id"] for session in sessions] == [str(session_of(token))]


async def test_a_trusted_proxy_tells_the_address(settings: Settings, register: Call) -> None:
    """With TRUSTED_PROXIES the list shows the browser's address, not the proxy's."""
    await register()
    behind = replace(settings, trusted_proxies=[Network.parse("127.0.0.0/8")])
    async with client_of(create_app(behind)) as client:
        login = await client.post("/auth/jwt/login", data=ANN, headers={"X-Forwarded-For": "203.0.113.9, 198.51.100.7"})
        sessions = (await client.get(URL, headers=bearer(login.json()["access_token"]))).json()

    assert [session["address"] for session in sessions] == ["198.51.100.7"]


async def test_ending_one_ends_it_alone(
    client: httpx.AsyncClient, token: str, others: list[str], alive: Alive, buried: Buried
) -> None:
    """204: dead at `/me` and in Redis, and the others live; a second time it is no session any more."""
    url = f"{URL}/{session_of(others[0])}"

    first = await client.delete(url, headers=bearer(token))
    second = await client.delete(url, headers=bearer(token))

    assert (first.status_code, first.content) == (204, b"")
    assert await alive(token, *others) == [True, False, True]
    await buried(session_of(others[0]))
    assert (second.status_code, second.json()["code"]) == (404, "SESSION_NOT_FOUND")


async def test_ending_the_current_one_is_a_logout(client: httpx.AsyncClient, token: str, alive: Alive) -> None:
    """The list's own row can be ended like any other."""
    answer = await client.delete(f"{URL}/{session_of(token)}", headers=bearer(token))

    assert answer.status_code == 204
    assert await alive(token) == [False]


async def test_ending_the_others_keeps_this_one(
    client: httpx.AsyncClient, token: str, others: list[str], bob: str, alive: Alive, buried: Buried
) -> None:
    """204, also where there are none left: every other session of the account is dead, and nobody else's."""
    answers = [await client.delete(URL, headers=bearer(token)) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [204, 204]
    assert await alive(token, *others, bob) == [True, False, False, True]
    for other in others:
        await buried(session_of(other))


async def test_an_ended_session_refreshes_no_more(client: httpx.AsyncClient, token: str, login: Call) -> None:
    """The refresh token of a session that was ended from elsewhere is 400."""
    lost = (await login()).json()
    await client.delete(f"{URL}/{session_of(lost['access_token'])}", headers=bearer(token))

    form = {"grant_type": "refresh_token", "refresh_token": lost["refresh_token"]}
    answer = await client.post("/auth/jwt/refresh", data=form)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


async def test_somebody_elses_session_is_as_if_it_never_was(
    client: httpx.AsyncClient, token: str, bob: str, alive: Alive
) -> None:
    """One 404 for both, and the session lives."""
    theirs, none = [
        await client.delete(f"{URL}/{session}", headers=bearer(bob)) for session in (session_of(token), uuid4())
    ]

    bodies = [{**answer.json(), "instance": None} for answer in (theirs, none)]
    assert [answer.status_code for answer in (theirs, none)] == [404, 404]
    assert bodies[0] == bodies[1]
    assert await alive(token) == [True]


@pytest.mark.parametrize("path", ["x", "0", "%00", "00000000-0000-0000-0000"])
async def test_what_is_no_id_is_no_session(client: httpx.AsyncClient, token: str, path: str) -> None:
    """404, never a 500."""
    assert (await client.delete(f"{URL}/{path}", headers=bearer(token))).status_code == 404


@pytest.mark.parametrize(("method", "path"), [("GET", URL), ("DELETE", URL), ("DELETE", f"{URL}/{UUID(int=7)}")])
async def test_without_a_token_nothing_is_shown_or_ended(client: httpx.AsyncClient, method: str, path: str) -> None:
    """401 with a Bearer challenge."""
    answer = await client.request(method, path)

    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")


CHANGES = {
    "the password": "UPDATE accounts SET password_hash = 'changed'",
    "its standing": "UPDATE accounts SET is_active = false",
    "all of it": "DELETE FROM accounts",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_a_password_changed_while_it_is_checked_opens_nothing(
    register: Call, login: Call, rows: Rows, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """Hashing takes its time; what the check was made against is looked at again before a session is opened."""
    await register()
    verify = Passwords.verify
    matched: list[bool] = []

    async def slow(passwords: Passwords, password_hash: str | None, password: str) -> str | None:
        kept = await verify(passwords, password_hash, password)
        matched.append(kept is not None)
        await rows(change)
        return kept

    monkeypatch.setattr(Passwords, "verify", slow)

    answer = await login()

    assert (answer.status_code, answer.json()["code"]) == (400, "LOGIN_BAD_CREDENTIALS")
    assert matched[0]
    assert await rows("SELECT FROM sessions UNION ALL SELECT FROM refresh_tokens") == []
    assert await rows("SELECT FROM accounts WHERE is_active AND password_hash <> 'changed'") == []


async def test_a_login_waits_for_a_change_under_way(
    settings: Settings, register: Call, login: Call, rows: Rows
) -> None:
    """The account is locked when it is looked at again: a new password that commits a moment later counts."""
    await register()
    waiting = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    connection = await asyncpg.connect(settings.database_url.reveal())
    async with connection.transaction():
        await connection.execute("UPDATE accounts SET password_hash = 'changed'")
        under_way = asyncio.ensure_future(login())
        end = time.monotonic() + 5
        while not await rows(waiting):
            assert time.monotonic() < end, "the login did not wait"
    answer = await under_way
    await connection.close()

    assert (answer.status_code, answer.json()["code"]) == (400, "LOGIN_BAD_CREDENTIALS")
    assert await rows("SELECT FROM sessions") == []
