"""Filters, alone and combined, against the same choice made in Python; searches take wildcards literally."""

import itertools
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest

from common.errors import Unprocessable
from todo_svc.todos.filters import ORDERS, order_of

Json = dict[str, Any]
Sql = Callable[..., Awaitable[list[asyncpg.Record]]]
Walk = Callable[..., Awaitable[list[Json]]]
RANKS = {"low": 1, "medium": 2, "high": 3}

CHOICES: dict[str, list[str | None]] = {
    "status": [None, "finished", "unfinished"],
    "priority": [None, "low", "medium", "high"],
    "search": [None, "milk", "μάθημα"],
    "due_before": [None, "2030-01-02T00:00:00Z"],
    "due_after": [None, "2030-01-01T00:00:00Z"],
}


def _fits(
    row: Json, status: str | None, priority: str | None, search: str | None, before: str | None, after: str | None
) -> bool:
    text = f"{row['content']}\n{row['description'] or ''}".lower()
    due = row["due_at"]
    return (
        status in (None, "unfinished" if row["completed_at"] is None else "finished")
        and (priority is None or row["priority"] == RANKS[priority])
        and (search is None or search in text)
        and (before is None or (due is not None and due < datetime.fromisoformat(before)))
        and (after is None or (due is not None and due > datetime.fromisoformat(after)))
    )


async def test_every_combination(ann: httpx.AsyncClient, many: list[Json], walk: Walk) -> None:
    """All 144 ways to combine the filters choose exactly the todos that Python chooses, in pages of 8."""
    sizes = set()
    for values in itertools.product(*CHOICES.values()):
        given = {name: value for name, value in zip(CHOICES, values, strict=True) if value is not None}
        chosen = {item["id"] for item in await walk(ann, "/todos", limit=8, **given)}
        assert chosen == {str(row["id"]) for row in many if _fits(row, *values)}, given
        sizes.add(len(chosen))
    assert len(sizes) > 10


async def test_filters_of_one_list(ann: httpx.AsyncClient, groceries: Json, many: list[Json], walk: Walk) -> None:
    """The route of a list takes the same filters and an order besides."""
    items = await walk(
        ann, f"/lists/{groceries['id']}/todos", limit=3, status="unfinished", search="MILK", order_by="-priority"
    )
    expected = [
        row
        for row in many
        if str(row["list_id"]) == groceries["id"] and _fits(row, "unfinished", None, "milk", None, None)
    ]
    expected.sort(key=lambda row: (row["priority"], row["id"]), reverse=True)
    assert [item["id"] for item in items] == [str(row["id"]) for row in expected]
    assert items


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("%", ["100% sure"]),
        ("0%", ["100% sure"]),
        ("_", ["snake_case"]),
        ("e_c", ["snake_case"]),
        ("\\", ["C:\\temp"]),
        (":\\t", ["C:\\temp"]),
        ("\\%", []),
        ("%%", []),
        ("SNAKE", ["snake_case"]),
        ("zoË", ["Ask Zoë"]),
        ("привет", ["ПРИВЕТ, мир"]),
        ("😀", ["Smile 😀"]),
        ("'", ["It's"]),
        ("hidden", ["Only described"]),
        (" ", ["100% sure", "Ask Zoë", "It's", "Only described", "Smile 😀", "ПРИВЕТ, мир"]),
        ("nowhere", []),
    ],
)
async def test_a_search_is_literal_and_ignores_case(
    ann: httpx.AsyncClient, groceries: Json, search: str, found: list[str]
) -> None:
    """Percent, underscore and backslash stand for themselves; letters match in any case; both texts are looked at."""
    for content in (
        "100% sure",
        "snake_case",
        "C:\\temp",
        "Ask Zoë",
        "ПРИВЕТ, мир",
        "Smile 😀",
        "Only described",
        "It's",
    ):
        description = {"Only described": "something HIDDEN", "It's": "a b"}.get(content)
        await ann.post(f"/lists/{groceries['id']}/todos", json={"content": content, "description": description})
    items = (await ann.get("/todos", params={"search": search})).json()["items"]
    assert sorted(item["content"] for item in items) == found


@pytest.mark.parametrize("text", ["%00", "a%00b", "%FF", "%ED%A0%80"])
async def test_a_search_that_no_text_can_hold(ann: httpx.AsyncClient, text: str) -> None:
    """NUL, and bytes that are no UTF-8: 422 that names the parameter."""
    answer = await ann.get(f"/todos?search={text}")
    assert answer.status_code == 422
    assert [error["location"] for error in answer.json()["errors"]] == ["query.search"]


@pytest.mark.parametrize("name", ["due_before", "due_after"])
@pytest.mark.parametrize(
    "when",
    [
        "2030-01-01T00:00:00",
        "2030-01-01",
        "2016-12-31T23:59:60Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59Z",
        "9999-12-31T23:59:59-14:00",
        "1e400",
        "nan",
        "0",
        "0.5",
        "1893456000",
        "99999999999999999999",
        "",
        "\0",
    ],
)
async def test_a_due_time_needs_a_zone_and_a_place_in_the_calendar(
    ann: httpx.AsyncClient, name: str, when: str
) -> None:
    """422 that names the parameter, never a 5xx."""
    answer = await ann.get("/todos", params={name: when})
    assert answer.status_code == 422
    assert [error["location"] for error in answer.json()["errors"]] == [f"query.{name}"]


async def test_due_bounds_are_open(ann: httpx.AsyncClient, groceries: Json, sql: Sql) -> None:
    """Before and after, not at; a todo without a due time is neither; any zone names the same moment."""
    for due in ("2030-01-01T00:00:00Z", None):
        await ann.post(f"/lists/{groceries['id']}/todos", json={"content": "x", "due_at": due})
    assert len(await sql("SELECT FROM todos WHERE list_id = $1", UUID(groceries["id"]))) == 2

    async def count(**given: str) -> int:
        return len((await ann.get("/todos", params=given)).json()["items"])

    assert await count(due_before="2030-01-01T00:00:00Z") == 0
    assert await count(due_before="2030-01-01T00:00:00.000001Z") == 1
    assert await count(due_after="2030-01-01T00:00:00Z") == 0
    assert await count(due_after="2029-12-31T23:59:59.999999Z") == 1
    assert await count(due_after="2030-01-01T00:59:59+01:00") == 1


@pytest.mark.parametrize(
    ("text", "name"),
    [
        *((name, name) for name in ORDERS),
        ("priority asc", "priority"),
        ("priority desc", "-priority"),
        ("priority DeSc", "-priority"),
        ("-priority desc", "-priority"),
    ],
)
def test_orders(text: str, name: str) -> None:
    """Both spellings of a direction."""
    assert order_of(text).name == name


@pytest.mark.parametrize(
    "text",
    ["", " ", "-", "--priority", "priority  desc", "priority desc ", " priority", "priority\n", "Priority", "id",
     "owner_id", "priority,created_at", "priority; DROP TABLE todos", "priority desc nulls first", "due_at\0"],
)  # fmt: skip
def test_other_orders_are_refused(text: str) -> None:
    """Only the five names; what is refused is told which there are."""
    with pytest.raises(Unprocessable) as refusal:
        order_of(text)
    [error] = refusal.value.errors
    assert error.location == "query.order_by"
    assert all(name in error.message for name in ORDERS)
