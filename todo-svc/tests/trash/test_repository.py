"""The trash: what was deleted is out of sight, comes back as it was, and no living todo is in a dead list."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest

from common.database import Database
from common.http.etag import parse
from todo_svc.housekeeping import Housekeeping
from todo_svc.trash.queries import TrashQueries

Json = dict[str, Any]
Sql = Callable[..., Awaitable[list[asyncpg.Record]]]
STRAYS = """
SELECT FROM todos t JOIN lists l ON l.id = t.list_id
WHERE t.owner_id = $1 AND t.deleted_at IS NULL AND l.deleted_at IS NOT NULL
"""


async def _restore(caller: httpx.AsyncClient, thing: Json | str) -> httpx.Response:
    return await caller.post(f"/trash/{thing if isinstance(thing, str) else thing['id']}/restore")


def _unchanged(item: Json) -> Json:
    return {name: value for name, value in item.items() if name not in ("version", "updated_at")}


async def test_a_todo_comes_back(ann: httpx.AsyncClient, milk: Json) -> None:
    """As it was, at its place, found again by every page; once."""
    await ann.delete(f"/todos/{milk['id']}")
    assert (await ann.get("/todos", params={"search": "Milk"})).json()["items"] == []
    answer = await _restore(ann, milk)
    assert (answer.status_code, answer.json()["kind"], answer.json()["list"]) == (200, "todo", None)
    todo = answer.json()["todo"]
    assert (_unchanged(todo), todo["version"]) == (_unchanged(milk), 3)
    assert (await ann.get("/todos", params={"search": "Milk"})).json()["items"] == [todo]
    again = await _restore(ann, milk)
    assert (again.status_code, again.json()["code"]) == (404, "NOT_IN_TRASH")


async def test_a_list_comes_back_with_its_todos(ann: httpx.AsyncClient, groceries: Json, milk: Json) -> None:
    """With those that went with it, and not with one that was deleted before."""
    bread = (await ann.post(f"/lists/{groceries['id']}/todos", json={"content": "Bread"})).json()
    await ann.delete(f"/todos/{bread['id']}")
    await ann.delete(f"/lists/{groceries['id']}")
    answer = (await _restore(ann, groceries)).json()
    assert (answer["kind"], answer["todo"], _unchanged(answer["list"])) == ("list", None, _unchanged(groceries))
    found = (await ann.get(f"/lists/{groceries['id']}/todos")).json()["items"]
    assert [_unchanged(todo) for todo in found] == [_unchanged(milk)]
    assert [item["id"] for item in (await ann.get("/trash")).json()["items"]] == [bread["id"]]
    assert (await _restore(ann, bread)).status_code == 200


async def test_a_todo_of_a_dead_list(ann: httpx.AsyncClient, groceries: Json, milk: Json) -> None:
    """409 `LIST_IN_TRASH`: the list is what has to come back."""
    await ann.delete(f"/lists/{groceries['id']}")
    answer = await _restore(ann, milk)
    assert (answer.status_code, answer.json()["code"]) == (409, "LIST_IN_TRASH")
    assert (await ann.get(f"/todos/{milk['id']}")).status_code == 404


async def test_a_title_given_away_meanwhile(ann: httpx.AsyncClient, groceries: Json, milk: Json) -> None:
    """409 `LIST_TITLE_TAKEN`, and its todos stay in the trash with it; the title is free as soon as it is deleted."""
    await ann.delete(f"/lists/{groceries['id']}")
    assert (await ann.post("/lists", json={"title": groceries["title"]})).status_code == 201
    answer = await _restore(ann, groceries)
    assert (answer.status_code, answer.json()["code"]) == (409, "LIST_TITLE_TAKEN")
    assert (await ann.get(f"/todos/{milk['id']}")).status_code == 404


async def test_somebody_elses_trash(
    ann: httpx.AsyncClient, bob: httpx.AsyncClient, bobs_list: Json, bobs_todo: Json
) -> None:
    """The very 404 of what never was; it is on nobody else's page."""
    await bob.delete(f"/todos/{bobs_todo['id']}")
    await bob.delete(f"/lists/{bobs_list['id']}")
    answers = [await _restore(ann, thing) for thing in (bobs_list, bobs_todo, str(uuid4()))]
    assert {answer.status_code for answer in answers} == {404}
    assert {answer.json()["code"] for answer in answers} == {"NOT_IN_TRASH"}
    assert (await ann.get("/trash")).json()["items"] == []
    assert len((await bob.get("/trash")).json()["items"]) == 2


