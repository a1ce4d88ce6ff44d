"""The weaknesses of the FastAPI tutorial that Gatehouse grew from: one test each, red where the weakness is."""

import base64
import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
import redis.asyncio

from common.settings import SettingsError, load
from common.testing import FlakyTransport, session_of
from devstack.embedded import Valkey
from todo_svc.settings import Settings

Json = dict[str, Any]
Sql = Callable[..., Awaitable[list[asyncpg.Record]]]
Walk = Callable[..., Awaitable[list[Json]]]


@pytest.fixture
def valkey(valkey_server: Valkey) -> Iterator[Valkey]:
    """The server both services use, running again after the test."""
    yield valkey_server
    if not valkey_server.alive:
        valkey_server.start()


async def _everything(url: str) -> list[bytes]:
    """Every key and value Redis holds."""
    async with redis.asyncio.from_url(url) as client:
        keys = [key async for key in client.scan_iter()]
        return [*keys, *[await client.dump(key) for key in keys]]


async def test_raw_token_as_redis_key(todo_svc: httpx.AsyncClient, bearer: dict[str, str], redis_url: str) -> None:
    """Redis holds no token, no part and no hash of one, as key or value: not from the login, not from a fill."""
    token = bearer["Authorization"].removeprefix("Bearer ")
    kept = await _everything(redis_url)
    async with redis.asyncio.from_url(redis_url) as client:
        assert await client.delete(f"standing:{session_of(token)}") == 1
    assert (await todo_svc.get("/lists", headers=bearer)).headers["X-Auth-Source"] == "user-svc"
    kept += await _everything(redis_url)
    assert any(str(session_of(token)).encode() in text for text in kept)
    hashes = [hashlib.new(name, token.encode()) for name in ("md5", "sha1", "sha256", "sha512")]
    secrets = [
        *token.encode().split(b"."),
        *(digest.hexdigest().encode() for digest in hashes),
        *(digest.digest() for digest in hashes),
    ]
    assert [secret for secret in secrets for text in kept if secret in text] == []


async def test_logged_out_user_accepted(
    todo_svc: httpx.AsyncClient, user_svc: httpx.AsyncClient, bearer: dict[str, str]
) -> None:
    """A token that todo-svc has just believed is 401 there from the logout on, though it is signed and unexpired."""
    assert (await todo_svc.get("/lists", headers=bearer)).status_code == 200
    assert (await user_svc.post("/auth/jwt/logout", headers=bearer)).status_code == 204
    for _ in range(2):
        answer = await todo_svc.get("/lists", headers=bearer)
        assert (answer.status_code, answer.json()["code"]) == (401, "INVALID_TOKEN")
    assert (await todo_svc.post("/lists", json={"title": "x"}, headers=bearer)).status_code == 401


async def test_logged_out_user_accepted_while_user_svc_is_away(
    todo_svc: httpx.AsyncClient, user_svc: httpx.AsyncClient, bearer: dict[str, str], way: FlakyTransport
) -> None:
    """The fallback to the signature does not bring a dead session back: the tombstone speaks."""
    assert (await todo_svc.get("/lists", headers=bearer)).status_code == 200
    assert (await user_svc.post("/auth/jwt/logout", headers=bearer)).status_code == 204
    way.fail = httpx.ConnectError("refused")
    assert (await todo_svc.get("/lists", headers=bearer)).status_code == 401


async def test_500_when_redis_stops(
    todo_svc: httpx.AsyncClient, user_svc: httpx.AsyncClient, bearer: dict[str, str], email: str, valkey: Valkey
) -> None:
    """Redis is a memory and no crutch: reading, writing, logging in and out go on without it, and after it."""
    valkey.stop()
    form = {"username": email, "password": "correct-horse-battery"}
    assert (await todo_svc.get("/lists", headers=bearer)).status_code == 200
    assert (await todo_svc.post("/lists", json={"title": "x"}, headers=bearer)).status_code == 201
    assert (await todo_svc.post("/auth/jwt/login", data=form)).status_code == 200
    assert (await user_svc.post("/auth/jwt/logout", headers=bearer)).status_code == 204
    assert (await todo_svc.get("/lists", headers=bearer)).status_code == 401
    valkey.start()
    again = (await todo_svc.post("/auth/jwt/login", data=form)).json()
    header = {"Authorization": f"Bearer {again['access_token']}"}
    assert (await todo_svc.get("/lists", headers=header)).status_code == 200


async def test_write_into_anothers_list(ann: httpx.AsyncClient, bobs_list: Json, sql: Sql) -> None:
    """A todo cannot be put, nor moved, into a list that is not the caller's: 404, and the list stays empty."""
    own = (await ann.post("/lists", json={"title": "Own"})).json()
    todo = (await ann.post(f"/lists/{own['id']}/todos", json={"content": "x"})).json()
    put = await ann.post(f"/lists/{bobs_list['id']}/todos", json={"content": "Slipped in"})
    moved = await ann.patch(f"/todos/{todo['id']}", json={"list_id": bobs_list["id"]})
    assert (put.status_code, moved.status_code) == (404, 404)
    assert await sql("SELECT FROM todos WHERE list_id = $1", UUID(bobs_list["id"])) == []


