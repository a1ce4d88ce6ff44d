"""Keyset pages: every row once, in order, however many are alike; and a cursor that is not ours is refused."""

import base64
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.database import Database
from common.errors import Unprocessable
from common.http.paging import CURSOR_LENGTH, Keyset, Position
from common.sql import Owned
from devstack.fixtures import TestPostgres

OWNER = uuid4()
ID = UUID("0198c0f4-0000-7000-8000-000000000001")
START = datetime(2026, 1, 1, tzinfo=UTC)
NUMBER = Keyset(name="number", column="number", kind=int, sql_type="int")
MADE = Keyset(name="made_at", column="made_at", kind=datetime, sql_type="timestamptz")
NULLABLE = Keyset(
    name="due_at",
    column="due_at",
    kind=datetime | None,
    sql_type="timestamptz",
    expression="coalesce({}, 'infinity'::timestamptz)",
)
ORDERS = [
    keyset
    for order in (NUMBER, MADE, NULLABLE)
    for keyset in (order, msgspec.structs.replace(order, name=f"-{order.name}", descending=True))
]


@pytest.fixture
async def rows(postgres_server: TestPostgres) -> AsyncIterator[Database]:
    """Forty rows, many of the same value, some without one; they go with the pool's one connection."""
    async with Database(postgres_server.dsn("postgres"), size=1, application="test") as database:
        await database.rows(
            """
            CREATE TEMPORARY TABLE rows AS
            SELECT gen_random_uuid() AS id, $1::uuid AS owner_id, number % 3 AS number,
                   $2::timestamptz + number % 5 * interval '1 microsecond' AS made_at,
                   CASE WHEN number % 4 > 0 THEN $2 + number % 3 * interval '1 day' END AS due_at
            FROM generate_series(0, 39) AS number
            """,
            OWNER,
            START,
        )
        yield database


async def walk(database: Database, order: Keyset, limit: int) -> list[UUID]:
    """All pages, one after the other."""
    found: list[UUID] = []
    cursor: str | None = None
    while True:
        owned = Owned(OWNER)
        owned.after(order, order.position(cursor))
        statement = f"SELECT * FROM rows WHERE {owned.conditions} ORDER BY {order.clause} LIMIT {owned.bind(limit + 1)}"
        page = order.page(
            await database.rows(statement, *owned.arguments), limit, lambda row: (row[order.column], row["id"])
        )
        found += [row["id"] for row in page.items]
        cursor = page.next_cursor
        if cursor is None:
            return found


@pytest.mark.parametrize("limit", [1, 7, 40, 100])
@pytest.mark.parametrize("order", ORDERS, ids=[order.name for order in ORDERS])
async def test_pages_miss_and_repeat_nothing(rows: Database, order: Keyset, limit: int) -> None:
    """All pages together are the whole, in order, whatever their size."""
    whole = await rows.rows(f"SELECT id FROM rows ORDER BY {order.clause}")
    assert await walk(rows, order, limit) == [row["id"] for row in whole]


async def test_row_without_a_value_has_a_place(rows: Database) -> None:
    """Those without come last where the expression says so."""
    whole = await rows.rows(f"SELECT due_at FROM rows ORDER BY {NULLABLE.clause}")
    assert [row["due_at"] is None for row in whole] == [False] * 30 + [True] * 10


async def test_new_rows_do_not_shift_the_pages(rows: Database) -> None:
    """A row that comes in front, while somebody turns the pages, repeats none."""
    first = await rows.rows(f"SELECT * FROM rows ORDER BY {NUMBER.clause} LIMIT 11")
    page = NUMBER.page(first, 10, lambda row: (row["number"], row["id"]))
    await rows.rows("INSERT INTO rows VALUES ($1, $2, -1, now(), now())", uuid4(), OWNER)
    owned = Owned(OWNER)
    owned.after(NUMBER, NUMBER.position(page.next_cursor))
    rest = await rows.rows(f"SELECT id FROM rows WHERE {owned.conditions}", *owned.arguments)
    assert len(rest) == 30
    assert not {row["id"] for row in rest} & {row["id"] for row in page.items}


