"""Changing todos: each change is read back on another connection."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest

from todo_svc.lists.repository import _DELETE
from todo_svc.retention import KEPT

Json = dict[str, Any]
Sql = Callable[..., Awaitable[list[asyncpg.Record]]]
WAITING = "SELECT FROM pg_locks WHERE NOT granted AND pid IN (SELECT pid FROM pg_stat_activity WHERE datname = $1)"


async def _row(sql: Sql, todo: Json) -> asyncpg.Record:
    [row] = await sql("SELECT * FROM todos WHERE id = $1", UUID(todo["id"]))
    return row


async def _add(caller: httpx.AsyncClient, list_id: str, content: str = "x") -> Json:
    answer = await caller.post(f"/lists/{list_id}/todos", json={"content": content})
    assert answer.status_code == 201
    return dict(answer.json())


async def _change(caller: httpx.AsyncClient, todo: Json, **change: Any) -> Json:
    answer = await caller.patch(f"/todos/{todo['id']}", json=change)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def _until_somebody_waits(sql: Sql, dsn: str) -> None:
    async with asyncio.timeout(4):
        while not await sql(WAITING, dsn.rpartition("/")[2]):
            pass


async def test_a_new_todo_is_stored_for_its_owner(
    ann: httpx.AsyncClient, ann_id: UUID, groceries: Json, sql: Sql
) -> None:
    """201 means committed: another connection reads what was sent, the priority as its rank."""
    sent = {"content": "Milk 🥛", "description": "حليب", "priority": "low", "due_at": "2030-05-01T14:00:00+02:00"}
    answer = await ann.post(f"/lists/{groceries['id']}/todos", json=sent)
    assert answer.status_code == 201
    row = await _row(sql, answer.json())
    assert (row["owner_id"], row["list_id"]) == (ann_id, UUID(groceries["id"]))
    assert (row["content"], row["description"], row["priority"]) == ("Milk 🥛", "حليب", 1)
    assert row["due_at"] == datetime(2030, 5, 1, 12, tzinfo=UTC)
    assert (row["completed_at"], row["version"]) == (None, 1)
    assert answer.json()["due_at"] == "2030-05-01T12:00:00Z"


async def test_new_todos_go_to_the_end(ann: httpx.AsyncClient, groceries: Json, sql: Sql) -> None:
    """Each behind the last, with room between them, also behind one that was moved far away."""
    todos = [await _add(ann, groceries["id"]) for _ in range(3)]
    assert [todo["position"] for todo in todos] == [1024.0, 2048.0, 3072.0]
    await _change(ann, todos[0], position=50_000.5)
    last = await _add(ann, groceries["id"])
    assert last["position"] == 51_024.5
    assert (await _row(sql, last))["position"] == 51_024.5


async def test_a_list_that_is_not_there_takes_no_todo(ann: httpx.AsyncClient, ann_id: UUID, sql: Sql) -> None:
    """404 `LIST_NOT_FOUND`, and nothing is stored."""
    answer = await ann.post(f"/lists/{uuid4()}/todos", json={"content": "x"})
    assert (answer.status_code, answer.json()["code"]) == (404, "LIST_NOT_FOUND")
    assert await sql("SELECT FROM todos WHERE owner_id = $1", ann_id) == []


@pytest.mark.parametrize("verb", ["create", "move"])
async def test_a_list_deleted_meanwhile(
    ann: httpx.AsyncClient, ann_id: UUID, milk: Json, sql: Sql, admin_dsn: str, verb: str
) -> None:
    """The list is deleted, not yet committed, when the todo arrives: it waits, then is 404 and never 500."""
    doomed = (await ann.post("/lists", json={"title": "Doomed"})).json()
    other = await asyncpg.connect(admin_dsn)
    transaction = other.transaction()
    await transaction.start()
    await other.execute(_DELETE, ann_id, UUID(doomed["id"]), KEPT, None)
    request = (
        ann.post(f"/lists/{doomed['id']}/todos", json={"content": "Late"})
        if verb == "create"
        else ann.patch(f"/todos/{milk['id']}", json={"list_id": doomed["id"]})
    )
    late = asyncio.ensure_future(request)
    await _until_somebody_waits(sql, admin_dsn)
    await transaction.commit()
    await other.close()
    answer = await late
    assert (answer.status_code, answer.json()["code"]) == (404, "LIST_NOT_FOUND")
    assert await sql("SELECT FROM todos WHERE list_id = $1", UUID(doomed["id"])) == []
    assert str((await _row(sql, milk))["list_id"]) == milk["list_id"]


@pytest.mark.parametrize(
    ("change", "column", "stored"),
    [
        ({"content": "Oat milk"}, "content", "Oat milk"),
        ({"description": "Three"}, "description", "Three"),
        ({"description": None}, "description", None),
        ({"priority": "low"}, "priority", 1),
        ({"due_at": "1999-12-31T23:59:59.123456Z"}, "due_at", datetime(1999, 12, 31, 23, 59, 59, 123456, UTC)),
        ({"due_at": None}, "due_at", None),
        ({"position": -1.5}, "position", -1.5),
    ],
)
async def test_one_field_changes_and_the_others_stay(
    ann: httpx.AsyncClient, milk: Json, sql: Sql, change: Json, column: str, stored: object
) -> None:
    """What is absent stays, `null` clears; version, update time and the given field are all that is new."""
    before = await _row(sql, milk)
    answer = await _change(ann, milk, **change)
    after = await _row(sql, milk)
    assert after[column] == stored
    assert {name for name in dict(before) if before[name] != after[name]} == {column, "version", "updated_at"}
    assert {name for name in milk if milk[name] != answer[name]} == {column, "version", "updated_at"}
    assert after["version"] == 2


async def test_an_empty_change_changes_nothing(ann: httpx.AsyncClient, milk: Json, sql: Sql) -> None:
    """200 with the todo as it was, in the answer and in the database."""
    before = await _row(sql, milk)
    assert await _change(ann, milk) == milk
    assert await _row(sql, milk) == before


async def test_all_fields_at_once(ann: httpx.AsyncClient, milk: Json) -> None:
    """One change, one version."""
    other = (await ann.post("/lists", json={"title": "Other"})).json()
    change = {
        "content": "Bread",
        "description": "Rye",
        "priority": "low",
        "due_at": "2031-01-01T00:00:00Z",
        "completed": True,
        "list_id": other["id"],
        "position": 7.25,
    }
    changed = await _change(ann, milk, **change)
    assert {name: changed[name] for name in change} == change
    assert changed["version"] == 2
    assert (await ann.get(f"/todos/{milk['id']}")).json() == changed


async def test_completion_has_a_time_that_is_kept(ann: httpx.AsyncClient, milk: Json, sql: Sql) -> None:
    """`completed` sets the time once, keeps it when said again or not said, and clears it when taken back."""
    first = await _change(ann, milk, completed=True)
    assert first["completed"] is True
    assert first["completed_at"] == first["updated_at"]
    again = await _change(ann, milk, completed=True)
    unrelated = await _change(ann, milk, content="Still done")
    assert again["completed_at"] == unrelated["completed_at"] == first["completed_at"]
    assert (await _row(sql, milk))["completed_at"] is not None
    undone = await _change(ann, milk, completed=False)
    assert (undone["completed"], undone["completed_at"]) == (False, None)
    assert (await _row(sql, milk))["completed_at"] is None
    later = await _change(ann, milk, completed=True)
    assert later["completed_at"] > first["completed_at"]


async def test_a_moved_todo_goes_to_the_end_of_the_other_list(ann: httpx.AsyncClient, milk: Json, sql: Sql) -> None:
    """Behind what is there; in an empty list it is the first."""
    full = (await ann.post("/lists", json={"title": "Full"})).json()
    empty = (await ann.post("/lists", json={"title": "Empty"})).json()
    last = [await _add(ann, full["id"]) for _ in range(3)][-1]
    moved = await _change(ann, milk, list_id=full["id"])
    assert (moved["list_id"], moved["position"]) == (full["id"], last["position"] + 1024)
    row = await _row(sql, milk)
    assert (str(row["list_id"]), row["position"]) == (full["id"], last["position"] + 1024)
    assert (await _change(ann, milk, list_id=empty["id"]))["position"] == 1024


async def test_a_move_to_its_own_list_keeps_its_place(ann: httpx.AsyncClient, milk: Json) -> None:
    """It is not sent to the end."""
    await _add(ann, milk["list_id"])
    assert (await _change(ann, milk, list_id=milk["list_id"]))["position"] == milk["position"]


async def test_a_list_that_is_not_there_is_no_target(ann: httpx.AsyncClient, milk: Json, sql: Sql) -> None:
    """404 `LIST_NOT_FOUND`; nothing of the change is kept."""
    before = await _row(sql, milk)
    answer = await ann.patch(f"/todos/{milk['id']}", json={"list_id": str(uuid4()), "content": "Moved"})
    assert (answer.status_code, answer.json()["code"]) == (404, "LIST_NOT_FOUND")
    assert await _row(sql, milk) == before


@pytest.mark.parametrize("when", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z", "1899-12-31T23:59:59Z"])
async def test_times_at_the_edge_of_the_calendar(
    ann: httpx.AsyncClient, milk: Json, ann_id: UUID, sql: Sql, when: str
) -> None:
    """422 for what some part of the system could not hold, in a new todo and in a change; nothing is stored."""
    before = await sql("SELECT * FROM todos WHERE owner_id = $1", ann_id)
    for answer in (
        await ann.post(f"/lists/{milk['list_id']}/todos", json={"content": "x", "due_at": when}),
        await ann.patch(f"/todos/{milk['id']}", json={"due_at": when}),
    ):
        assert answer.status_code == 422
        assert [error["location"] for error in answer.json()["errors"]] == ["body.due_at"]
    assert await sql("SELECT * FROM todos WHERE owner_id = $1", ann_id) == before


async def test_a_deleted_todo_is_gone(ann: httpx.AsyncClient, milk: Json, sql: Sql) -> None:
    """204 without a body, then 404 for all who ask; it lies in the trash, and its neighbours stay."""
    neighbour = await _add(ann, milk["list_id"])
    answer = await ann.delete(f"/todos/{milk['id']}")
    assert (answer.status_code, answer.content) == (204, b"")
    live = "SELECT id FROM todos WHERE list_id = $1 AND deleted_at IS NULL"
    assert [row["id"] for row in await sql(live, UUID(milk["list_id"]))] == [UUID(neighbour["id"])]
    assert (await _row(sql, milk))["deleted_with"] is None
    for gone in (
        await ann.get(f"/todos/{milk['id']}"),
        await ann.patch(f"/todos/{milk['id']}", json={}),
        await ann.patch(f"/todos/{milk['id']}", json={"content": "x"}),
        await ann.delete(f"/todos/{milk['id']}"),
    ):
        assert (gone.status_code, gone.json()["code"]) == (404, "TODO_NOT_FOUND")


async def test_todos_added_at_once_are_all_there(ann: httpx.AsyncClient, groceries: Json, sql: Sql) -> None:
    """Ten at the same time: ten rows, each behind the one whose turn was before."""
    todos = await asyncio.gather(*(_add(ann, groceries["id"], str(n)) for n in range(10)))
    stored = await sql("SELECT id, position FROM todos WHERE list_id = $1", UUID(groceries["id"]))
    assert {row["id"] for row in stored} == {UUID(todo["id"]) for todo in todos}
    assert sorted(row["position"] for row in stored) == [1024.0 * place for place in range(1, 11)]
