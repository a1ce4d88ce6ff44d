"""Plans: no read of todo-svc goes through a whole table, whatever the prepared statement knows of its arguments."""

import re
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
import pytest_asyncio

from common.http.etag import page_tag, parse
from devstack.fixtures import TestPostgres
from todo_svc.lists.queries import ListQueries
from todo_svc.todos.filters import ORDERS, TodoFilters, Window
from todo_svc.todos.queries import TodoQueries

OWNERS = """
INSERT INTO lists (owner_id, id, title) SELECT o, o, 'list' FROM unnest($1::uuid[]) AS o
UNION ALL SELECT o, gen_random_uuid(), 'list ' || n FROM unnest($1::uuid[]) AS o, generate_series(1, 500) AS n
"""
MANY = """
INSERT INTO todos (owner_id, id, list_id, content, position, labels, created_at)
SELECT o, gen_random_uuid(), o, md5(n::text) || ' todo ' || n, n, ARRAY['l' || n % 50],
       timestamptz '2026-01-01Z' + n * interval '1 minute'
FROM generate_series(1, 2000) AS n, unnest($1::uuid[]) AS o
"""
SCAN = re.compile(r"Seq Scan on (lists|todos|todo_search|changes)")


class Explained:
    """Takes statements as a database does, and keeps the lines of their plans."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.lines: list[str] = []

    async def rows(self, statement: str, *arguments: Any) -> list[asyncpg.Record]:
        """See `Statements`."""
        explained = await self._connection.fetch(f"EXPLAIN (ANALYZE, TIMING OFF, COSTS OFF) {statement}", *arguments)
        self.lines += [row[0] for row in explained]
        return list(await self._connection.fetch(statement, *arguments))

    async def row(self, statement: str, *arguments: Any) -> asyncpg.Record | None:
        """See `Statements`."""
        return next(iter(await self.rows(statement, *arguments)), None)


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def crowd(postgres_server: TestPostgres) -> AsyncIterator[tuple[str, UUID]]:
    """A database with ten owners of 2,000 todos each, and one of them."""
    dsn = await postgres_server.create_database("plans", await postgres_server.template("todo_svc"))
    owners = [uuid4() for _ in range(10)]
    admin = await asyncpg.connect(postgres_server.admin_dsn("plans"))
    await admin.execute(OWNERS, owners)
    await admin.execute(MANY, owners)
    await admin.execute("ANALYZE")
    await admin.close()
    yield dsn, owners[0]
    await postgres_server.drop_database("plans")


def _windows() -> Iterator[tuple[TodoFilters, Window]]:
    for order in ORDERS.values():
        yield TodoFilters(), Window(order=order, limit=20, cursor=None)
    for filters in (
        *(TodoFilters(search=text) for text in ("todo", "todo 77", "odo", "x", "nowhere")),
        TodoFilters(labels=["l7"]),
        TodoFilters(labels=["l7"], search="todo"),
    ):
        yield filters, Window(limit=20, cursor=None)
        yield filters, Window(order=ORDERS["-position"], limit=20, cursor=None)


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
async def test_no_read_scans_a_table(crowd: tuple[str, UUID], mode: str) -> None:
    """Pages in every order, searches, labels, lists and single rows, as the services' own role."""
    dsn, owner = crowd
    connection = await asyncpg.connect(dsn, server_settings={"plan_cache_mode": mode})
    explained = Explained(connection)
    todos, lists = TodoQueries(explained, owner), ListQueries(explained, owner)
    for filters, window in _windows():
        found = await todos.page(filters, window)
        await todos.page(filters, window, owner)
    page = await todos.page(TodoFilters(), Window(limit=1, cursor=None))
    assert page.content is not None
    await todos.seen(page.content.items[0].id, parse('"2"'))
    await lists.page(20, None, nested=True)
    await lists.nested(owner, None)
    await lists.seen(owner, parse('"2"'))
    await connection.close()
    assert found.tag == page.tag
    assert [line for line in explained.lines if SCAN.search(line)] == []


async def test_not_modified_reads_no_row(crowd: tuple[str, UUID]) -> None:
    """With the tag of the page the part that reads todos is never executed."""
    dsn, owner = crowd
    connection = await asyncpg.connect(dsn)
    explained = Explained(connection)
    found = await TodoQueries(explained, owner).page(
        TodoFilters(), Window(limit=20, cursor=None), seen=parse(page_tag(2501))
    )
    await connection.close()
    assert (found.tag, found.content) == (page_tag(2501), None)
    [scan] = [line for line in explained.lines if " on todos" in line]
    assert "never executed" in scan