async def test_the_page(ann: httpx.AsyncClient, groceries: Json, milk: Json, walk: Any) -> None:
    """The last deleted first, lists and todos together, each once; with the day on which it goes for good."""
    bread = (await ann.post(f"/lists/{groceries['id']}/todos", json={"content": "Bread"})).json()
    await ann.delete(f"/todos/{bread['id']}")
    await ann.delete(f"/lists/{groceries['id']}")
    found = await walk(ann, "/trash", limit=1)
    assert found == (await ann.get("/trash")).json()["items"]
    assert [item["deleted_at"] for item in found] == sorted((item["deleted_at"] for item in found), reverse=True)
    by_id = {item.pop("id"): item for item in found}
    assert list(by_id)[-1] == bread["id"]
    for item in by_id.values():
        kept = datetime.fromisoformat(item.pop("purged_at")) - datetime.fromisoformat(item.pop("deleted_at"))
        assert kept == timedelta(days=30)
    of_list = {"kind": "todo", "list_id": groceries["id"]}
    assert by_id == {
        groceries["id"]: {"kind": "list", "name": "Groceries", "list_id": None, "deleted_with": None},
        milk["id"]: of_list | {"name": "Milk", "deleted_with": groceries["id"]},
        bread["id"]: of_list | {"name": "Bread", "deleted_with": None},
    }
    assert (await ann.get("/trash", params={"cursor": "x"})).status_code == 422


async def test_the_tag_of_the_page(ann: httpx.AsyncClient, ann_id: UUID, milk: Json, sql: Sql, todo_dsn: str) -> None:
    """304 until something is deleted, taken back or gone for good, or how long it is kept is another."""
    path, tags = f"/todos/{milk['id']}", []

    async def see() -> None:
        tags.append((await ann.get("/trash")).headers["ETag"])
        answers = [await ann.get("/trash", headers={"If-None-Match": tag}) for tag in tags]
        assert [answer.status_code for answer in answers] == [200] * (len(tags) - 1) + [304]
        assert (answers[-1].content, answers[-1].headers["ETag"]) == (b"", tags[-1])

    await see()
    await ann.delete(path)
    await see()
    await _restore(ann, milk)
    await see()
    await ann.delete(path)
    await see()
    await sql("UPDATE owners SET purge_at = now() - interval '1 second' WHERE owner_id = $1", ann_id)
    async with Database(todo_dsn, size=1, application="test") as database:
        await Housekeeping(database, kept=timedelta()).sweep()
        assert (await ann.get("/trash")).json()["items"] == []
        await see()
        shorter = await TrashQueries(database, ann_id, kept=timedelta(days=7)).page(50, None, parse(tags[-1]))
    assert shorter.content is not None
    assert shorter.tag not in tags


async def test_no_living_todo_in_a_dead_list(ann: httpx.AsyncClient, ann_id: UUID, groceries: Json, sql: Sql) -> None:
    """Todos made, moved and taken back while their list is deleted: each is in the trash with it, or was refused."""
    other = (await ann.post("/lists", json={"title": "Other"})).json()
    movers = [(await ann.post(f"/lists/{other['id']}/todos", json={"content": "x"})).json() for _ in range(6)]
    gone = [(await ann.post(f"/lists/{groceries['id']}/todos", json={"content": "x"})).json() for _ in range(3)]
    for todo in gone:
        await ann.delete(f"/todos/{todo['id']}")
    answers = await asyncio.gather(
        *(ann.post(f"/lists/{groceries['id']}/todos", json={"content": "x"}) for _ in range(6)),
        *(ann.patch(f"/todos/{todo['id']}", json={"list_id": groceries["id"]}) for todo in movers),
        ann.delete(f"/lists/{groceries['id']}"),
        *(_restore(ann, todo) for todo in gone),
    )
    assert {answer.status_code for answer in answers} <= {200, 201, 204, 404, 409}
    assert await sql(STRAYS, ann_id) == []


@pytest.mark.parametrize("thing", ["lists", "todos"])
async def test_the_owner_remembers_when_it_is_due(
    ann: httpx.AsyncClient, ann_id: UUID, milk: Json, sql: Sql, thing: str
) -> None:
    """Thirty days after its deletion; a later deletion does not put off an earlier one."""
    due = "SELECT purge_at FROM owners WHERE owner_id = $1"
    assert (await sql(due, ann_id))[0][0] is None
    gone = UUID(milk["list_id"] if thing == "lists" else milk["id"])
    other = (await ann.post("/lists", json={"title": "Other"})).json()
    await ann.delete(f"/{thing}/{gone}")
    [(deleted_at,)] = await sql(f"SELECT deleted_at FROM {thing} WHERE id = $1", gone)
    for _ in range(2):
        assert (await sql(due, ann_id))[0][0] == deleted_at + timedelta(days=30)
        await ann.delete(f"/lists/{other['id']}")
