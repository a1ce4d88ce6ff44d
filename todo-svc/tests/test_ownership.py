"""Somebody else's object: on every verb and route the very same answer as for one that never was."""

import json
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest

Json = dict[str, Any]
Sql = Callable[..., Awaitable[list[asyncpg.Record]]]

# Where `{}` is the id of a list or of a todo; a body wherever one is taken, and a hollow one too.
LISTS: list[tuple[str, str, Json | None]] = [
    ("GET", "/lists/{}", None),
    ("GET", "/lists/{}?include=todos", None),
    ("PATCH", "/lists/{}", {"title": "Mine now"}),
    ("PATCH", "/lists/{}", {}),
    ("DELETE", "/lists/{}", None),
    ("GET", "/lists/{}/todos", None),
    ("GET", "/lists/{}/todos?search=Private&order_by=-priority&status=unfinished", None),
    ("POST", "/lists/{}/todos", {"content": "Slipped in"}),
    ("POST", "/lists/{}/complete-all", None),
    ("POST", "/lists/{}/clear-completed", None),
    ("POST", "/todos/batch", {"operations": [{"op": "create", "list_id": "{}", "content": "Slipped in"}]}),
    ("POST", "/trash/{}/restore", None),
    ("GET", "/todos?list_id={}", None),
    ("PUT", "/lists/{}", {"title": "x"}),
    ("HEAD", "/lists/{}", None),
]
TODOS: list[tuple[str, str, Json | None]] = [
    ("GET", "/todos/{}", None),
    ("PATCH", "/todos/{}", {"content": "Mine now"}),
    ("PATCH", "/todos/{}", {}),
    ("DELETE", "/todos/{}", None),
    ("POST", "/todos/batch", {"operations": [{"op": "update", "id": "{}", "content": "Mine now"}]}),
    ("POST", "/todos/batch", {"operations": [{"op": "delete", "id": "{}"}]}),
    ("POST", "/trash/{}/restore", None),
    ("PUT", "/todos/{}", {"content": "x"}),
    ("HEAD", "/todos/{}", None),
]


async def _asked(caller: httpx.AsyncClient, method: str, path: str, body: Json | None, object_id: str) -> object:
    """The whole answer, the id taken out of it, and what differs from request to request."""
    filled = json.loads(json.dumps(body).replace("{}", object_id)) if body else body
    answer = await caller.request(method, path.format(object_id), json=filled)
    headers = {name: value for name, value in answer.headers.items() if name != "x-request-id"}
    headers["allow"] = str(sorted(headers.get("allow", "").split(", ")))
    return answer.status_code, answer.content.replace(object_id.encode(), b"ID"), headers


async def _rows(sql: Sql, table: str) -> list[asyncpg.Record]:
    return await sql(f"SELECT * FROM {table} ORDER BY id")


@pytest.mark.parametrize(("method", "path", "body"), LISTS)
async def test_somebody_elses_list(
    ann: httpx.AsyncClient, bobs_todo: Json, sql: Sql, method: str, path: str, body: Json | None
) -> None:
    """Byte for byte and header for header what a list that never was gives; nothing is read or changed."""
    before = [await _rows(sql, table) for table in ("lists", "todos")]
    foreign = await _asked(ann, method, path, body, bobs_todo["list_id"])
    assert foreign == await _asked(ann, method, path, body, str(uuid4()))
    assert [await _rows(sql, table) for table in ("lists", "todos")] == before
    assert b"Private" not in repr(foreign).encode()


@pytest.mark.parametrize(("method", "path", "body"), TODOS)
async def test_somebody_elses_todo(
    ann: httpx.AsyncClient, bobs_todo: Json, sql: Sql, method: str, path: str, body: Json | None
) -> None:
    """Byte for byte and header for header what a todo that never was gives; nothing is read or changed."""
    before = await _rows(sql, "todos")
    foreign = await _asked(ann, method, path, body, bobs_todo["id"])
    assert foreign == await _asked(ann, method, path, body, str(uuid4()))
    assert await _rows(sql, "todos") == before
    assert b"Private" not in repr(foreign).encode()


async def test_a_todo_cannot_be_moved_to_somebody_elses_list(
    ann: httpx.AsyncClient, milk: Json, bobs_list: Json, bobs_todo: Json, sql: Sql
) -> None:
    """404 as for a list that never was, also with a position or the todo's own fields; it stays where it is."""
    before = await _rows(sql, "todos")
    for change in ({}, {"position": 1}, {"content": "Moved", "completed": True}):
        asked = [
            await _asked(ann, "PATCH", f"/todos/{milk['id']}", {"list_id": target, **change}, target)
            for target in (bobs_list["id"], str(uuid4()))
        ]
        assert asked[0] == asked[1]
        assert (await ann.patch(f"/todos/{milk['id']}", json={"list_id": bobs_list["id"], **change})).status_code == 404
    assert await _rows(sql, "todos") == before
    assert bobs_todo["list_id"] == bobs_list["id"]


async def test_somebody_elses_todo_cannot_be_taken(
    ann: httpx.AsyncClient, groceries: Json, bobs_todo: Json, sql: Sql
) -> None:
    """Moving it to one's own list is 404 too."""
    answer = await ann.patch(f"/todos/{bobs_todo['id']}", json={"list_id": groceries["id"]})
    assert (answer.status_code, answer.json()["code"]) == (404, "TODO_NOT_FOUND")
    assert await sql("SELECT FROM todos WHERE list_id = $1", UUID(groceries["id"])) == []


async def test_pages_hold_only_the_callers_own(
    ann: httpx.AsyncClient, bob: httpx.AsyncClient, milk: Json, bobs_todo: Json
) -> None:
    """Lists, todos, searches and nested todos of each are those of each."""
    for caller, todo, words in ((ann, milk, "Private"), (bob, bobs_todo, "Milk")):
        assert (await caller.get("/todos")).json()["items"] == [todo]
        assert (await caller.get("/todos", params={"search": words})).json()["items"] == []
        [own] = (await caller.get("/lists", params={"include": "todos"})).json()["items"]
        assert (own["id"], own["todos"]) == (todo["list_id"], [todo])
