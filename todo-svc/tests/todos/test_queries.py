"""Reading todos: every order is total, and its pages neither miss nor repeat a row."""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest

Json = dict[str, Any]
Sql = Callable[..., Awaitable[list[asyncpg.Record]]]
Walk = Callable[..., Awaitable[list[Json]]]

COLUMNS = ["created_at", "updated_at", "due_at", "priority", "position"]
ORDERS = [sign + column for column in COLUMNS for sign in ("", "-")]
END = datetime.max.replace(tzinfo=UTC)
START = datetime.min.replace(tzinfo=UTC)


def _sorted(rows: list[Json], order: str) -> list[str]:
    """The ids as this order has them: by the column, ties by id, todos without a due time last either way."""
    column, descending = order.removeprefix("-"), order.startswith("-")
    missing = START if descending else END
    ordered = sorted(rows, key=lambda row: (row[column] or missing, row["id"]), reverse=descending)
    return [str(row["id"]) for row in ordered]


def _ids(items: list[Json]) -> list[str]:
    return [item["id"] for item in items]


@pytest.mark.parametrize("order", ORDERS)
async def test_every_order_in_pages(ann: httpx.AsyncClient, many: list[Json], walk: Walk, order: str) -> None:
    """60 todos that share all their values, seven at a time: each once, and exactly where the order puts it."""
    assert _ids(await walk(ann, "/todos", order_by=order, limit=7)) == _sorted(many, order)


@pytest.mark.parametrize("order", ORDERS)
async def test_pages_hold_while_todos_come_and_go(
    ann: httpx.AsyncClient, ann_id: UUID, groceries: Json, many: list[Json], sql: Sql, order: str
) -> None:
    """Between pages the cursor's row is deleted, one not yet met too, and others come: who stayed is met once."""
    stayed = {str(row["id"]) for row in many}
    met: list[str] = []
    query: Json = {"order_by": order, "limit": 9}
    while True:
        page = (await ann.get("/todos", params=query)).json()
        met += _ids(page["items"])
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
        unmet = min(stayed - set(met), default=met[-1])
        await sql("DELETE FROM todos WHERE id = ANY($1::uuid[])", [met[-1], unmet])
        stayed -= {unmet, met[-1]}
        for rank in (1, 3):
            await sql(
                "INSERT INTO todos (owner_id, id, list_id, content, priority, position, due_at)"
                " VALUES ($1, gen_random_uuid(), $2, 'late', $3, 0, now())",
                *(ann_id, UUID(groceries["id"]), rank),
            )
    assert len(met) == len(set(met))
    assert stayed <= set(met)


async def test_pages_hold_under_concurrent_changes(
    ann: httpx.AsyncClient, groceries: Json, many: list[Json], walk: Walk
) -> None:
    """Others are added and deleted over HTTP while the pages are walked: whoever was there throughout is met once."""
    over = asyncio.Event()

    async def churn() -> int:
        turns = 0
        while not over.is_set():
            made = await ann.post(f"/lists/{groceries['id']}/todos", json={"content": "passing"})
            turns += (await ann.delete(f"/todos/{made.json()['id']}")).status_code == 204
        return turns

    churning = asyncio.ensure_future(churn())
    walks = [_ids(await walk(ann, "/todos", order_by=order, limit=5)) for order in ORDERS]
    over.set()
    assert await churning > 0
    for met in walks:
        assert len(met) == len(set(met))
        assert {str(row["id"]) for row in many} <= set(met)


@pytest.mark.parametrize("text", ["priority desc", "priority DESC", "-priority", "-priority desc"])
async def test_the_tutorials_form_of_an_order(ann: httpx.AsyncClient, many: list[Json], walk: Walk, text: str) -> None:
    """`priority desc` and `-priority` are one order, high before medium before low."""
    items = await walk(ann, "/todos", order_by=text, limit=50)
    assert _ids(items) == _sorted(many, "-priority")
    assert [item["priority"] for item in items] == ["high"] * 20 + ["medium"] * 20 + ["low"] * 20


async def test_todos_without_a_due_time_come_last(ann: httpx.AsyncClient, many: list[Json], walk: Walk) -> None:
    """In either direction, so that what is due shows first."""
    assert {row["due_at"] is None for row in many} == {True, False}
    for order in ("due_at", "-due_at"):
        missing = [item["due_at"] is None for item in await walk(ann, "/todos", order_by=order, limit=11)]
        assert missing == [False] * 45 + [True] * 15


async def test_the_order_unless_told(ann: httpx.AsyncClient, many: list[Json], walk: Walk) -> None:
    """Oldest first."""
    assert _ids(await walk(ann, "/todos")) == _sorted(many, "created_at")


