"""Reading accounts: pages, and a search that takes its words literally."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest

from common.database import Database
from user_svc.admin.queries import AdminQueries
from user_svc.settings import Settings

Rows = Callable[..., Awaitable[list[tuple[Any, ...]]]]
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
