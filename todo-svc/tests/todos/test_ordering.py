"""Manual order: next to another todo, and never many rows for it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from itertools import pairwise
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
import pytest_asyncio

Json = dict[str, Any]
Sql = Callable[..., Awaitable[list[asyncpg.Record]]]
Walk = Callable[..., Awaitable[list[Json]]]
WISHES = 200
# Each row that is changed takes a number.
CLOCK = "SELECT seq FROM owners WHERE owner_id = $1"

in_the_loop = partial(pytest_asyncio.fixture, loop_scope="session")


async def _add(caller: httpx.AsyncClient, list_id: str, content: str) -> Json:
    return dict((await caller.post(f"/lists/{list_id}/todos", json={"content": content})).json())


async def _change(caller: httpx.AsyncClient, todo: Json, **change: Any) -> httpx.Response:
    return await caller.patch(f"/todos/{todo['id']}", json=change)


async def _order(walk: Walk, caller: httpx.AsyncClient, list_id: str) -> str:
    return "".join(
        todo["content"] for todo in await walk(caller, f"/lists/{list_id}/todos", order_by="position", limit=100)
    )


@pytest.fixture
def abc(ann: httpx.AsyncClient, groceries: Json) -> Callable[[], Awaitable[list[Json]]]:
    """Three todos in a row."""

    async def make() -> list[Json]:
        return [await _add(ann, groceries["id"], name) for name in "abc"]

    return make


@pytest.mark.parametrize(
    ("moved", "side", "anchor", "order"),
    [(2, "before", 0, "cab"), (2, "before", 1, "acb"), (0, "after", 1, "bac"), (0, "after", 2, "bca"),
     (1, "after", 0, "abc"), (1, "before", 2, "abc")],
)  # fmt: skip
async def test_next_to_another(
    ann: httpx.AsyncClient, abc: Any, walk: Walk, *, moved: int, side: str, anchor: int, order: str
) -> None:
    """Before the first, between two, behind the last; only the one that moves is changed."""
    todos = await abc()
    answer = await _change(ann, todos[moved], **{side: todos[anchor]["id"]})
    assert (answer.status_code, answer.json()["version"]) == (200, 2)
    assert await _order(walk, ann, todos[0]["list_id"]) == order
    assert sorted([todo["version"] for todo in (await ann.get("/todos")).json()["items"]]) == [1, 1, 2]


async def test_next_to_one_of_another_list(ann: httpx.AsyncClient, milk: Json, abc: Any, walk: Walk) -> None:
    """With `list_id` the other todo is one of the list it moves to, and of no other."""
    other = (await ann.post("/lists", json={"title": "Other"})).json()
    there = [await _add(ann, other["id"], name) for name in "xy"]
    here = (await abc())[0]
    assert (await _change(ann, milk, list_id=other["id"], before=here["id"])).status_code == 422
    assert (await _change(ann, milk, list_id=other["id"], after=there[0]["id"])).status_code == 200
    assert await _order(walk, ann, other["id"]) == "xMilky"


@pytest.mark.parametrize("side", ["before", "after"])
async def test_no_such_place(
    ann: httpx.AsyncClient, milk: Json, bobs_todo: Json, groceries: Json, sql: Sql, side: str
) -> None:
    """422 next to itself, what never was, what is in the trash, or somebody else's: all alike; nothing is changed."""
    trashed = await _add(ann, groceries["id"], "gone")
    await ann.delete(f"/todos/{trashed['id']}")
    before = await sql("SELECT * FROM todos ORDER BY id")
    for anchor in (milk["id"], str(uuid4()), trashed["id"], bobs_todo["id"]):
        answer = await _change(ann, milk, **{side: anchor, "content": "x"})
        assert (answer.status_code, answer.json()["errors"][0]["location"]) == (422, f"body.{side}")
    assert await sql("SELECT * FROM todos ORDER BY id") == before
    lost = await ann.patch(f"/todos/{uuid4()}", json={side: milk["id"]})
    assert (lost.status_code, lost.json()["code"]) == (404, "TODO_NOT_FOUND")


async def test_one_place_only(ann: httpx.AsyncClient, abc: Any) -> None:
    """422 that names each field that says where."""
    a, b, c = await abc()
    answer = await _change(ann, a, before=b["id"], after=c["id"], position=1)
    assert answer.status_code == 422
    places = [error["location"] for error in answer.json()["errors"]]
    assert places == ["body.position", "body.before", "body.after"]


