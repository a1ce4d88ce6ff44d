"""Search: what is found, in which order, and that no plan of it reads a whole table."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest
import pytest_asyncio

from todo_svc.todos.search import MANY

Json = dict[str, Any]
Sql = Callable[..., Awaitable[list[asyncpg.Record]]]
Walk = Callable[..., Awaitable[list[Json]]]

TODOS = """
INSERT INTO todos (owner_id, id, list_id, content, description, position, labels, created_at)
SELECT $1, gen_random_uuid(), $2,
       (ARRAY['oat milk ', 'Buy oats ', 'goat ', 'the Ôat and '])[n % 4 + 1] || n
       || CASE n % 900 WHEN 7 THEN ' rare' ELSE '' END,
       CASE n % 50 WHEN 0 THEN 'an OAT' END, n,
       CASE n % 3 WHEN 0 THEN '{home}' WHEN 1 THEN '{home,work}' ELSE '{}' END::text[],
       timestamptz '2026-01-01Z' + n % 100 * interval '1 hour'
FROM generate_series(1, $3::int) n
"""
OATS = "SELECT id FROM todos WHERE owner_id = $1 AND deleted_at IS NULL AND unaccent(content) ~* 'oat'"
THINNED = "UPDATE todos SET deleted_at = now() WHERE owner_id = $1 AND position::int % 10 <> 1"


async def add(ann: httpx.AsyncClient, groceries: Json, content: str, description: str | None = None) -> None:
    """One more todo."""
    body = {"content": content, "description": description}
    assert (await ann.post(f"/lists/{groceries['id']}/todos", json=body)).status_code == 201


@pytest_asyncio.fixture(loop_scope="session", params=[0, MANY], ids=["all", "index"])
async def shelf(request: pytest.FixtureRequest, ann_id: UUID, groceries: Json, sql: Sql) -> Json:
    """A list of Ann's, of whose todos all are read, or an index is asked: she seems to have so many more."""
    await sql("UPDATE owners SET seq = seq + $2 WHERE owner_id = $1", ann_id, request.param)
    return groceries


async def test_ranking(ann: httpx.AsyncClient, shelf: Json, walk: Walk) -> None:
    """Begins with it, a word does, holds it, the description holds it; newest first among equals; accents and case."""
    for content, description in (
        ("x", "an óat"), ("goat", None), ("the oat", "oat"), ("Ôat 1", None), ("oat 2", None), ("none", None)
    ):  # fmt: skip
        await add(ann, shelf, content, description)
    for limit in (1, 2, 50):
        found = [item["content"] for item in await walk(ann, "/todos", search="OAT", limit=limit)]
        assert found == ["oat 2", "Ôat 1", "the oat", "goat", "x"]
    found = [item["content"] for item in await walk(ann, "/todos", search="oat", order_by="created_at", limit=2)]
    assert found == ["x", "goat", "the oat", "Ôat 1", "oat 2"]


async def test_where_a_word_begins(ann: httpx.AsyncClient, shelf: Json, walk: Walk) -> None:
    """Behind whatever is no letter and no digit; and a word of one or two letters is looked for there alone."""
    for content in ("xoat", "(oat)", "x-oat", "50%oats", "x\noat", "oat"):
        await add(ann, shelf, content)
    found = [item["content"] for item in await walk(ann, "/todos", search="oat")]
    assert found == ["oat", "x\noat", "50%oats", "x-oat", "(oat)", "xoat"]
    assert [item["content"] for item in await walk(ann, "/todos", search="oa")] == found[:-1]
    assert await walk(ann, "/todos", search="at") == []


@pytest.mark.parametrize(
    ("search", "content", "found"),
    [
        *(("мо", "купить молоко", True), ("ко", "купить молоко", False), ("Ё", "ёж", True), ("ж", "ёж", False)),
        *(("ΜΆ", "το μάθημα", True), ("θη", "το μάθημα", False), ("7", "route 77", True), ("7", "a17", False)),
        *(("本", "日本語", True), ("ルク", "ミルク", True), ("국", "한국", True)),
        *(("ม", "นม", True), ("語a", "日本語a", True)),
    ],
)
async def test_one_or_two_letters(
    ann: httpx.AsyncClient, shelf: Json, walk: Walk, search: str, *, content: str, found: bool
) -> None:
    """Begin a word in whatever script has words apart, and stand anywhere in others."""
    await add(ann, shelf, content)
    assert len(await walk(ann, "/todos", search=search)) == found


