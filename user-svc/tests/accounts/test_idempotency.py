"""Idempotency-Key at registration: one account, whatever happens to the answer."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest
from msgspec.structs import replace

from common.auth import KeyRing
from common.idempotency import Keyed, fingerprints
from common.testing import client_of, random_keys
from user_svc.app import create_app
from user_svc.settings import Settings

Rows = Callable[..., Awaitable[list[tuple[Any, ...]]]]

ANN = {"email": "ann@example.com", "password": "correct horse battery"}
COUNT = "SELECT count(*)::int FROM accounts"
KEPT = "SELECT scope, status FROM idempotency_keys"


def key() -> dict[str, str]:
    """A header with a key that nobody has used."""
    return {"Idempotency-Key": str(uuid4())}


async def test_a_repeat_gets_the_first_answer(client: httpx.AsyncClient, rows: Rows) -> None:
    """201 with the account instead of 409, marked as given again; without the key it is 409 as ever."""
    headers = key()
    first, again = [await client.post("/auth/register", json=ANN, headers=headers) for _ in range(2)]

    assert (first.status_code, "idempotency-replayed" in first.headers) == (201, False)
    assert (again.status_code, again.content, again.headers["content-type"]) == (
        201,
        first.content,
        first.headers["content-type"],
    )
    assert again.headers["idempotency-replayed"] == "true"
    assert (await client.post("/auth/register", json=ANN)).status_code == 409
    assert await rows(KEPT) == [("ann@example.com", 201)]


async def test_the_key_of_another_request(client: httpx.AsyncClient) -> None:
    """Who does not know the password learns nothing of the account by guessing the key."""
    headers = key()
    assert (await client.post("/auth/register", json=ANN, headers=headers)).status_code == 201
    other = ANN | {"password": "another horse battery"}
    answer = await client.post("/auth/register", json=other, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")


async def test_many_at_once(client: httpx.AsyncClient, rows: Rows) -> None:
    """Of twenty with one key one makes the account; none of the others hears that the address is taken."""
    headers = key()
    answers = await asyncio.gather(*(client.post("/auth/register", json=ANN, headers=headers) for _ in range(20)))

    assert await rows(COUNT) == [(1,)]
    assert Counter(answer.status_code for answer in answers).keys() <= {201, 409}
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} <= {"IDEMPOTENCY_KEY_IN_USE"}
    made = [answer for answer in answers if answer.status_code == 201]
    assert ["idempotency-replayed" in answer.headers for answer in made].count(False) == 1


async def test_a_failure_is_not_kept(client: httpx.AsyncClient, rows: Rows) -> None:
    """A password that was refused can be made good under the same key; so can an address."""
    headers = key()
    await client.post("/auth/register", json=ANN)
    weak = await client.post("/auth/register", json=ANN | {"password": "password"}, headers=headers)
    taken = await client.post("/auth/register", json=ANN, headers=headers)
    assert (weak.status_code, taken.status_code, await rows(KEPT)) == (422, 409, [])
    assert (await client.post("/auth/register", json=ANN | {"email": "b@c.de"}, headers=headers)).status_code == 201


async def test_a_crash_before_the_commit(
    client: httpx.AsyncClient, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the account nor the key is left, and the next try makes both."""
    headers = key()
    keep = Keyed.keep

    async def crash(*arguments: Any) -> None:
        await keep(*arguments)
        assert await rows(COUNT) == [(0,)]
        await rows("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle in transaction'")

    with monkeypatch.context() as context:
        context.setattr(Keyed, "keep", crash)
        answer = await client.post("/auth/register", json=ANN, headers=headers)
    assert (answer.status_code, await rows(COUNT), await rows(KEPT)) == (503, [(0,)], [])

    answer = await client.post("/auth/register", json=ANN, headers=headers)
    assert (answer.status_code, "idempotency-replayed" in answer.headers) == (201, False)


async def test_a_rotation_of_the_shared_secret(settings: Settings) -> None:
    """While the old key is in the ring, what was kept under it is known again."""
    headers, old = key(), random_keys("old")
    async with client_of(create_app(replace(settings, jwt_keys=KeyRing.parse(old)))) as client:
        assert (await client.post("/auth/register", json=ANN, headers=headers)).status_code == 201
    rotated = KeyRing.parse(f"{random_keys('new')},{old}")
    async with client_of(create_app(replace(settings, jwt_keys=rotated))) as client:
        answer = await client.post("/auth/register", json=ANN, headers=headers)
    assert (answer.status_code, answer.headers["idempotency-replayed"]) == (201, "true")


async def test_no_password_is_kept(client: httpx.AsyncClient, rows: Rows, settings: Settings) -> None:
    """What is kept of a request is a hash under a key of ours: a stolen table is no list of passwords to try."""
    answer = await client.post("/auth/register", json=ANN, headers=key())
    [(fingerprint, body)] = await rows("SELECT fingerprint, body FROM idempotency_keys")
    assert fingerprint in fingerprints(settings.jwt_keys, "POST", "/auth/register", answer.request.content)
    stranger = KeyRing.parse(random_keys())
    assert fingerprint not in fingerprints(stranger, "POST", "/auth/register", answer.request.content)
    assert b"horse" not in body


async def test_what_is_no_key(client: httpx.AsyncClient, rows: Rows) -> None:
    """422 that names the header, and no account."""
    answer = await client.post("/auth/register", json=ANN, headers={"Idempotency-Key": "two words"})
    assert (answer.status_code, answer.json()["errors"][0]["location"]) == (422, "header.Idempotency-Key")
    assert await rows(COUNT) == [(0,)]


async def test_a_deletion_takes_what_was_kept(client: httpx.AsyncClient, rows: Rows) -> None:
    """With the account goes its address, and the same request would make another."""
    headers = key()
    first = await client.post("/auth/register", json=ANN, headers=headers)
    login = await client.post("/auth/jwt/login", data={"username": ANN["email"], "password": ANN["password"]})
    bearer = {"Authorization": f"Bearer {login.json()['access_token']}"}
    assert (await client.delete("/users/me", headers=bearer)).status_code == 204
    assert await rows(KEPT) == []
    again = await client.post("/auth/register", json=ANN, headers=headers)
    assert (again.status_code, again.json()["id"] != first.json()["id"]) == (201, True)
