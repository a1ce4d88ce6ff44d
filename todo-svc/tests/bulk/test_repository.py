"""Many todos at once: all of it or nothing, whatever fails and whoever dies."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest

from devstack.fixtures import TestPostgres

Json = dict[str, Any]
Sql = Callable[..., Awaitable[list[asyncpg.Record]]]
OWNED = "SELECT * FROM todos WHERE owner_id = $1 ORDER BY id"
BUSY = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


async def _batch(caller: httpx.AsyncClient, *operations: Json) -> httpx.Response:
    return await caller.post("/todos/batch", json={"operations": operations})


async def test_one_of_each(ann: httpx.AsyncClient, groceries: Json, milk: Json) -> None:
    """In order, each with the status and the todo that it would have had alone; a later one sees an earlier one."""
    other = (await ann.post("/lists", json={"title": "Other"})).json()
    answer = await _batch(
        ann,
        {"op": "create", "list_id": groceries["id"], "content": "Bread", "labels": ["shop"], "priority": "low"},
        {"op": "update", "id": milk["id"], "completed": True},
        {"op": "update", "id": milk["id"], "list_id": other["id"]},
        {"op": "create", "list_id": other["id"], "content": "Last"},
        {"op": "delete", "id": milk["id"]},
    )
    assert answer.status_code == 200, answer.text
    results = answer.json()["results"]
    assert [(each["op"], each["status"]) for each in results] == [
        ("create", 201),
        ("update", 200),
        ("update", 200),
        ("create", 201),
        ("delete", 204),
    ]
    bread, done, moved, last, gone = (each["todo"] for each in results)
    assert (bread["content"], bread["labels"], done["completed"], gone) == ("Bread", ["shop"], True, None)
    assert (moved["list_id"], moved["version"], last["position"] > moved["position"]) == (other["id"], 3, True)
    assert (await ann.get(f"/todos/{bread['id']}")).json() == bread
    assert (await ann.get(f"/todos/{milk['id']}")).status_code == 404


@pytest.mark.parametrize(
    ("bad", "status", "code", "place"),
    [
        ({"op": "delete", "id": str(uuid4())}, 404, "TODO_NOT_FOUND", "body.operations[2]"),
        ({"op": "create", "list_id": str(uuid4()), "content": "x"}, 404, "LIST_NOT_FOUND", "body.operations[2]"),
        ({"op": "update", "due_at": "0001-01-01T00:00:00Z"}, 422, "INVALID_VALUE", "body.operations[2].due_at"),
        ({"op": "update", "before": str(uuid4())}, 422, "INVALID_VALUE", "body.operations[2].before"),
        ({"op": "update", "content": ""}, 422, "INVALID_VALUE", "body.operations[2].content"),
        ({"op": "burn"}, 422, "INVALID_VALUE", "body.operations[2].op"),
        ({"op": "delete", "content": "x"}, 422, "INVALID_VALUE", "body.operations[2]"),
    ],
)
async def test_the_one_that_fails_is_named(
    ann: httpx.AsyncClient, ann_id: UUID, groceries: Json, milk: Json, sql: Sql, *, bad: Json, status: int, code: str,
    place: str,
) -> None:  # fmt: skip
    """Its own status and code, its place in the batch; nothing of those before it and behind it was done."""
    before = await sql(OWNED, ann_id)
    good = {"op": "create", "list_id": groceries["id"], "content": "x"}
    bad = {"id": milk["id"]} | bad if bad["op"] != "create" else bad
    answer = await _batch(ann, good, {"op": "update", "id": milk["id"], "content": "New"}, bad, good)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code), problem
    assert [error["location"] for error in problem["errors"]] == [place]
    assert await sql(OWNED, ann_id) == before


async def test_somebody_elses(ann: httpx.AsyncClient, bobs_todo: Json, sql: Sql) -> None:
    """404 in a batch too, and nothing is changed."""
    before = await sql("SELECT * FROM todos ORDER BY id")
    for operation in (
        {"op": "update", "id": bobs_todo["id"], "content": "Mine"},
        {"op": "delete", "id": bobs_todo["id"]},
        {"op": "create", "list_id": bobs_todo["list_id"], "content": "Slipped in"},
    ):
        assert (await _batch(ann, operation)).status_code == 404
    assert await sql("SELECT * FROM todos ORDER BY id") == before


async def test_size(ann: httpx.AsyncClient, groceries: Json) -> None:
    """A hundred long ones pass, over the limit of other routes; none, one more, or a megabyte do not."""
    long = {"op": "create", "list_id": groceries["id"], "content": "é" * 1000, "description": "x" * 2000}
    answer = await _batch(ann, *[long] * 100)
    assert (answer.status_code, len(answer.json()["results"])) == (200, 100)
    assert (await _batch(ann)).status_code == 422
    assert (await _batch(ann, *[long] * 101)).status_code == 422
    assert (await _batch(ann, *[long | {"description": "x" * 10_000}] * 100)).status_code == 413
    assert len((await ann.get("/todos", params={"limit": 100})).json()["items"]) == 100


async def test_opposite_orders_at_once(ann: httpx.AsyncClient, groceries: Json) -> None:
    """Batches that change the same todos from either end, beside single changes: nobody waits in a circle."""
    path = f"/lists/{groceries['id']}/todos"
    todos = [(await ann.post(path, json={"content": "x"})).json() for _ in range(8)]
    there = [{"op": "update", "id": todo["id"], "content": "y"} for todo in todos]
    ordered = [*there[::-1], {"op": "update", "id": todos[0]["id"], "after": todos[5]["id"]}]
    answers = await asyncio.gather(
        *(_batch(ann, *operations) for operations in [there, ordered] * 4),
        *(ann.patch(f"/todos/{todo['id']}", json={"before": todos[3]["id"]}) for todo in todos[4:]),
        *(ann.post(f"/lists/{groceries['id']}/complete-all") for _ in range(4)),
        *(ann.post(path, json={"content": "z"}) for _ in range(4)),
    )
    assert {answer.status_code for answer in answers} == {200, 201}


async def test_complete_all(ann: httpx.AsyncClient, groceries: Json, milk: Json) -> None:
    """Only what is not complete, only of this list; how many it were."""
    done = (await ann.post(f"/lists/{groceries['id']}/todos", json={"content": "Done"})).json()
    done = (await ann.patch(f"/todos/{done['id']}", json={"completed": True})).json()
    other = (await ann.post("/lists", json={"title": "Other"})).json()
    apart = (await ann.post(f"/lists/{other['id']}/todos", json={"content": "Apart"})).json()
    for changed in (1, 0):
        answer = await ann.post(f"/lists/{groceries['id']}/complete-all")
        assert (answer.status_code, answer.json()) == (200, {"changed": changed})
    todo = (await ann.get(f"/todos/{milk['id']}")).json()
    assert (todo["completed"], todo["version"]) == (True, 2)
    assert [(await ann.get(f"/todos/{each['id']}")).json() for each in (done, apart)] == [done, apart]


async def test_clear_completed(ann: httpx.AsyncClient, ann_id: UUID, groceries: Json, milk: Json, sql: Sql) -> None:
    """What is complete goes into the trash, to be had back one by one; the rest stays."""
    done = (await ann.post(f"/lists/{groceries['id']}/todos", json={"content": "Done"})).json()
    await ann.patch(f"/todos/{done['id']}", json={"completed": True})
    for changed in (1, 0):
        assert (await ann.post(f"/lists/{groceries['id']}/clear-completed")).json() == {"changed": changed}
    assert (await ann.get("/todos")).json()["items"] == [milk]
    assert [row[0] for row in await sql("SELECT purge_at > now() FROM owners WHERE owner_id = $1", ann_id)] == [True]
    assert (await ann.post(f"/trash/{done['id']}/restore")).json()["todo"]["completed"] is True


@pytest.mark.parametrize("word", ["complete-all", "clear-completed"])
async def test_of_no_list_of_ones_own(ann: httpx.AsyncClient, bobs_todo: Json, sql: Sql, word: str) -> None:
    """404 for somebody else's as for one that never was; nothing is changed."""
    before = await sql("SELECT * FROM todos ORDER BY id")
    for list_id in (bobs_todo["list_id"], str(uuid4())):
        answer = await ann.post(f"/lists/{list_id}/{word}")
        assert (answer.status_code, answer.json()["code"]) == (404, "LIST_NOT_FOUND")
    assert await sql("SELECT * FROM todos ORDER BY id") == before