async def test_empty_patch_500(ann: httpx.AsyncClient, milk: Json) -> None:
    """A change of nothing is 200 and changes nothing."""
    before = (await ann.get(f"/lists/{milk['list_id']}")).json()
    answers = [await ann.patch(path, json={}) for path in (f"/todos/{milk['id']}", f"/lists/{milk['list_id']}")]
    assert [(answer.status_code, answer.json()) for answer in answers] == [(200, milk), (200, before)]


async def test_null_not_clearing(ann: httpx.AsyncClient, milk: Json) -> None:
    """`null` takes a description and a due time away; what is not named stays."""
    assert None not in (milk["description"], milk["due_at"])
    path = f"/todos/{milk['id']}"
    first = (await ann.patch(path, json={"description": None})).json()
    second = (await ann.patch(path, json={"due_at": None})).json()
    assert [first["description"], first["due_at"]] == [None, milk["due_at"]]
    assert [second["description"], second["due_at"]] == [None, None]
    assert (await ann.get(path)).json() == second


async def test_priority_sorted_by_name(ann: httpx.AsyncClient, groceries: Json) -> None:
    """By rank in both directions, in the tutorial's own spelling too; the alphabet has it otherwise."""
    for priority in ("medium", "high", "low"):
        await ann.post(f"/lists/{groceries['id']}/todos", json={"content": "x", "priority": priority})
    for order, expected in (("priority", ["low", "medium", "high"]), ("priority desc", ["high", "medium", "low"])):
        items = (await ann.get("/todos", params={"order_by": order})).json()["items"]
        assert [item["priority"] for item in items] == expected


async def test_equal_timestamps_lost_or_repeated_by_pages(
    ann: httpx.AsyncClient, ann_id: UUID, groceries: Json, sql: Sql, walk: Walk
) -> None:
    """Thirty todos of one instant, four at a time, in either direction: each exactly once."""
    made = await sql(
        "INSERT INTO todos (owner_id, id, list_id, content, position, created_at)"
        " SELECT $1, gen_random_uuid(), $2, n::text, 0, '2026-01-01Z' FROM generate_series(1, 30) n RETURNING id",
        *(ann_id, UUID(groceries["id"])),
    )
    for order, descending in (("created_at", False), ("created_at desc", True)):
        items = await walk(ann, "/todos", order_by=order, limit=4)
        assert [UUID(item["id"]) for item in items] == sorted((row["id"] for row in made), reverse=descending)


async def test_any_origin_with_credentials(ann: httpx.AsyncClient, variables: dict[str, str]) -> None:
    """`*` is no setting, and no answer names an origin that is not on the list; least of all with credentials."""
    for origins in ("*", "https://*", "https://app.example.com,https://*.example.com"):
        with pytest.raises(SettingsError, match=r"^CORS_ORIGINS "):
            load(Settings, variables | {"CORS_ORIGINS": origins})
    preflight = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "Authorization"}
    for origin, allowed in (("https://app.example.com", "https://app.example.com"), ("https://evil.example", None)):
        for answer in (
            await ann.get("/lists", headers={"Origin": origin}),
            await ann.get("/nothing", headers={"Origin": origin}),
            await ann.options("/lists", headers={"Origin": origin, **preflight}),
        ):
            assert answer.headers.get("Access-Control-Allow-Origin") == allowed
            assert ("Access-Control-Allow-Credentials" in answer.headers) == (allowed is not None)
            assert "Origin" in answer.headers["Vary"]


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (b"secret", "of 6 bytes"),
        (bytes(range(100, 131)), "of 31 bytes"),
        (b"SECRET" * 8, "of low entropy"),
        (bytes(32), "of low entropy"),
        (b"12345678901234567890123456789012", "of low entropy"),
        (b"your-256-bit-secret", "that is a published example"),
        (b"a-string-secret-at-least-256-bits-long", "that is a published example"),
        (b"09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7", "that is a published example"),
    ],
)
def test_weak_secret_accepted(variables: dict[str, str], key: bytes, reason: str) -> None:
    """Short, guessable, or printed in a tutorial: the service does not start, and says why without showing it."""
    encoded = base64.urlsafe_b64encode(key).decode()
    with pytest.raises(SettingsError, match=f"^JWT_KEYS holds a key k {reason}") as refusal:
        load(Settings, variables | {"JWT_KEYS": f"k:{encoded}"})
    assert encoded not in str(refusal.value)


async def test_unsigned_or_otherwise_signed_token_accepted(todo_svc: httpx.AsyncClient, bearer: dict[str, str]) -> None:
    """`alg: none`, an empty signature, or the empty secret: 401."""
    _, payload, _ = bearer["Authorization"].removeprefix("Bearer ").split(".")
    for algorithm in ("none", "HS256"):
        raw = json.dumps({"alg": algorithm, "typ": "at+jwt", "kid": "test"}).encode()
        signed = f"{base64.urlsafe_b64encode(raw).rstrip(b'=').decode()}.{payload}"
        empty = base64.urlsafe_b64encode(hmac.digest(b"", signed.encode(), "sha256")).rstrip(b"=").decode()
        for token in (f"{signed}.", f"{signed}.{empty}"):
            answer = await todo_svc.get("/lists", headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == 401


async def test_somebody_elses_list_told_from_none(ann: httpx.AsyncClient, bobs_list: Json) -> None:
    """403 would say that it exists."""
    answers = [await ann.get(f"/lists/{list_id}") for list_id in (bobs_list["id"], str(uuid4()))]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].json()["detail"] == answers[1].json()["detail"]