@in_the_loop()
async def watching(admin_dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection that sees all."""
    connection = await asyncpg.connect(admin_dsn)
    yield connection
    await connection.close()


@pytest.mark.parametrize("sides", ["after", "before", "both"])
async def test_no_wish_moves_many(
    ann: httpx.AsyncClient, ann_id: UUID, groceries: Json, watching: asyncpg.Connection, walk: Walk, *, sides: str
) -> None:
    """Two hundred at one place, where floats run out: the order is right, and each wish touched a few rows."""
    create = {"op": "create", "list_id": groceries["id"], "content": "x"}
    results = (await ann.post("/todos/batch", json={"operations": [create] * 50})).json()["results"]
    expected = [result["todo"]["id"] for result in results]
    fixed = anchor = expected[25]
    clocks = [await watching.fetchval(CLOCK, ann_id)]
    for n in range(WISHES):
        side = ("after", "before")[n % 2] if sides == "both" else sides
        moved = expected[-1 if side == "after" else 0]
        assert (await _change(ann, {"id": moved}, **{side: anchor})).status_code == 200
        expected.remove(moved)
        expected.insert(expected.index(anchor) + (side == "after"), moved)
        clocks.append(await watching.fetchval(CLOCK, ann_id))
        anchor = moved if sides == "both" else fixed
    found = await walk(ann, f"/lists/{groceries['id']}/todos", order_by="position", limit=100)
    assert [todo["id"] for todo in found] == expected
    touched = {after - before for before, after in pairwise(clocks)}
    assert min(touched) == 1 < max(touched) <= 17


async def test_wishes_at_once(ann: httpx.AsyncClient, abc: Any, walk: Walk) -> None:
    """Ten for one place: ten different positions, and nobody is lost."""
    a, b, _ = await abc()
    todos = [await _add(ann, a["list_id"], ".") for _ in range(10)]
    answers = await asyncio.gather(*(_change(ann, todo, after=a["id"]) for todo in todos))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["position"] for answer in answers}) == 10
    assert await _order(walk, ann, b["list_id"]) == "a..........bc"


@pytest.mark.parametrize("positions", [[5, 5, 5], [1e15, 1e15, 1e15], [-1e15, 1e15, 1e15], [1, 1.0000000000000002, 2]])
async def test_positions_that_callers_chose(
    ann: httpx.AsyncClient, abc: Any, walk: Walk, positions: list[float]
) -> None:
    """Alike, far out, or as close as floats can be: there is a place between any two, and the others keep theirs."""
    todos = await abc()
    for todo, position in zip(todos, positions, strict=True):
        await _change(ann, todo, position=position)
    new = await _add(ann, todos[0]["list_id"], ".")
    assert (await _change(ann, new, after=todos[0]["id"])).status_code == 200
    assert await _order(walk, ann, new["list_id"]) == "a.bc"
    assert (await _change(ann, new, before=todos[2]["id"])).status_code == 200
    assert await _order(walk, ann, new["list_id"]) == "ab.c"


@pytest.mark.parametrize("step", [0.0, 1e-9])
async def test_many_at_one_position(
    ann: httpx.AsyncClient, ann_id: UUID, groceries: Json, watching: asyncpg.Connection, step: float
) -> None:
    """However many a caller puts at one position, or as good as one, nothing that is wished there moves many rows."""
    create = {"op": "create", "list_id": groceries["id"], "content": "x"}
    made = (await ann.post("/todos/batch", json={"operations": [create] * 80})).json()["results"]
    ids = [result["todo"]["id"] for result in made]
    clocks = [await watching.fetchval(CLOCK, ann_id)]
    wishes = [*({"position": 5 + n * step} for n in range(80)), {"before": ids[0]}, {"after": ids[40]}]
    for todo, wish in zip([*ids, ids[-1], ids[-2]], wishes, strict=True):
        answer = await _change(ann, {"id": todo}, **wish)
        assert answer.status_code == 200
        clocks.append(await watching.fetchval(CLOCK, ann_id))
    assert max(after - before for before, after in pairwise(clocks)) <= 17
    order = (await ann.get(f"/lists/{groceries['id']}/todos", params={"order_by": "position", "limit": 100})).json()
    found = [todo["id"] for todo in order["items"]]
    assert found.index(ids[-1]) + 1 == found.index(ids[0])
    assert found.index(ids[40]) + 1 == found.index(ids[-2])