@pytest.mark.parametrize(
    ("search", "content"), [("ΟΔΟΣ", "οδος"), ("οδοσ", "ΟΔΟΣ"), ("οδος", "Οδοσ"), ("  oat ", "Oat"), ("本語", "日本語")]
)
async def test_what_is_alike(ann: httpx.AsyncClient, shelf: Json, walk: Walk, search: str, content: str) -> None:
    """A sigma at a word's end is a sigma, spaces around a term do not count, and words need no spaces around them."""
    await add(ann, shelf, content)
    assert [item["content"] for item in await walk(ann, "/todos", search=search)] == [content]


@pytest.mark.parametrize(
    ("search", "pattern"), [("oat", "oat"), ("rare", "rare"), ("o", r"\mo"), ("milk 1", "milk 1"), ("nowhere", "where")]
)
async def test_pages_of_many(
    ann: httpx.AsyncClient, ann_id: UUID, groceries: Json, sql: Sql, walk: Walk, *, search: str, pattern: str
) -> None:
    """Common or rare, each one is met once, by relevance as in an order of the todos' own."""
    await sql(TODOS, ann_id, UUID(groceries["id"]), 1200)
    expected = await sql(
        "SELECT id FROM todos WHERE owner_id = $1 AND unaccent(concat_ws(' ', content, description)) ~* $2",
        *(ann_id, pattern),
    )
    for order in ({}, {"order_by": "-created_at"}, {"order_by": "-position"}):
        met = [item["id"] for item in await walk(ann, "/todos", search=search, limit=99, **order)]
        assert sorted(met) == sorted(str(row["id"]) for row in expected)


@pytest.mark.parametrize(("before", "after"), [(300, 1200), (1200, 0)])
async def test_pages_while_a_word_becomes_common_or_rare(
    ann: httpx.AsyncClient, ann_id: UUID, groceries: Json, sql: Sql, walk: Walk, *, before: int, after: int
) -> None:
    """The pages go on as the first began: none that stays is missed or met twice, whatever comes and goes meanwhile."""
    await sql(TODOS, ann_id, UUID(groceries["id"]), before)
    there = {str(row["id"]) for row in await sql(OATS, ann_id)}
    first = (await ann.get("/todos", params={"search": "oat", "limit": 20})).json()
    await (sql(TODOS, ann_id, UUID(groceries["id"]), after) if after else sql(THINNED, ann_id))
    rest = await walk(ann, "/todos", search="oat", limit=99, cursor=first["next_cursor"])
    met = [item["id"] for item in (*first["items"], *rest)]
    assert len(set(met)) == len(met)
    staying = there & {str(row["id"]) for row in await sql(OATS, ann_id)}
    assert len(staying) > 50
    assert staying <= set(met)


async def test_labels(ann: httpx.AsyncClient, ann_id: UUID, shelf: Json, sql: Sql, walk: Walk) -> None:
    """Several must all be there, with a search and without."""
    await sql(TODOS, ann_id, UUID(shelf["id"]), 300)
    assert len(await walk(ann, "/todos", label="home")) == 200
    assert len(await walk(ann, "/todos", label=["home", "work"])) == 100
    assert len(await walk(ann, "/todos", label=["work"], search="goat")) == 25


async def test_pages_have_tags(ann: httpx.AsyncClient, groceries: Json, milk: Json) -> None:
    """304 until anything of the owner's changes; of a list that is not there 404 all the same."""
    item, single = f"/lists/{groceries['id']}", f"/todos/{milk['id']}"
    paths = ["/todos", "/todos?search=milk", "/lists", "/lists?include=todos", f"{item}/todos", f"{item}?include=todos"]
    tags = {path: (await ann.get(path)).headers["ETag"] for path in [*paths, item, single]}
    for path, tag in tags.items():
        answer = await ann.get(path, headers={"If-None-Match": tag})
        assert (answer.status_code, answer.content, answer.headers["ETag"]) == (304, b"", tag)
    await ann.patch(single, json={"completed": True})
    for path, tag in tags.items():
        answer = await ann.get(path, headers={"If-None-Match": tag})
        assert answer.status_code == (304 if path == item else 200), path
    for path in (f"/lists/{milk['id']}/todos", f"/lists/{milk['id']}?include=todos", f"/lists/{milk['id']}"):
        for tag in ("*", (await ann.get("/todos")).headers["ETag"]):
            assert (await ann.get(path, headers={"If-None-Match": tag})).status_code == 404
