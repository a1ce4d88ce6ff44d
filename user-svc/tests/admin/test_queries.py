"""Reading accounts: pages, and a search that takes its words literally."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest

from common.database import Database
from user_svc.admin.queries import AdminQueries
from user_svc.settings import Settings

Rows = Callable[..., Awaitable[list[tuple[Any, ...]]]]
MANY = "FROM generate_series(1, 2000) AS n"
ADDRESSES = ["a%b@example.com", "a_b@example.com", "axb@example.com", "straße@example.com", "zoe@example.org"]


@pytest.fixture
async def queries(settings: Settings, rows: Rows) -> AsyncIterator[AdminQueries]:
    """Over five accounts, all of one instant."""
    for address in ADDRESSES:
        statement = "INSERT INTO accounts (id, email, email_key, password_hash, created_at) VALUES ($1, $2, $3, '', $4)"
        await rows(statement.replace("$4", "'2026-01-01'"), uuid4(), address, address.casefold())
    async with Database(settings.database_url.reveal(), size=1, application="test") as database:
        yield AdminQueries(database)


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("%", ["a%b@example.com"]),
        ("a_b", ["a_b@example.com"]),
        ("\\", []),
        ("ZOE@EXAMPLE", ["zoe@example.org"]),
        ("STRASSE", ["straße@example.com"]),
        ("\N{FULLWIDTH LATIN SMALL LETTER Z}oe", ["zoe@example.org"]),
    ],
)
async def test_search_is_literal_and_without_case(queries: AdminQueries, search: str, found: list[str]) -> None:
    """A wildcard finds itself alone; case and look-alikes do not matter."""
    page = await queries.page(search, 50, None)

    assert [user.email for user in page.items] == found


async def test_pages_hold_each_account_once(queries: AdminQueries) -> None:
    """Page after page gives every account once, also those of the same instant."""
    met: list[str] = []
    cursor: str | None = None
    while True:
        page = await queries.page(None, 2, cursor)
        assert len(page.items) <= 2
        met += [user.email for user in page.items]
        if (cursor := page.next_cursor) is None:
            break

    assert sorted(met) == sorted(ADDRESSES)


class Explained:
    """Gives no row, and keeps each statement's plan, made before its arguments are known."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.plans: list[str] = []

    async def rows(self, statement: str, *arguments: object) -> list[object]:
        """See `Statements`."""
        given = ", ".join("NULL" if argument is None else str(argument) for argument in arguments)
        await self._connection.execute(f"PREPARE explained AS {statement}")
        plan = await self._connection.fetch(f"EXPLAIN EXECUTE explained ({given})")
        await self._connection.execute("DEALLOCATE explained")
        self.plans.append("\n".join(row[0] for row in plan))
        return []


async def test_a_page_reads_no_more_than_it_holds(settings: Settings, rows: Rows) -> None:
    """Of accounts and of the audit: the index gives the next ones in their order, wherever the page begins."""
    await rows("INSERT INTO accounts (id, email, email_key, password_hash) SELECT gen_random_uuid(), n, n, '' " + MANY)
    await rows("INSERT INTO audit (id, actor, action) SELECT gen_random_uuid(), 'cli', 'x' " + MANY)
    await rows("ANALYZE accounts, audit")
    generic = {"plan_cache_mode": "force_generic_plan"}
    connection = await asyncpg.connect(settings.database_url.reveal(), server_settings=generic)
    explained = Explained(connection)
    queries = AdminQueries(explained)  # type: ignore[arg-type]  # it takes a database's statements
    await queries.page(None, 10, None)
    await queries.audit(10, None)
    await connection.close()

    for plan, index in zip(explained.plans, ("ix_accounts_created_at_id", "ix_audit_at_id"), strict=True):
        assert index in plan
        assert "Index Cond: (ROW(" in plan


async def test_an_account_by_its_address(queries: AdminQueries) -> None:
    """The address is found as it is typed; an unknown one is None."""
    found = await queries.by_email(" Zoe@Example.ORG ")

    assert found is not None
    assert found.email == "zoe@example.org"
    assert await queries.by_email("nobody@example.org") is None


@pytest.mark.parametrize(
    ("parameters", "status"),
    [
        ({"email": ""}, 422),
        ({"email": "x" * 321}, 422),
        ({"email": "\0"}, 422),
        ({"limit": "0"}, 422),
        ({"cursor": "AAAA"}, 422),
    ],
)
async def test_bad_parameters(client: httpx.AsyncClient, root: Any, parameters: dict[str, str], status: int) -> None:
    """Whatever is asked, the answer is ours: never a 500."""
    answer = await client.get("/users", params=parameters, headers=root.headers)

    assert answer.status_code == status
