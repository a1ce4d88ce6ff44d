"""Reading lists: pages that neither miss nor repeat, and the todos nested in them."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest

Json = dict[str, Any]
Sql = Callable[..., Awaitable[list[asyncpg.Record]]]
Walk = Callable[..., Awaitable[list[Json]]]

LISTS = """
INSERT INTO lists (owner_id, id, title, created_at)
SELECT $1, gen_random_uuid(), coalesce($3, 'list ') || n, $4::timestamptz FROM generate_series(1, $2::int) n
RETURNING id
"""
TODOS = """
INSERT INTO todos (owner_id, id, list_id, content, position)
SELECT $1, gen_random_uuid(), $2, 'todo ' || n, (n * 7919 % $3) / 2 FROM generate_series(1, $3::int) n
"""
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


async def test_lists_come_in_the_order_they_were_made(ann: httpx.AsyncClient, walk: Walk) -> None:
    """Oldest first, whatever their titles."""
    for title in ("c", "a", "b"):
        await ann.post("/lists", json={"title": title})
    assert [item["title"] for item in await walk(ann, "/lists", limit=2)] == ["c", "a", "b"]


async def test_an_owner_without_lists(ann: httpx.AsyncClient, bobs_list: Json) -> None:
    """An empty last page; other people's lists do not show."""
    assert bobs_list
    for path in ("/lists", "/lists?include=todos"):
        assert (await ann.get(path)).json() == {"items": [], "next_cursor": None}


@pytest.mark.parametrize(("limit", "pages"), [(1, [1, 1, 1]), (2, [2, 1]), (3, [3]), (4, [3]), (100, [3])])
async def test_the_last_page_says_so(
    ann: httpx.AsyncClient, ann_id: UUID, sql: Sql, limit: int, pages: list[int]
) -> None:
    """A full page with nothing behind it has no cursor: no empty page follows."""
    await sql(LISTS, ann_id, 3, None, LONG_AGO)
    sizes: list[int] = []
    query: Json = {"limit": limit}
    while True:
        page = (await ann.get("/lists", params=query)).json()
        sizes.append(len(page["items"]))
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert sizes == pages


async def test_equal_times_are_neither_lost_nor_repeated(
    ann: httpx.AsyncClient, ann_id: UUID, sql: Sql, walk: Walk
) -> None:
    """60 lists of one instant, walked in pages of 7: each exactly once, in the order of their ids."""
    made = await sql(LISTS, ann_id, 60, None, LONG_AGO)
    assert [UUID(item["id"]) for item in await walk(ann, "/lists", limit=7)] == sorted(row["id"] for row in made)


async def test_pages_hold_while_lists_come_and_go(ann: httpx.AsyncClient, ann_id: UUID, sql: Sql) -> None:
    """Between two pages the row the cursor names is deleted and others are added: whoever stayed is met once."""
    made = {row["id"] for row in await sql(LISTS, ann_id, 40, None, LONG_AGO)}
    stayed, met = set(made), []
    page = (await ann.get("/lists", params={"limit": 6})).json()
    for turn in range(100):
        met += [UUID(item["id"]) for item in page["items"]]
        if page["next_cursor"] is None:
            break
        stayed -= {met[-1]}
        await sql("DELETE FROM lists WHERE id = $1", met[-1])
        await sql(LISTS, ann_id, 2, f"late {turn} ", LONG_AGO + timedelta(days=turn % 3 - 1))
        page = (await ann.get("/lists", params={"limit": 6, "cursor": page["next_cursor"]})).json()
    assert len(met) == len(set(met))
    assert stayed <= set(met)


async def test_the_default_page_holds_fifty(ann: httpx.AsyncClient, ann_id: UUID, sql: Sql) -> None:
    """And a cursor for the rest."""
    await sql(LISTS, ann_id, 51, None, LONG_AGO)
    page = (await ann.get("/lists")).json()
    assert len(page["items"]) == 50
    assert page["next_cursor"]


async def test_one_list(ann: httpx.AsyncClient, groceries: Json) -> None:
    """As it was made."""
    answer = await ann.get(f"/lists/{groceries['id']}")
    assert (answer.status_code, answer.json()) == (200, groceries)


async def test_nested_todos_are_the_first_hundred_and_the_cursor_goes_on(
    ann: httpx.AsyncClient, ann_id: UUID, groceries: Json, sql: Sql, walk: Walk
) -> None:
    """`include=todos` gives 100 by position, ties by id; `todos_next_cursor` continues with the 101st."""
    path = f"/lists/{groceries['id']}"
    await sql(TODOS, ann_id, UUID(groceries["id"]), 230)
    nested = (await ann.get(path, params={"include": "todos"})).json()
    rest = await walk(ann, f"{path}/todos", order_by="position", cursor=nested["todos_next_cursor"])
    everything = await sql("SELECT id FROM todos WHERE list_id = $1 ORDER BY position, id", UUID(groceries["id"]))
    assert len(nested["todos"]) == 100
    assert [UUID(todo["id"]) for todo in nested["todos"] + rest] == [row["id"] for row in everything]


@pytest.mark.parametrize(("count", "continues"), [(0, False), (99, False), (100, False), (101, True)])
async def test_nested_cursor_only_where_more_follows(
    ann: httpx.AsyncClient, ann_id: UUID, groceries: Json, sql: Sql, count: int, continues: bool
) -> None:
    """Up to 100 todos are all there, and the cursor is null."""
    await sql(TODOS, ann_id, UUID(groceries["id"]), count)
    [nested] = (await ann.get("/lists", params={"include": "todos"})).json()["items"]
    assert len(nested["todos"]) == min(count, 100)
    assert (nested["todos_next_cursor"] is not None) == continues


async def test_a_page_nests_each_list_its_own_todos(ann: httpx.AsyncClient, milk: Json, walk: Walk) -> None:
    """No todo strays into another list, in a page as in one list alone; a nested todo is the whole todo."""
    empty = (await ann.post("/lists", json={"title": "Empty"})).json()
    lists = {item["id"]: item for item in await walk(ann, "/lists", include="todos")}
    assert lists[milk["list_id"]]["todos"] == [milk]
    assert lists[empty["id"]]["todos"] == []
    assert (await ann.get(f"/lists/{milk['list_id']}", params={"include": "todos"})).json() == lists[milk["list_id"]]
