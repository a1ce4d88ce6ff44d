"""Todos over HTTP: statuses, shapes, media types, and the guard in front."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

Json = dict[str, Any]
FIELDS = ["id", "list_id", "content", "description", "priority", "due_at", "completed", "completed_at", "position",
          "created_at", "updated_at", "version", "labels"]  # fmt: skip
LIST, TODO = "/lists/01a20c69-534a-7647-b26e-d912c579c2b5/todos", "/todos/01a20c69-534a-7647-b26e-d912c579c2b5"
ROUTES = [("POST", LIST), ("GET", LIST), ("GET", "/todos"), ("GET", TODO), ("PATCH", TODO), ("DELETE", TODO)]


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_every_route_is_guarded(nobody: httpx.AsyncClient, method: str, path: str) -> None:
    """Without a token 401 with a bearer challenge, before anything of the request is read."""
    answer = await nobody.request(method, path, content=b"{no json", headers={"Content-Type": "text/odd"})
    assert (answer.status_code, answer.json()["code"]) == (401, "NOT_AUTHENTICATED")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_an_unknown_token_opens_no_route(nobody: httpx.AsyncClient, method: str, path: str) -> None:
    """401 that says why the token is bad (RFC 6750 section 3.1)."""
    answer = await nobody.request(method, path, headers={"Authorization": "Bearer guessed"})
    assert (answer.status_code, answer.json()["code"]) == (401, "INVALID_TOKEN")
    assert answer.headers["WWW-Authenticate"].startswith('Bearer error="invalid_token"')


async def test_shapes(ann: httpx.AsyncClient, groceries: Json) -> None:
    """The same thirteen fields in every answer, as JSON that nobody may keep."""
    made = await ann.post(f"/lists/{groceries['id']}/todos", json={"content": "x"})
    path = f"/todos/{made.json()['id']}"
    one = await ann.get(path)
    changed = await ann.patch(path, json={"priority": "high"})
    pages = [await ann.get("/todos"), await ann.get(f"/lists/{groceries['id']}/todos")]
    assert [answer.status_code for answer in (made, one, changed, *pages)] == [201, 200, 200, 200, 200]
    for item in (made.json(), one.json(), changed.json(), *(page.json()["items"][0] for page in pages)):
        assert list(item) == FIELDS
    for answer in (made, one, changed, *pages):
        assert answer.headers["Content-Type"] == "application/json"
        assert answer.headers["Cache-Control"] == "no-store"


async def test_an_empty_list_is_no_missing_list(ann: httpx.AsyncClient, groceries: Json) -> None:
    """200 and an empty page for a list of one's own, also behind a filter that fits nothing; 404 for no list."""
    path = f"/lists/{groceries['id']}/todos"
    for query in ({}, {"search": "nowhere"}):
        answer = await ann.get(path, params=query)
        assert (answer.status_code, answer.json()) == (200, {"items": [], "next_cursor": None})
    missing = await ann.get(f"/lists/{uuid4()}/todos")
    assert (missing.status_code, missing.json()["code"]) == (404, "LIST_NOT_FOUND")


@pytest.mark.parametrize("media_type", ["text/plain", "", "application/json; charset=utf-16", "multipart/form-data"])
async def test_a_body_that_does_not_say_json(ann: httpx.AsyncClient, milk: Json, media_type: str) -> None:
    """415, for a new todo as for a change."""
    for method, path in (("POST", f"/lists/{milk['list_id']}/todos"), ("PATCH", f"/todos/{milk['id']}")):
        answer = await ann.request(method, path, content=b'{"content": "x"}', headers={"Content-Type": media_type})
        assert answer.status_code == 415


async def test_nobody_sets_what_the_service_sets(ann: httpx.AsyncClient, milk: Json) -> None:
    """Owner, ids, times and version are refused in a body: 422, and nothing is changed."""
    for field in ("id", "owner_id", "created_at", "updated_at", "completed_at", "version"):
        for method, path in (("POST", f"/lists/{milk['list_id']}/todos"), ("PATCH", f"/todos/{milk['id']}")):
            answer = await ann.request(method, path, json={"content": "x", field: str(uuid4())})
            assert answer.status_code == 422
    assert (await ann.get("/todos")).json()["items"] == [milk]


@pytest.mark.parametrize("todo_id", ["x", "1", "%00", "%FF", "null", "01a20c69-534a-7647-b26e-d912c579c2bg"])
async def test_what_is_no_id_is_no_path(ann: httpx.AsyncClient, todo_id: str) -> None:
    """404 problem+json."""
    answer = await ann.get(f"/todos/{todo_id}")
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"