@pytest.mark.parametrize(("rows_found", "kept", "more"), [(0, 0, False), (2, 2, False), (3, 3, False), (4, 3, True)])
def test_last_page_says_so(rows_found: int, kept: int, more: bool) -> None:
    """One row beyond the limit tells that there is a next page; it is not part of this one."""
    page = NUMBER.page(list(range(rows_found)), 3, lambda number: (number, ID))
    assert page.items == list(range(kept))
    assert page.next_cursor == (NUMBER.cursor(2, ID) if more else None)


@pytest.mark.parametrize(
    ("order", "value"),
    [(NUMBER, 5), (MADE, START), (MADE, START + timedelta(microseconds=1)), (NULLABLE, None), (NULLABLE, START)],
)
def test_cursor_is_read_as_it_was_written(order: Keyset, value: Any) -> None:
    """To the microsecond."""
    cursor = order.cursor(value, ID)
    assert order.position(cursor) == Position(order.name, value, ID)
    assert len(cursor) < CURSOR_LENGTH
    assert set(cursor) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def test_no_cursor_is_the_start() -> None:
    """The first page has none."""
    assert NUMBER.position(None) is None


def made_up(*parts: Any) -> str:
    """A cursor as somebody might write one."""
    return base64.urlsafe_b64encode(msgspec.json.encode(parts)).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "=",
        "null",
        "é",
        "\0",
        " ",
        made_up(),
        made_up("number"),
        made_up("number", 1),
        made_up("number", 1, "x"),
        made_up("number", 1, str(ID), 1),
        made_up("number", "1", str(ID)),
        made_up("number", True, str(ID)),
        made_up("number", None, str(ID)),
        made_up("number", 1.5, str(ID)),
        made_up("number", [1], str(ID)),
        made_up("number", {}, str(ID)),
        made_up("-number", 1, str(ID)),
        made_up("made_at", 1, str(ID)),
        made_up("number", 1, str(ID).upper()),
        made_up("number", 1, str(ID)) + "==",
        NUMBER.cursor(1, ID) + "A",
        NUMBER.cursor(1, ID)[:-2],
        base64.b64encode(b'["number",1e400,"%s"]' % str(ID).encode()).decode(),
        base64.b64encode(b'["number",NaN,"%s"]' % str(ID).encode()).decode(),
        base64.b64encode(b'["number", 1, "%s"]' % str(ID).encode()).decode(),
        base64.b64encode(b"[" * 300).decode(),
        base64.b64encode(b"\xff\xfe").decode(),
    ],
)
def test_cursor_that_is_not_ours_is_refused(cursor: str) -> None:
    """Broken, made up, of another order: 422, and the place is named."""
    with pytest.raises(Unprocessable) as caught:
        NUMBER.position(cursor)
    assert [error.location for error in caught.value.errors] == ["query.cursor"]


def test_cursor_nested_beyond_measure_is_refused() -> None:
    """Were it ever let through the limit of its length."""
    with pytest.raises(Unprocessable):
        NUMBER.position(base64.urlsafe_b64encode(b'["number",' + b"[" * 100_000).decode())


@pytest.mark.parametrize(
    "value",
    [
        "2026-01-01T00:00:00",
        "2026-01-01T00:00:00+02:00",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-23:59",
        "",
        1,
    ],
)
def test_time_that_we_never_wrote_is_refused(value: Any) -> None:
    """Without a zone, or out of what the driver can hold."""
    with pytest.raises(Unprocessable):
        MADE.position(made_up("made_at", value, str(ID)))


@settings(max_examples=500, deadline=None)
@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_any_cursor_is_a_refusal_at_worst(cursor: str) -> None:
    """Whatever is sent, no other error comes of it."""
    for order in (NUMBER, MADE, NULLABLE):
        with pytest.raises(Unprocessable):
            order.position(cursor)
