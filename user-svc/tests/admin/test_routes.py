"""Administration over HTTP: who may, what it takes, and what follows from it."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

Rows = Callable[..., Awaitable[list[tuple[Any, ...]]]]
Call = Callable[..., Awaitable[httpx.Response]]

ROUTES = [("GET", "/users"), ("GET", "{}"), ("PATCH", "{}"), ("DELETE", "{}"), ("GET", "/audit")]
ENDINGS: list[tuple[str, dict[str, bool] | None]] = [
    ("PATCH", {"is_active": False}),
    ("PATCH", {"is_superuser": False}),
    ("DELETE", None),
]
BAD_FLAGS = [
    {"is_superuser": 1},
    {"is_active": "true"},
    {"is_active": None},
    {"is_active": False, "email": "eve@example.com"},
    {"is_staff": True},
    [],
]
ACCOUNTS = "SELECT id, is_active, is_superuser, is_verified FROM accounts ORDER BY created_at, id"


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_nobody_gets_401(client: httpx.AsyncClient, root: Any, rows: Rows, method: str, path: str) -> None:
    """Without a token every route of administration answers 401, and does nothing."""
    answer = await client.request(method, path.format(root.path), json={"is_active": False})

    assert (answer.status_code, answer.json()["code"]) == (401, "NOT_AUTHENTICATED")
    assert await rows(ACCOUNTS) == [(root.id, True, True, False)]


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_a_user_gets_403(
    client: httpx.AsyncClient, root: Any, ann: Any, rows: Rows, method: str, path: str
) -> None:
    """A user without power is refused by every route, and nothing happens."""
    answer = await client.request(method, path.format(root.path), json={"is_active": False}, headers=ann.headers)

    assert (answer.status_code, answer.json()["code"]) == (403, "FORBIDDEN")
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert await rows(ACCOUNTS) == [(root.id, True, True, False), (ann.id, True, False, False)]


async def test_power_is_read_afresh(client: httpx.AsyncClient, root: Any, rows: Rows) -> None:
    """A token made while its owner was a superuser gives no power once the table says otherwise."""
    await rows("UPDATE accounts SET is_superuser = false WHERE id = $1", root.id)

    assert (await client.get("/users", headers=root.headers)).status_code == 403


async def test_one_account(client: httpx.AsyncClient, root: Any, ann: Any) -> None:
    """An account is shown by its id, without its password; an unknown one is 404."""
    found = await client.get(ann.path, headers=root.headers)
    missing = await client.get("/users/00000000-0000-4000-8000-000000000000", headers=root.headers)

    assert found.json() == {
        "id": str(ann.id),
        "email": "ann@example.com",
        "is_active": True,
        "is_superuser": False,
        "is_verified": False,
    }
    assert (missing.status_code, missing.json()["code"]) == (404, "USER_NOT_FOUND")


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
async def test_changing_an_unknown_account(client: httpx.AsyncClient, root: Any, rows: Rows, method: str) -> None:
    """What is not there cannot be changed or deleted, and leaves no trace in the audit."""
    path = "/users/00000000-0000-4000-8000-000000000000"
    answer = await client.request(method, path, json={"is_active": True}, headers=root.headers)

    assert (answer.status_code, answer.json()["code"]) == (404, "USER_NOT_FOUND")
    assert await rows("SELECT FROM audit UNION ALL SELECT FROM erasures") == []


@pytest.mark.parametrize("body", BAD_FLAGS)
async def test_flags_are_strict(client: httpx.AsyncClient, root: Any, ann: Any, rows: Rows, body: Any) -> None:
    """No flag but a JSON boolean, no field but a flag; nothing of a bad change is taken."""
    answer = await client.patch(ann.path, json=body, headers=root.headers)

    assert answer.status_code == 422
    assert (await rows(ACCOUNTS))[1:] == [(ann.id, True, False, False)]
    assert await rows("SELECT FROM audit") == []


async def test_an_empty_change_changes_nothing(client: httpx.AsyncClient, root: Any, ann: Any, rows: Rows) -> None:
    """No flag given, or none that differs: the account as it is, and no audit."""
    for body in ({}, {"is_active": True}):
        answer = await client.patch(ann.path, json=body, headers=root.headers)
        assert (answer.status_code, answer.json()["is_active"]) == (200, True)

    assert await rows("SELECT FROM audit") == []


async def test_nobody_raises_himself(client: httpx.AsyncClient, root: Any, ann: Any, rows: Rows) -> None:
    """Neither registration nor the own profile nor administration lets a user take power."""
    new = {"email": "eve@example.com", "password": "correct horse battery", "is_superuser": True}
    power = {"is_superuser": True}

    assert (await client.post("/auth/register", json=new)).status_code == 422
    assert (await client.patch("/users/me", json=power, headers=ann.headers)).status_code == 422
    assert (await client.patch(ann.path, json=power, headers=ann.headers)).status_code == 403
    assert await rows("SELECT id FROM accounts WHERE is_superuser") == [(root.id,)]


async def test_promotion_counts_at_once(client: httpx.AsyncClient, root: Any, ann: Any) -> None:
    """Who is promoted keeps his session, and has the power with the very next request."""
    changed = await client.patch(ann.path, json={"is_superuser": True}, headers=root.headers)

    assert (changed.status_code, changed.json()["is_superuser"]) == (200, True)
    assert (await client.get("/users", headers=ann.headers)).status_code == 200


@pytest.mark.parametrize(("method", "body"), ENDINGS)
async def test_losing_access_ends_sessions(
    client: httpx.AsyncClient,
    root: Any,
    enrol: Callable[..., Awaitable[Any]],
    rows: Rows,
    method: str,
    body: dict[str, bool] | None,
) -> None:
    """Deactivation, demotion and deletion end every session: access token, refresh token, and a tombstone for all."""
    bob = await enrol("bob", superuser=True)
    answer = await client.request(method, bob.path, json=body, headers=root.headers)
    form = {"grant_type": "refresh_token", "refresh_token": bob.refresh_token}

    assert answer.status_code == (204 if method == "DELETE" else 200)
    assert (await client.get("/me", headers=bob.headers)).status_code == 401
    assert (await client.post("/auth/jwt/refresh", data=form)).status_code == 400
    assert await rows("SELECT session_id FROM tombstones") == [(bob.session,)]


async def test_an_inactive_user_cannot_log_in_until_active_again(
    client: httpx.AsyncClient, root: Any, ann: Any, login: Call
) -> None:
    """Deactivation closes the door, activation opens it; the old session stays dead."""
    await client.patch(ann.path, json={"is_active": False}, headers=root.headers)
    assert (await login("ann@example.com")).status_code == 400

    await client.patch(ann.path, json={"is_active": True}, headers=root.headers)
    assert (await login("ann@example.com")).status_code == 200
    assert (await client.get("/me", headers=ann.headers)).status_code == 401


async def test_the_audit_names_actor_action_and_subject(client: httpx.AsyncClient, root: Any, ann: Any) -> None:
    """Every change and deletion is written down, the newest first, page by page."""
    await client.patch(ann.path, json={"is_verified": True}, headers=root.headers)
    await client.delete(ann.path, headers=root.headers)
    first = (await client.get("/audit", params={"limit": 1}, headers=root.headers)).json()
    second = await client.get("/audit", params={"limit": 1, "cursor": first["next_cursor"]}, headers=root.headers)

    told = [
        (entry["actor"], entry["actor_id"], entry["action"], entry["subject_id"], entry["details"])
        for entry in first["items"] + second.json()["items"]
    ]
    assert told == [
        ("user", str(root.id), "user.delete", str(ann.id), {}),
        ("user", str(root.id), "user.change", str(ann.id), {"is_verified": True}),
    ]
    assert second.json()["next_cursor"] is None


async def test_users_delete_themselves(client: httpx.AsyncClient, root: Any, ann: Any, rows: Rows) -> None:
    """`DELETE /users/me` takes the caller's account and nobody else's; the audit says it was himself."""
    answer = await client.delete("/users/me", headers=ann.headers)

    assert (answer.status_code, answer.content) == (204, b"")
    assert await rows("SELECT id FROM accounts") == [(root.id,)]
    assert await rows("SELECT actor_id, action, subject_id FROM audit") == [(ann.id, "user.delete", ann.id)]
    assert (await client.get("/me", headers=ann.headers)).status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "{}", {"is_superuser": False}),
        ("PATCH", "{}", {"is_active": False}),
        ("DELETE", "{}", None),
        ("DELETE", "/users/me", None),
    ],
)
async def test_the_last_superuser_stays(
    client: httpx.AsyncClient,
    root: Any,
    enrol: Callable[..., Awaitable[Any]],
    rows: Rows,
    *,
    method: str,
    path: str,
    body: dict[str, bool] | None,
) -> None:
    """Nobody can leave the service without an active superuser; an inactive one does not count."""
    bob = await enrol("bob", superuser=True)
    await rows("UPDATE accounts SET is_active = false WHERE id = $1", bob.id)
    answer = await client.request(method, path.format(root.path), json=body, headers=root.headers)

    assert (answer.status_code, answer.json()["code"]) == (409, "LAST_SUPERUSER")
    assert (await client.get("/me", headers=root.headers)).json()["is_superuser"] is True
    assert await rows("SELECT FROM audit UNION ALL SELECT FROM erasures UNION ALL SELECT FROM tombstones") == []
