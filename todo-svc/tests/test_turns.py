"""Turns: whatever an owner writes at once, nobody waits in a circle."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import httpx

Json = dict[str, Any]
Sql = Callable[..., Awaitable[list[asyncpg.Record]]]
DEADLOCKS = """
SELECT deadlocks FROM pg_stat_database, pg_stat_force_next_flush() WHERE datname = current_database()
"""
WRITERS, WRITES = 10, 25


def _place(ids: list[str], chance: random.Random) -> Json:
    """A wish for a place, which may move neighbours."""
    return {chance.choice(["before", "after"]): chance.choice(ids)}


def _batch(ids: list[str], list_id: str, chance: random.Random) -> Json:
    """Wishes among one place for all and a new todo, so that neighbours are moved in the middle of it."""
    operations: list[Json] = [{"op": "update", "id": todo, "position": 1} for todo in chance.sample(ids, 3)]
    operations += [{"op": "update", "id": todo} | _place(ids, chance) for todo in chance.sample(ids, 3)]
    return {"operations": [*operations, {"op": "create", "list_id": list_id, "content": "new"}]}


async def _write(caller: httpx.AsyncClient, ids: list[str], lists: list[str], chance: random.Random) -> httpx.Response:
    todo, list_id = chance.choice(ids), chance.choice(lists)
    key = {"Idempotency-Key": chance.randbytes(8).hex()}
    writes: list[tuple[str, str, Json | None]] = [
        ("POST", "/todos/batch", _batch(ids, list_id, chance)),
        ("PATCH", f"/todos/{todo}", _place(ids, chance)),
        ("PATCH", f"/todos/{todo}", {"list_id": list_id, "completed": False}),
        ("POST", f"/lists/{list_id}/complete-all", None),
        ("POST", f"/lists/{list_id}/clear-completed", None),
        ("POST", f"/lists/{list_id}/todos", {"content": "new"}),
        ("DELETE", f"/todos/{todo}", None),
        ("POST", f"/trash/{todo}/restore", None),
        ("DELETE", f"/lists/{list_id}", None),
        ("POST", f"/trash/{list_id}/restore", None),
        ("PATCH", f"/lists/{list_id}", {"title": chance.choice("xyz")}),
        ("POST", "/lists", {"title": chance.choice("xyz")}),
    ]
    method, path, body = chance.choice([*writes[:3] * 3, *writes])
    return await caller.request(method, path, json=body, headers=key if method == "POST" else {})


async def test_a_storm(ann: httpx.AsyncClient, groceries: Json, milk: Json, sql: Sql) -> None:
    """Every kind of write, many at once, of one owner: each is done or refused, none is told to try again."""
    other = (await ann.post("/lists", json={"title": "Other"})).json()
    create = {"op": "create", "list_id": groceries["id"], "content": "x"}
    made = (await ann.post("/todos/batch", json={"operations": [create] * 12})).json()["results"]
    ids, lists = [each["todo"]["id"] for each in made], [groceries["id"], other["id"]]
    [(before,)] = await sql(DEADLOCKS)
    seen: Counter[int] = Counter()

    async def writer(chance: random.Random) -> None:
        for _ in range(WRITES):
            seen[(await _write(ann, ids, lists, chance)).status_code] += 1

    await asyncio.gather(*(writer(random.Random(seed)) for seed in range(WRITERS)))
    assert milk["list_id"] == groceries["id"]
    assert seen.keys() <= {200, 201, 204, 404, 409, 422}, seen
    assert seen[200] > WRITERS
    assert (await sql(DEADLOCKS))[0][0] == before
