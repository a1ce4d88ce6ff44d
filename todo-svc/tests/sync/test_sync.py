"""GET /sync: whoever follows `next` has what there is, and misses nothing."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest

from common.database import Database
from todo_svc.housekeeping import Housekeeping

Json = dict[str, Any]
Sql = Callable[..., Awaitable[list[asyncpg.Record]]]

PURGE = "UPDATE owners SET horizon = $2 WHERE owner_id = $1"


async def synced(caller: httpx.AsyncClient, **parameters: Any) -> Json:
    """One answer."""
    answer = await caller.get("/sync", params=parameters)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def followed(caller: httpx.AsyncClient, replica: Json, since: str = "0", limit: int = 500) -> str:
    """Take in all there is, until there is no more; where to go on."""
    while True:
        page = await synced(caller, since=since, limit=limit)
        numbers = [change["number"] for change in page["items"]]
        assert numbers == sorted(set(numbers))
        for change in page["items"]:
            replica[change["id"]] = change[change["kind"]]
            if change["deleted"]:
                del replica[change["id"]]
        since = page["next"]
        if not page["more"]:
            return since


async def everything(caller: httpx.AsyncClient) -> Json:
    """What the other routes show, by id."""
    found: Json = {}
    for path in ("/lists", "/todos"):
        cursor: Json = {}
        while True:
            page = (await caller.get(path, params={"limit": 100} | cursor)).json()
            found |= {item["id"]: item for item in page["items"]}
            if page["next_cursor"] is None:
                break
            cursor = {"cursor": page["next_cursor"]}
    return found


async def test_everything_from_the_start(ann: httpx.AsyncClient, milk: Json) -> None:
    """Each thing is there as its own route shows it, in the order of the changes."""
    page = await synced(ann)
    a_list = (await ann.get(f"/lists/{milk['list_id']}")).json()
    assert page == {
        "items": [
            {"number": 1, "kind": "list", "id": a_list["id"], "deleted": False, "list": a_list, "todo": None},
            {"number": 2, "kind": "todo", "id": milk["id"], "deleted": False, "list": None, "todo": milk},
        ],
        "next": "2",
        "more": False,
    }


async def test_nobody_yet(ann: httpx.AsyncClient) -> None:
    """Who has nothing gets nothing, and a place to go on from."""
    assert await synced(ann) == {"items": [], "next": "0", "more": False}


async def test_only_what_has_changed(ann: httpx.AsyncClient, milk: Json) -> None:
    """A thing changed twice comes once, as it is now; then nothing comes."""
    since = (await synced(ann))["next"]
    for content in ("Oat milk", "Soy milk"):
        changed = await ann.patch(f"/todos/{milk['id']}", json={"content": content})
    page = await synced(ann, since=since)
    assert [(change["number"], change["todo"]) for change in page["items"]] == [(4, changed.json())]
    assert await synced(ann, since=page["next"]) == {"items": [], "next": "4", "more": False}


async def test_what_is_deleted_is_named(ann: httpx.AsyncClient, milk: Json) -> None:
    """With its list, each as a tombstone without content; a sync from the start leaves them out."""
    since = (await synced(ann))["next"]
    assert (await ann.delete(f"/lists/{milk['list_id']}")).status_code == 204
    page = await synced(ann, since=since)
    assert {(change["id"], change["deleted"], change["list"], change["todo"]) for change in page["items"]} == {
        (milk["list_id"], True, None, None),
        (milk["id"], True, None, None),
    }
    assert await synced(ann) == {"items": [], "next": page["next"], "more": False}


async def test_pages(ann: httpx.AsyncClient, groceries: Json) -> None:
    """A sync in small pages ends with what one large page has."""
    for number in range(5):
        await ann.post(f"/lists/{groceries['id']}/todos", json={"content": str(number)})
    replica: Json = {}
    assert await followed(ann, replica, limit=2) == "6"
    assert replica == await everything(ann)
    assert (await synced(ann, limit=6))["more"] is False
    assert (await synced(ann, limit=5))["more"] is True


async def test_what_is_deleted_during_a_sync_from_the_start(ann: httpx.AsyncClient, groceries: Json) -> None:
    """It was given out, so its end is too, though ends of before are left out."""
    paths = [f"/lists/{groceries['id']}/todos"] * 4
    todos = [(await ann.post(path, json={"content": "x"})).json() for path in paths]
    await ann.delete(f"/todos/{todos[3]['id']}")
    page = await synced(ann, limit=2)
    await ann.delete(f"/todos/{todos[0]['id']}")
    rest = await synced(ann, since=page["next"])
    assert [change["id"] for change in rest["items"] if change["deleted"]] == [todos[0]["id"]]


async def test_too_old(ann: httpx.AsyncClient, ann_id: UUID, milk: Json, sql: Sql) -> None:
    """410 `SYNC_TOO_OLD` for whoever may have missed a deletion that was purged; the start is never too old."""
    await sql(PURGE, ann_id, 2)
    answer = await ann.get("/sync", params={"since": "1"})
    assert (answer.status_code, answer.json()["code"]) == (410, "SYNC_TOO_OLD")
    assert (await synced(ann, since="2"))["items"] == []
    assert len((await synced(ann))["items"]) == 2
    assert milk["version"] == 1


async def test_after_the_trash_was_emptied(
    ann: httpx.AsyncClient, ann_id: UUID, milk: Json, sql: Sql, todo_dsn: str
) -> None:
    """By housekeeping itself: who knew what is gone must start anew, who had heard of its end need not."""
    knew = (await synced(ann))["next"]
    await ann.delete(f"/todos/{milk['id']}")
    heard = (await synced(ann, since=knew))["next"]
    await sql("UPDATE owners SET purge_at = now() - interval '1 second' WHERE owner_id = $1", ann_id)
    async with Database(todo_dsn, size=1, application="test") as database:
        await Housekeeping(database, kept=timedelta()).sweep()
    assert (await ann.get("/sync", params={"since": knew})).status_code == 410
    assert await synced(ann, since=heard) == {"items": [], "next": str(int(heard) + 1), "more": False}


async def test_its_tag(ann: httpx.AsyncClient, ann_id: UUID, milk: Json, sql: Sql) -> None:
    """304 until anything changes; but what is too old is 410 whatever the client has."""
    tag = (await ann.get("/sync", params={"since": "1"})).headers["ETag"]
    for condition in (tag, "*"):
        answer = await ann.get("/sync", params={"since": "1"}, headers={"If-None-Match": condition})
        assert (answer.status_code, answer.content, answer.headers["ETag"]) == (304, b"", tag)
    await ann.delete(f"/todos/{milk['id']}")
    answer = await ann.get("/sync", params={"since": "1"}, headers={"If-None-Match": tag})
    assert (answer.status_code, answer.json()["items"][0]["deleted"]) == (200, True)
    await sql(PURGE, ann_id, 3)
    again = await ann.get("/sync", params={"since": "1"}, headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 410


async def test_a_number_that_is_yet_to_come(ann: httpx.AsyncClient, milk: Json) -> None:
    """410: it was given out by a database that has since been set back."""
    assert (await ann.get("/sync", params={"since": "3"})).status_code == 410
    assert milk["version"] == 1


async def test_a_purge_during_a_sync_from_the_start(ann: httpx.AsyncClient, ann_id: UUID, sql: Sql) -> None:
    """What was deleted before it began is no loss; what was given out in it and then purged is."""
    for title in "abcd":
        await ann.post("/lists", json={"title": title})
    page = await synced(ann, limit=2)
    await sql(PURGE, ann_id, 4)
    assert (await synced(ann, since=page["next"]))["next"] == "4"
    await ann.post("/lists", json={"title": "e"})
    await sql(PURGE, ann_id, 5)
    assert (await ann.get("/sync", params={"since": page["next"]})).status_code == 410


@pytest.mark.parametrize("since", ["-1", "x", "01", "1-", "1.5", "1" * 19, "\u0661"])
async def test_what_is_no_place(ann: httpx.AsyncClient, since: str) -> None:
    """422."""
    assert (await ann.get("/sync", params={"since": since})).status_code == 422


async def test_owners_are_apart(ann: httpx.AsyncClient, milk: Json, bobs_todo: Json) -> None:
    """Each has numbers of his own, and nobody else's changes."""
    assert {change["id"] for change in (await synced(ann))["items"]} == {milk["id"], milk["list_id"]}
    assert bobs_todo["id"] != milk["id"]


async def test_nobody(nobody: httpx.AsyncClient) -> None:
    """Guarded as any route."""
    assert (await nobody.get("/sync")).status_code == 401


async def test_concurrent_writers(ann: httpx.AsyncClient, groceries: Json) -> None:
    """A reader that polls while others write sees each number after all before it, and ends with what there is."""
    path, writing = f"/lists/{groceries['id']}/todos", True

    async def write(number: int) -> None:
        for step in range(4):
            todo = (await ann.post(path, json={"content": f"{number}.{step}"})).json()
            assert (await ann.patch(f"/todos/{todo['id']}", json={"completed": True})).status_code == 200
            if step % 2:
                assert (await ann.delete(f"/todos/{todo['id']}")).status_code == 204

    async def read() -> Json:
        replica: Json = {}
        since = "0"
        while writing:
            before = int(since.partition("-")[0])
            since = await followed(ann, replica, since, limit=3)
            assert int(since) >= before
        await followed(ann, replica, since)
        return replica

    reading = asyncio.ensure_future(read())
    await asyncio.gather(*(write(number) for number in range(6)))
    writing = False
    assert await reading == await everything(ann)