@pytest.fixture
def postgres(postgres_server: TestPostgres) -> Iterator[TestPostgres]:
    """The server, running again after the test."""
    yield postgres_server
    if not postgres_server.alive:
        postgres_server.start()


async def test_postgresql_killed_in_the_middle(
    ann: httpx.AsyncClient, ann_id: UUID, milk: Json, postgres: TestPostgres, sql: Sql, admin_dsn: str
) -> None:
    """Half of the batch is written when PostgreSQL dies: 503, nothing of it is there, and the same batch then works."""
    before = await sql(OWNED, ann_id)
    create = {"op": "create", "list_id": milk["list_id"], "content": "x"}
    operations = [*[create] * 20, {"op": "update", "id": milk["id"], "content": "y"}, *[create] * 20]
    holder = await asyncpg.connect(admin_dsn)
    await holder.execute("CREATE FUNCTION halt() RETURNS trigger LANGUAGE plpgsql AS"
                         " $$ BEGIN PERFORM pg_advisory_xact_lock(7); RETURN NEW; END $$")  # fmt: skip
    await holder.execute(
        "CREATE TRIGGER halt BEFORE UPDATE ON todos FOR EACH ROW WHEN (NEW.content = 'y') EXECUTE FUNCTION halt()"
    )
    await holder.execute("SELECT pg_advisory_lock(7)")
    under_way = asyncio.ensure_future(_batch(ann, *operations))
    while not (await holder.fetchval(BUSY)):
        pass
    postgres.kill()
    assert (await under_way).status_code == 503
    postgres.start()
    await sql("DROP TRIGGER halt ON todos")
    await sql("DROP FUNCTION halt")
    assert await sql(OWNED, ann_id) == before
    assert (await _batch(ann, *operations)).status_code == 200
    assert len(await sql(OWNED, ann_id)) == 41
    holder.terminate()
