"""Lists over HTTP: statuses, shapes, media types, and the guard in front."""

from typing import Any

import httpx
import pytest

Json = dict[str, Any]
FIELDS = ["id", "title", "description", "created_at", "updated_at", "version"]
ONE = "/lists/01a20c69-534a-7647-b26e-d912c579c2b5"
ROUTES = [("POST", "/lists"), ("GET", "/lists"), ("GET", ONE), ("PATCH", ONE), ("DELETE", ONE)]


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_every_route_is_guarded(nobody: httpx.AsyncClient, method: str, path: str) -> None:
    """Without a token 401 with a bearer challenge, before anything of the request is read."""
    answer = await nobody.request(method, path, content=b"{no json", headers={"Content-Type": "text/odd"})
    assert (answer.status_code, answer.json()["code"]) == (401, "NOT_AUTHENTICATED")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.headers["Content-Type"] == "application/problem+json"


async def test_shapes(ann: httpx.AsyncClient) -> None:
    """The same six fields in every answer, as JSON that nobody may keep."""
    made = await ann.post("/lists", json={"title": "x"})
    path = f"/lists/{made.json()['id']}"
    one = await ann.get(path)
    changed = await ann.patch(path, json={"title": "y"})
    page = await ann.get("/lists")
    assert (made.status_code, one.status_code, changed.status_code, page.status_code) == (201, 200, 200, 200)
    for item in (made.json(), one.json(), changed.json(), *page.json()["items"]):
        assert list(item) == FIELDS
    for answer in (made, one, changed, page):
        assert answer.headers["Content-Type"] == "application/json"
        assert answer.headers["Cache-Control"] == "no-store"


async def test_times_are_utc_with_a_z(ann: httpx.AsyncClient, groceries: Json) -> None:
    """RFC 3339, as the contract says."""
    assert groceries["created_at"].endswith("Z")
    assert (await ann.get(f"/lists/{groceries['id']}")).json()["updated_at"].endswith("Z")


@pytest.mark.parametrize(
    "media_type", ["text/plain", "", "application/json; charset=utf-16", "application/problem+json"]
)
async def test_a_body_that_does_not_say_json(ann: httpx.AsyncClient, groceries: Json, media_type: str) -> None:
    """415, for a new list as for a change."""
    for method, path in (("POST", "/lists"), ("PATCH", f"/lists/{groceries['id']}")):
        answer = await ann.request(method, path, content=b'{"title": "x"}', headers={"Content-Type": media_type})
        assert answer.status_code == 415


@pytest.mark.parametrize("include", ["TODOS", "", "owner", "todos,todos"])
async def test_only_todos_can_be_included(ann: httpx.AsyncClient, groceries: Json, include: str) -> None:
    """422 that names the parameter."""
    for path in ("/lists", f"/lists/{groceries['id']}"):
        answer = await ann.get(path, params={"include": include})
        assert answer.status_code == 422
        assert [error["location"] for error in answer.json()["errors"]] == ["query.include"]


@pytest.mark.parametrize("limit", ["0", "-1", "101", "1.5", "abc", "", "9" * 5000, "true", "\u0661", "+5", " 5"])
async def test_limit_has_bounds(ann: httpx.AsyncClient, limit: str) -> None:
    """A whole number from 1 to 100, in ASCII digits."""
    answer = await ann.get("/lists", params={"limit": limit})
    assert answer.status_code == 422
    assert [error["location"] for error in answer.json()["errors"]] == ["query.limit"]


@pytest.mark.parametrize("list_id", ["x", "1", "%00", "%FF", "00000000-0000-0000-0000-00000000000g", "%2e%2e"])
async def test_what_is_no_id_is_no_path(ann: httpx.AsyncClient, list_id: str) -> None:
    """404 problem+json."""
    answer = await ann.get(f"/lists/{list_id}")
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE"])
async def test_other_methods(ann: httpx.AsyncClient, method: str) -> None:
    """405 that names those that work (RFC 9110 section 15.5.6)."""
    answer = await ann.request(method, "/lists")
    assert (answer.status_code, answer.json()["code"]) == (405, "METHOD_NOT_ALLOWED")
    assert {"GET", "POST"} <= set(answer.headers["Allow"].split(", "))
