"""An outbox on a real PostgreSQL, somebody who posts, and a place that things are delivered to."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from common.models import bind
from common.outbox import NOTIFY, Entry, OutboxRow
from devstack.fixtures import TestPostgres

_POST = f"""
WITH posted AS (INSERT INTO outbox (topic, payload) VALUES ('greeting', jsonb_build_object('n', $1::int)) RETURNING id)
{NOTIFY}
"""

bind("outbox_test")


class Outbox(OutboxRow):
    """The table, as a service binds it."""

    __bind_key__ = "outbox_test"


class Receiver:
    """The place things are delivered to; `fail` is raised while it is set, `held` waited for, `later` put off once."""

    def __init__(self) -> None:
        self.received: list[int] = []
        self.batches: list[Sequence[Entry]] = []
        self.fail: BaseException | None = None
        self.held: asyncio.Event | None = None
        self.later: set[int] = set()
        self.tried = 0

    async def __call__(self, _connection: Any, entries: Sequence[Entry]) -> Collection[int]:
        """Take them, if it can be done."""
        self.tried += 1
        if self.held is not None:
            await self.held.wait()
        if self.fail is not None:
            raise self.fail
        self.batches.append(entries)
        put_off, self.later = {entry.id for entry in entries if _number(entry) in self.later}, set()
        self.received += [_number(entry) for entry in entries if entry.id not in put_off]
        return put_off


def _number(entry: Entry) -> int:
    return int(json.loads(entry.payload)["n"])


@pytest.fixture(scope="package")
def address(postgres_server: TestPostgres) -> str:
    """A database of this module's own."""
    return asyncio.run(postgres_server.create_database(f"outbox_{uuid4().hex}"))


@pytest.fixture
async def dsn(address: str, postgres_server: TestPostgres) -> AsyncIterator[str]:
    """That database, with an empty outbox."""
    connection = await asyncpg.connect(address)
    await connection.execute("DROP TABLE IF EXISTS outbox, later")
    await connection.execute(str(CreateTable(Outbox.__table__).compile(dialect=postgresql.dialect())))  # type: ignore[arg-type,no-untyped-call]
    await connection.close()
    yield address
    if not postgres_server.alive:
        postgres_server.start()


@pytest.fixture
async def writer(dsn: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """Somebody who posts."""
    connection = await asyncpg.connect(dsn)
    yield connection
    connection.terminate()


@pytest.fixture
def receiver() -> Receiver:
    """In working order."""
    return Receiver()


@pytest.fixture
def post(writer: "asyncpg.Connection[asyncpg.Record]") -> Callable[[int], Awaitable[Any]]:
    """Post an entry with this number, and commit."""
    return lambda number: writer.execute(_POST, number)


@pytest.fixture
def left(dsn: str) -> Callable[[], Awaitable[int]]:
    """How many entries are not yet delivered."""

    async def left() -> int:
        connection = await asyncpg.connect(dsn)
        try:
            return int(await connection.fetchval("SELECT count(*) FROM outbox"))
        finally:
            await connection.close()

    return left
