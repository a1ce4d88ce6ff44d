"""PostgreSQL away: 503 with Retry-After on every route that needs it, and back without a restart."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest

from devstack.fixtures import TestPostgres

Json = dict[str, Any]
Sql = Callable[..., Awaitable[list[asyncpg.Record]]]


@pytest.fixture
def postgres(postgres_server: TestPostgres) -> Iterator[TestPostgres]:
    """The server, running again after the test."""
    yield postgres_server
    postgres_server.resume()
    if not postgres_server.alive:
        postgres_server.start()


def _requests(milk: Json) -> list[tuple[str, str, Json | None]]:
    one_list, one_todo = f"/lists/{milk['list_id']}", f"/todos/{milk['id']}"
    return [
        ("POST", "/lists", {"title": "Lost"}),
        ("GET", "/lists", None),
        ("GET", "/lists?include=todos", None),
        ("GET", one_list, None),
        ("PATCH", one_list, {"title": "Lost"}),
        ("PATCH", one_list, {}),
        ("POST", f"{one_list}/todos", {"content": "Lost"}),
        ("GET", f"{one_list}/todos", None),
        ("GET", "/todos", None),
        ("GET", one_todo, None),
        ("PATCH", one_todo, {"content": "Lost"}),
        ("POST", "/todos/batch", {"operations": [{"op": "update", "id": milk["id"], "content": "Lost"}]}),
        ("POST", f"{one_list}/complete-all", None),
        ("POST", f"{one_list}/clear-completed", None),
        ("GET", "/trash", None),
        ("POST", f"/trash/{milk['id']}/restore", None),
        ("DELETE", one_todo, None),
        ("DELETE", one_list, None),
        ("GET", "/health/ready", None),
    ]


async def test_stopped_and_started(
    ann: httpx.AsyncClient, ann_id: UUID, milk: Json, postgres: TestPostgres, sql: Sql
) -> None:
    """503 + Retry-After on every route, no word of the inside; then at once back, and nothing of it was stored."""
    postgres.stop()
    for method, path, body in _requests(milk):
        answer = await ann.request(method, path, json=body)
        assert (answer.status_code, answer.json()["code"]) == (503, "UNAVAILABLE"), path
        assert int(answer.headers["Retry-After"]) > 0
        assert answer.json()["request_id"] == answer.headers["X-Request-ID"]
        assert str(postgres.port) not in answer.text
    assert (await ann.get("/health/live")).status_code == 200
    postgres.start()
    assert (await ann.get("/health/ready")).status_code == 200
    assert (await ann.get("/todos")).json()["items"] == [milk]
    assert len(await sql("SELECT FROM lists WHERE owner_id = $1", ann_id)) == 1
    assert (await ann.post("/lists", json={"title": "Back"})).status_code == 201


async def test_a_bad_request_is_bad_also_then(ann: httpx.AsyncClient, milk: Json, postgres: TestPostgres) -> None:
    """What needs no database to be refused is not blamed on it."""
    postgres.stop()
    assert (await ann.post("/lists", json={"title": ""})).status_code == 422
    assert (await ann.get("/todos", params={"limit": 0})).status_code == 422
    assert (await ann.get(f"/todos/{milk['id']}", headers={"Authorization": "Bearer x"})).status_code == 401


async def test_killed_under_requests(ann: httpx.AsyncClient, milk: Json, postgres: TestPostgres) -> None:
    """Connections that die in a request's hands: 200 or 503, never a 500; then back."""
    flying = asyncio.gather(*(ann.get("/todos") for _ in range(40)))
    await asyncio.sleep(0)
    postgres.kill()
    assert {answer.status_code for answer in await flying} <= {200, 503}
    postgres.start()
    assert (await ann.get(f"/todos/{milk['id']}")).json() == milk


async def test_frozen_and_thawed(ann: httpx.AsyncClient, milk: Json, postgres: TestPostgres) -> None:
    """A server that takes no answer is as good as gone: 503 within seconds, no request hangs; then back."""
    postgres.pause()
    async with asyncio.timeout(12):
        answers = await asyncio.gather(*(ann.get(path) for path in ("/todos", "/lists", "/health/ready")))
    assert [answer.status_code for answer in answers] == [503, 503, 503]
    postgres.resume()
    assert (await ann.get(f"/todos/{milk['id']}")).json() == milk
