"""Changing lists: each change is read back on another connection."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx

Json = dict[str, Any]
Sql = Callable[..., Awaitable[list[asyncpg.Record]]]
ROW = "SELECT * FROM lists WHERE id = $1"


async def test_a_new_list_is_stored_for_its_owner(ann: httpx.AsyncClient, ann_id: UUID, sql: Sql) -> None:
    """201 means committed: another connection reads what was sent, version 1, owned by the caller."""
    sent = {"title": "Groceries 🥕", "description": "חלב\n"}
    answer = await ann.post("/lists", json=sent)
    assert answer.status_code == 201
    said = answer.json()
    [row] = await sql(ROW, UUID(said["id"]))
    assert (row["owner_id"], row["title"], row["description"]) == (ann_id, *sent.values())
    assert (said["title"], said["description"], said["version"]) == (*sent.values(), 1)
    assert said["created_at"] == said["updated_at"]
    assert UUID(said["id"]).version == 7


async def test_a_title_is_unique_per_owner(ann: httpx.AsyncClient, bob: httpx.AsyncClient, groceries: Json) -> None:
    """409 `LIST_TITLE_TAKEN` for the owner, no hindrance for anybody else; case and spaces make another title."""
    taken = await ann.post("/lists", json={"title": groceries["title"]})
    assert (taken.status_code, taken.json()["code"]) == (409, "LIST_TITLE_TAKEN")
    for caller, title in ((bob, "Groceries"), (ann, "groceries"), (ann, "Groceries ")):
        assert (await caller.post("/lists", json={"title": title})).status_code == 201


async def test_a_title_is_unique_under_a_race(ann: httpx.AsyncClient, ann_id: UUID, sql: Sql) -> None:
    """Of twelve requests at once exactly one makes the list; the others are 409 and never 500."""
    answers = await asyncio.gather(*(ann.post("/lists", json={"title": "Once"}) for _ in range(12)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 11
    assert len(await sql("SELECT FROM lists WHERE owner_id = $1", ann_id)) == 1


async def test_what_is_absent_stays(ann: httpx.AsyncClient, sql: Sql) -> None:
    """A change of the title leaves the description, and the other way round."""
    made = (await ann.post("/lists", json={"title": "Old", "description": "Kept"})).json()
    path, list_id = f"/lists/{made['id']}", UUID(made["id"])
    await ann.patch(path, json={"title": "New"})
    assert [tuple(row) for row in await sql("SELECT title, description FROM lists WHERE id = $1", list_id)] == [
        ("New", "Kept")
    ]
    await ann.patch(path, json={"description": "Other"})
    assert [tuple(row) for row in await sql("SELECT title, description FROM lists WHERE id = $1", list_id)] == [
        ("New", "Other")
    ]


async def test_null_clears_the_description(ann: httpx.AsyncClient, sql: Sql) -> None:
    """It is gone from the answer and from the table."""
    made = (await ann.post("/lists", json={"title": "x", "description": "Gone soon"})).json()
    changed = await ann.patch(f"/lists/{made['id']}", json={"description": None})
    assert (changed.status_code, changed.json()["description"]) == (200, None)
    [row] = await sql(ROW, UUID(made["id"]))
    assert row["description"] is None


async def test_an_empty_change_changes_nothing(ann: httpx.AsyncClient, groceries: Json) -> None:
    """200 with the list as it was: same version, same `updated_at`."""
    answer = await ann.patch(f"/lists/{groceries['id']}", json={})
    assert (answer.status_code, answer.json()) == (200, groceries)
    assert (await ann.get(f"/lists/{groceries['id']}")).json() == groceries


async def test_each_change_counts(ann: httpx.AsyncClient, groceries: Json) -> None:
    """`version` goes up by one and `updated_at` forward; `created_at` and `id` stay."""
    first = (await ann.patch(f"/lists/{groceries['id']}", json={"title": "A"})).json()
    second = (await ann.patch(f"/lists/{groceries['id']}", json={"title": "A"})).json()
    assert [groceries["version"], first["version"], second["version"]] == [1, 2, 3]
    assert groceries["updated_at"] < first["updated_at"] < second["updated_at"]
    assert {(item["id"], item["created_at"]) for item in (groceries, first, second)} == {
        (groceries["id"], groceries["created_at"])
    }


async def test_changes_at_once_are_all_counted(ann: httpx.AsyncClient, groceries: Json) -> None:
    """No version is given twice."""
    path = f"/lists/{groceries['id']}"
    answers = await asyncio.gather(*(ann.patch(path, json={"description": str(n)}) for n in range(8)))
    assert sorted(answer.json()["version"] for answer in answers) == [2, 3, 4, 5, 6, 7, 8, 9]


async def test_renaming_to_a_taken_title(ann: httpx.AsyncClient, groceries: Json, sql: Sql) -> None:
    """409, and nothing of the change is kept."""
    other = (await ann.post("/lists", json={"title": "Other"})).json()
    answer = await ann.patch(f"/lists/{other['id']}", json={"title": groceries["title"], "description": "x"})
    assert (answer.status_code, answer.json()["code"]) == (409, "LIST_TITLE_TAKEN")
    [row] = await sql(ROW, UUID(other["id"]))
    assert (row["title"], row["description"], row["version"]) == ("Other", None, 1)


async def test_renaming_to_its_own_title(ann: httpx.AsyncClient, groceries: Json) -> None:
    """A list does not stand in its own way."""
    answer = await ann.patch(f"/lists/{groceries['id']}", json={"title": groceries["title"]})
    assert answer.status_code == 200


async def test_a_deleted_list_takes_its_todos_along(ann: httpx.AsyncClient, milk: Json, sql: Sql) -> None:
    """204; list and todo lie in the trash, of the same moment, and neither is found; other lists stay."""
    await ann.post("/lists", json={"title": "Stays"})
    answer = await ann.delete(f"/lists/{milk['list_id']}")
    assert (answer.status_code, answer.content) == (204, b"")
    [gone] = await sql(ROW, UUID(milk["list_id"]))
    [todo] = await sql("SELECT * FROM todos WHERE id = $1", UUID(milk["id"]))
    assert gone["deleted_at"] == todo["deleted_at"] is not None
    assert (todo["deleted_with"], gone["version"], todo["version"]) == (gone["id"], 2, 2)
    assert (await ann.get(f"/todos/{milk['id']}")).status_code == 404
    assert (await ann.delete(f"/lists/{milk['list_id']}")).status_code == 404
    assert [item["title"] for item in (await ann.get("/lists")).json()["items"]] == ["Stays"]


async def test_what_never_was(ann: httpx.AsyncClient) -> None:
    """404 for a change, even an empty one, and for a deletion."""
    path = f"/lists/{uuid4()}"
    for answer in (
        await ann.patch(path, json={"title": "x"}),
        await ann.patch(path, json={}),
        await ann.delete(path),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "LIST_NOT_FOUND")
