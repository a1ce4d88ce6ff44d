"""Row-level security: with the owner filter taken out of every statement, nobody sees or touches another's rows."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest

from common.database import Database, Transaction
from common.settings import load
from common.testing import FakeAuthenticator, captured_logs, client_of
from todo_svc.app import create_app
from todo_svc.settings import Settings

Json = dict[str, Any]
Sql = Callable[..., Awaitable[list[asyncpg.Record]]]
FILTER = re.compile(r"\b(?:\w+\.)?owner_id = \$1")
TABLE = re.compile(r"\b(?:FROM|JOIN|UPDATE) (lists|todos|todo_search|changes|owners)\b")
EVERYTHING = "SELECT t.*, l.title, l.version, l.deleted_at FROM todos t JOIN lists l ON l.id = t.list_id ORDER BY t.id"


class Lockpick:
    """Takes the owner filter out of whatever is sent; `opened` is what it was taken out of."""

    def __init__(self) -> None:
        self.sent: set[str] = set()
        self.opened: set[str] = set()

    def open(self, statement: str) -> str:
        """The statement without its filter; the owner's clock has no other lock, and keeps it."""

        def without(found: re.Match[str]) -> str:
            clock = TABLE.findall(statement[: found.start()])[-1] == "owners"
            return found[0] if clock else "$1::uuid IS NOT NULL"

        opened = FILTER.sub(without, statement)
        self.sent |= {statement} if TABLE.search(statement) else set()
        self.opened |= {statement} if opened != statement else set()
        return opened


@pytest.fixture
def lockpick(monkeypatch: pytest.MonkeyPatch) -> Lockpick:
    """At work in every pool and transaction."""
    lockpick = Lockpick()

    def picked(true: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def run(self: Any, statement: str, *arguments: Any) -> Any:
            return await true(self, lockpick.open(statement), *arguments)

        return run

    for kind in (Database, Transaction):
        for name in ("rows", "row"):
            monkeypatch.setattr(kind, name, picked(getattr(kind, name)))
    return lockpick


def _on_whats_bobs(list_id: str, todo_id: str, own: Json) -> list[tuple[str, str, Json | None]]:
    """Every route that takes an id, with ids of Bob's."""
    create, update = {"op": "create", "content": "x"}, {"op": "update", "content": "x"}
    return [
        ("GET", f"/lists/{list_id}", None),
        ("GET", f"/lists/{list_id}?include=todos", None),
        ("PATCH", f"/lists/{list_id}", {"title": "Mine"}),
        ("PATCH", f"/lists/{list_id}", {}),
        ("DELETE", f"/lists/{list_id}", None),
        ("GET", f"/lists/{list_id}/todos", None),
        ("POST", f"/lists/{list_id}/todos", {"content": "x"}),
        ("POST", f"/lists/{list_id}/complete-all", None),
        ("POST", f"/lists/{list_id}/clear-completed", None),
        ("GET", f"/todos/{todo_id}", None),
        ("PATCH", f"/todos/{todo_id}", {"content": "x"}),
        ("PATCH", f"/todos/{todo_id}", {"before": own["id"]}),
        ("PATCH", f"/todos/{own['id']}", {"list_id": list_id}),
        ("PATCH", f"/todos/{own['id']}", {"list_id": list_id, "after": todo_id}),
        ("PATCH", f"/todos/{own['id']}", {"after": todo_id}),
        ("DELETE", f"/todos/{todo_id}", None),
        ("POST", "/todos/batch", {"operations": [create | {"list_id": list_id}]}),
        ("POST", "/todos/batch", {"operations": [update | {"id": todo_id}]}),
        ("POST", f"/trash/{list_id}/restore", None),
        ("POST", f"/trash/{todo_id}/restore", None),
    ]


async def test_no_id_opens_anything(
    ann: httpx.AsyncClient, milk: Json, bobs_todo: Json, lockpick: Lockpick, sql: Sql
) -> None:
    """404, or 422 for a place next to it, as ever; and every statement that went to a table had its filter."""
    before = await sql(EVERYTHING)
    for method, path, body in _on_whats_bobs(bobs_todo["list_id"], bobs_todo["id"], milk):
        answer = await ann.request(method, path, json=body)
        assert answer.status_code == (422 if body and list(body) == ["after"] else 404), (method, path, answer.text)
        assert "Private" not in answer.text
    assert await sql(EVERYTHING) == before
    assert lockpick.opened == lockpick.sent
    assert len(lockpick.opened) > 13


async def test_no_page_shows_anything(
    ann: httpx.AsyncClient, bob: httpx.AsyncClient, milk: Json, bobs_todo: Json, lockpick: Lockpick
) -> None:
    """Lists, todos, searches, nested todos and the trash are the caller's own."""
    gone = (await bob.post(f"/lists/{bobs_todo['list_id']}/todos", json={"content": "Gone"})).json()
    await bob.delete(f"/todos/{gone['id']}")
    assert (await ann.get("/todos")).json()["items"] == [milk]
    assert (await ann.get("/todos", params={"search": "Private"})).json()["items"] == []
    [own] = (await ann.get("/lists", params={"include": "todos"})).json()["items"]
    assert (own["id"], own["todos"]) == (milk["list_id"], [milk])
    assert (await ann.get("/trash")).json()["items"] == []
    assert lockpick.opened == lockpick.sent


async def test_changes_stay_at_home(
    ann: httpx.AsyncClient, milk: Json, bobs_todo: Json, lockpick: Lockpick, sql: Sql
) -> None:
    """Whatever is done to a list of one's own, down to its deletion and back, nothing of Bob's is touched."""
    bobs = "SELECT * FROM todos WHERE list_id = $1"
    before = await sql(bobs, UUID(bobs_todo["list_id"]))
    path = f"/lists/{milk['list_id']}"
    other = (await ann.post(f"{path}/todos", json={"content": "x"})).json()
    for method, where, body in (
        ("PATCH", f"/todos/{milk['id']}", {"after": other["id"]}),
        ("POST", f"{path}/complete-all", None),
        ("POST", f"{path}/clear-completed", None),
        ("POST", f"/trash/{milk['id']}/restore", None),
        ("DELETE", path, None),
        ("POST", f"/trash/{milk['list_id']}/restore", None),
    ):
        assert (await ann.request(method, where, json=body)).is_success
    assert await sql(bobs, UUID(bobs_todo["list_id"])) == before
    assert lockpick.opened


async def test_the_lock_is_what_held(
    variables: dict[str, str], admin_dsn: str, bobs_todo: Json, lockpick: Lockpick
) -> None:
    """The same statements for somebody whom the lock does not hold do show Bob's; and the log says so, once."""
    authenticator = FakeAuthenticator()
    with captured_logs() as logs:
        app = create_app(load(Settings, variables | {"DATABASE_URL": admin_dsn}), auth=authenticator)
        async with client_of(app, token=authenticator.admit()) as mallory:
            assert (await mallory.get(f"/todos/{bobs_todo['id']}")).json() == bobs_todo
            await asyncio.gather(*(mallory.get("/todos") for _ in range(4)))
    assert lockpick.opened
    told = [line for line in logs.lines if line["event"] == "row-level security does not hold for this role"]
    assert [(line["level"], line["role"]) for line in told] == [("error", "app")]
