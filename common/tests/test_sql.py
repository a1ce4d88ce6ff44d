"""Statements confined to an owner."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import pytest

from common.database import Database
from common.errors import Unprocessable
from common.http.paging import Keyset, Position
from common.sql import Owned, like
from devstack.fixtures import TestPostgres

OWNER, OTHER = uuid4(), uuid4()
NUMBER = Keyset(name="number", column="number", kind=int, sql_type="int")


@pytest.fixture
async def things(postgres_server: TestPostgres) -> AsyncIterator[Database]:
    """Rows of two owners; they go with the pool's one connection."""
    async with Database(postgres_server.dsn("postgres"), size=1, application="test") as database:
        await database.rows("CREATE TEMPORARY TABLE things (id uuid, owner_id uuid, number int, name text)")
        for owner, number, text in ((OWNER, 1, "one"), (OWNER, 2, "two"), (OTHER, 3, "three")):
            await database.rows("INSERT INTO things VALUES ($1, $2, $3, $4)", uuid4(), owner, number, text)
        yield database


async def numbers(database: Database, owned: Owned) -> list[int]:
    """Which rows the statement finds."""
    statement = f"SELECT number FROM things WHERE {owned.conditions} ORDER BY number"
    return [row["number"] for row in await database.rows(statement, *owned.arguments)]


async def test_owner_is_the_first_condition(things: Database) -> None:
    """With nothing else said, a statement sees the owner's rows and no others."""
    assert await numbers(things, Owned(OWNER)) == [1, 2]
    assert await numbers(things, Owned(OTHER)) == [3]
    assert await numbers(things, Owned(uuid4())) == []


async def test_conditions_only_narrow(things: Database) -> None:
    """Whatever is added is added with AND, as an argument and never as text."""
    owned = Owned(OWNER)
    owned.where("number >= {}", 2)
    assert await numbers(things, owned) == [2]
    owned.where("(name = {0} OR name = {0})", "' OR true --")
    assert await numbers(things, owned) == []


async def test_other_owners_rows_cannot_be_asked_for(things: Database) -> None:
    """A condition that matches them finds none."""
    owned = Owned(OWNER)
    owned.where("number = {}", 3)
    assert await numbers(things, owned) == []


def test_text_of_a_statement() -> None:
    """`$1` is the owner; the table can be named where two have one."""
    owned = Owned(OWNER, table="t.")
    owned.where("t.number = {}", 5)
    assert owned.conditions == "t.owner_id = $1 AND t.number = $2"
    assert (owned.bind("x"), owned.arguments) == ("$3", [OWNER, 5, "x"])


async def test_rows_behind_a_position(things: Database) -> None:
    """Only what comes after the last row of the page before; without a position, all."""
    owned = Owned(OWNER)
    owned.after(NUMBER, None)
    assert await numbers(things, owned) == [1, 2]
    owned.after(NUMBER, Position("number", 1, UUID(int=2**128 - 1)))
    assert await numbers(things, owned) == [2]


async def test_equal_values_are_told_apart_by_id(things: Database) -> None:
    """A row of the same value comes after one with a smaller id."""
    lowest, highest = UUID(int=0), UUID(int=2**128 - 1)
    for row, expected in ((lowest, [1, 2]), (highest, [2])):
        owned = Owned(OWNER)
        owned.after(NUMBER, Position("number", 1, row))
        assert await numbers(things, owned) == expected


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("%", ["50%"]),
        ("_", ["a_b"]),
        ("\\", ["a\\b"]),
        ("A", ["aXb", "a\\b", "a_b"]),
        ("", ["50%", "aXb", "a\\b", "a_b"]),
    ],
)
async def test_wildcards_are_taken_literally(things: Database, text: str, found: list[str]) -> None:
    """Whoever searches for a percent sign finds a percent sign."""
    names: list[Any] = ["50%", "a_b", "aXb", "a\\b"]
    rows = await things.rows(
        "SELECT name FROM unnest($1::text[]) AS name WHERE name ILIKE $2", names, like(text, place="query.name")
    )
    assert sorted(row["name"] for row in rows) == found


@pytest.mark.parametrize("text", ["a\0b", "a\N{REPLACEMENT CHARACTER}b"])
def test_what_no_row_can_hold_is_refused(text: str) -> None:
    """PostgreSQL has no NUL; the refusal is a 422 that names the place, and no failing statement."""
    with pytest.raises(Unprocessable) as refusal:
        like(text, place="query.name")
    assert [error.location for error in refusal.value.errors] == ["query.name"]