async def test_todos_of_one_list(ann: httpx.AsyncClient, groceries: Json, many: list[Json], walk: Walk) -> None:
    """Its own and no others, in the same orders, by either path."""
    own = [row for row in many if str(row["list_id"]) == groceries["id"]]
    for path, query in ((f"/lists/{groceries['id']}/todos", {}), ("/todos", {"list_id": groceries["id"]})):
        assert _ids(await walk(ann, path, order_by="-position", limit=4, **query)) == _sorted(own, "-position")


async def test_a_cursor_of_another_order(ann: httpx.AsyncClient, many: list[Json]) -> None:
    """422: it says nothing about where this order goes on."""
    assert many
    cursors = {
        order: (await ann.get("/todos", params={"order_by": order, "limit": 3})).json()["next_cursor"]
        for order in ORDERS
    }
    for order in ORDERS:
        for made_for, cursor in cursors.items():
            answer = await ann.get("/todos", params={"order_by": order, "cursor": cursor})
            assert answer.status_code == (200 if order == made_for else 422), (order, made_for)


async def test_somebody_elses_cursor_shows_nothing_of_theirs(
    ann: httpx.AsyncClient, bob: httpx.AsyncClient, many: list[Json], bobs_todo: Json
) -> None:
    """It is a place in an order, no key to rows."""
    assert many
    cursor = (await ann.get("/todos", params={"limit": 1})).json()["next_cursor"]
    assert (await bob.get("/todos", params={"cursor": cursor})).json()["items"] == [bobs_todo]


def _cursor(*parts: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts, separators=(",", ":")).encode()).rstrip(b"=").decode()


ID = "01a20c69-534a-7647-b26e-d912c579c2b5"
TAMPERED = [
    ("created_at", _cursor("created_at", "0001-01-01T00:00:00+14:00", ID)),
    ("created_at", _cursor("created_at", "9999-12-31T23:59:59-14:00", ID)),
    ("created_at", _cursor("created_at", "2030-01-01T00:00:00", ID)),
    ("created_at", _cursor("created_at", None, ID)),
    ("created_at", _cursor("created_at", 5, ID)),
    ("created_at", _cursor("created_at", "2030-01-01T00:00:00Z", "x")),
    ("created_at", _cursor("created_at", "2030-01-01T00:00:00Z", ID, "more")),
    ("created_at", _cursor("created_at", "2030-01-01T00:00:00Z")),
    ("created_at", "!!" + _cursor("created_at", "2030-01-01T00:00:00Z", ID)),
    ("created_at", _cursor("created_at", "2030-01-01T00:00:00Z", ID) + "=="),
    ("priority", _cursor("priority", 99_999, ID)),
    ("priority", _cursor("priority", 10**30, ID)),
    ("priority", _cursor("priority", 0, ID)),
    ("priority", _cursor("priority", True, ID)),
    ("priority", _cursor("priority", "high", ID)),
    ("position", _cursor("position", 10**400, ID)),
    ("position", _cursor("position", float("nan"), ID)),
    ("due_at", _cursor("due_at", "infinity", ID)),
    ("due_at", base64.urlsafe_b64encode(b"[" * 300).decode()),
    ("due_at", base64.urlsafe_b64encode(b"\xff\xfe").decode()),
    ("due_at", "é"),
    ("due_at", "\0"),
    ("due_at", ""),
    ("due_at", "a" * 513),
]


@pytest.mark.parametrize(("order", "cursor"), TAMPERED)
async def test_a_broken_cursor(ann: httpx.AsyncClient, order: str, cursor: str) -> None:
    """422 that names it, whatever was written into it; never a 5xx from the database."""
    answer = await ann.get("/todos", params={"order_by": order, "cursor": cursor})
    assert answer.status_code == 422
    assert [error["location"] for error in answer.json()["errors"]] == ["query.cursor"]


async def test_a_cursor_with_one_character_changed(ann: httpx.AsyncClient, many: list[Json]) -> None:
    """Whatever character: a page or 422."""
    assert many
    cursor = (await ann.get("/todos", params={"limit": 1})).json()["next_cursor"]
    for place in range(len(cursor)):
        for other in "Aa-=!":
            changed = cursor[:place] + other + cursor[place + 1 :]
            answer = await ann.get("/todos", params={"limit": 1, "cursor": changed})
            assert answer.status_code in (200, 422), changed


async def test_one_todo(ann: httpx.AsyncClient, milk: Json) -> None:
    """As it was made; one that never was is 404."""
    answer = await ann.get(f"/todos/{milk['id']}")
    assert (answer.status_code, answer.json()) == (200, milk)
    missing = await ann.get(f"/todos/{uuid4()}")
    assert (missing.status_code, missing.json()["code"]) == (404, "TODO_NOT_FOUND")
