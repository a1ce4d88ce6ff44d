"""Transactions of one owner: whose rows they show, and what becomes of them when something is in the way."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from common.database import Database
from common.errors import NotFound, Unavailable
from common.telemetry import log
from common.testing import captured_logs
from devstack.fixtures import DatabaseFactory, TestPostgres

OPEN = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'owned-test' AND state LIKE 'idle in%'"


@pytest.fixture
async def one(postgres_server: TestPostgres) -> AsyncIterator[Database]:
    """A pool of a single connection."""
    async with Database(postgres_server.dsn("postgres"), size=1, application="owned-test") as database:
        yield database


async def values(database: Database, statement: str) -> tuple[Any, ...]:
    """The values of the first row."""
    return tuple(await database.row(statement) or ())


@pytest.fixture
async def things(one: Database) -> Database:
    """A table with row-level security on the pool's one connection, for as long as that lives."""
    await one.rows("CREATE TEMPORARY TABLE things (owner_id text, name text UNIQUE)")
    await one.rows("ALTER TABLE things ENABLE ROW LEVEL SECURITY")
    await one.rows("ALTER TABLE things FORCE ROW LEVEL SECURITY")
    await one.rows("CREATE POLICY owner ON things USING (owner_id = current_setting('gatehouse.owner', true))")
    return one


async def test_owned_shows_one_owners_rows(things: Database) -> None:
    """Within the block that owner's and nobody else's, behind it nobody's; what was done is kept."""
    ann, bob = uuid4(), uuid4()
    for owner in (ann, bob):
        async with things.owned(owner) as transaction:
            await transaction.row("INSERT INTO things VALUES ($1, $2)", str(owner), f"of {owner}")
            assert [row[0] for row in await transaction.rows("SELECT name FROM things")] == [f"of {owner}"]
    assert await things.rows("SELECT FROM things") == []
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await things.row("INSERT INTO things VALUES ($1, 'forged')", str(bob))


async def add(things: Database, owner: UUID, *names: str, error: Exception | None = None) -> None:
    """Put these in, swallowing what PostgreSQL says, and "z" in a part of the same block; then fail, if told so."""
    insert = "INSERT INTO things VALUES ($1, $2)"
    async with things.owned(owner) as transaction:
        async with transaction.owned(owner) as part:
            await part.row(insert, str(owner), "z")
        for name in names:
            with contextlib.suppress(asyncpg.UniqueViolationError):
                await transaction.row(insert, str(owner), name)
        if error:
            raise error


async def kept(things: Database, owner: UUID) -> list[str]:
    """What is there."""
    async with things.owned(owner) as transaction:
        return [row[0] for row in await transaction.rows("SELECT name FROM things ORDER BY name")]


async def test_owned_undoes_what_fails(things: Database) -> None:
    """An error within the block leaves as it is; nothing was done, in its parts neither; the connection is good."""
    ann, error = uuid4(), NotFound("no such list")
    with pytest.raises(NotFound) as caught:
        await add(things, ann, "x", "y", error=error)
    assert caught.value is error
    assert await kept(things, ann) == []
    await add(things, ann, "x", "y")
    assert await kept(things, ann) == ["x", "y", "z"]


async def test_owned_says_when_nothing_was_kept(things: Database) -> None:
    """A failed statement that somebody swallowed has spoilt the transaction: the block cannot end well."""
    ann = uuid4()
    with pytest.raises(Unavailable):
        await add(things, ann, "x", "x")
    assert await kept(things, ann) == []


class Deaf:
    """A connection whose server has stopped listening after BEGIN."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.is_cut_off = False

    def is_closed(self) -> bool:
        """See asyncpg."""
        return self.is_cut_off

    def is_in_transaction(self) -> bool:
        """See asyncpg."""
        return True

    def terminate(self) -> None:
        """See asyncpg."""
        self.is_cut_off = True

    async def execute(self, statement: str) -> None:
        """See asyncpg."""
        self.asked.append(statement.split(";", maxsplit=1)[0])

    async def fetchrow(self, *_: Any) -> None:
        """See asyncpg."""
        raise TimeoutError


async def test_owned_asks_nothing_more_of_a_server_that_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A statement that nobody answers is not followed by another: the caller waits once, and the connection goes."""
    deaf = Deaf()

    async def connect(_database: Database) -> Deaf:
        return deaf

    async def work() -> None:
        async with Database("", size=1, application="test") as database, database.owned(uuid4()) as transaction:
            await transaction.row("SELECT 1")

    monkeypatch.setattr(Database, "_connect", connect)
    with pytest.raises(Unavailable):
        await work()
    assert (deaf.asked, deaf.is_cut_off) == (["BEGIN"], True)


async def test_owned_begins_once(one: Database) -> None:
    """With its first statement, as the outermost block or within one that had none, and not again in its parts."""
    await one.rows("CREATE TEMPORARY TABLE begun (owner uuid)")
    first, ann = "INSERT INTO begun VALUES ('{owner}')", uuid4()
    for outer in (first, ""):
        async with one.owned(ann, first=outer) as transaction:
            for inner in (first, first, ""):
                async with transaction.owned(ann, first=inner):
                    pass
    assert [row[0] for row in await one.rows("SELECT owner FROM begun")] == [ann, ann]


@pytest.mark.parametrize("inside", ["statement", "pause"])
async def test_owned_cut_off(one: Database, inside: str) -> None:
    """A caller that goes away in the middle leaves no open transaction behind, and the pool goes on."""
    reached = asyncio.Event()

    async def work() -> None:
        async with one.owned(uuid4()) as transaction:
            reached.set()
            await (transaction.row("SELECT pg_sleep(10)") if inside == "statement" else asyncio.sleep(10))

    working = asyncio.create_task(work())
    await reached.wait()
    await asyncio.sleep(0)
    working.cancel()
    await asyncio.wait({working})
    assert working.cancelled()
    assert await values(one, "SELECT coalesce(current_setting('gatehouse.owner', true), '')") == ("",)
    assert await values(one, OPEN) == (0,)


async def test_no_open_transaction_comes_back(one: Database) -> None:
    """Whatever it was that kept a transaction from its end: its connection is not used again."""
    with await one._lent() as connection:
        await connection.execute("BEGIN; SELECT set_config('gatehouse.owner', 'ann', true)")
    assert await values(one, "SELECT coalesce(current_setting('gatehouse.owner', true), '')") == ("",)


async def test_owned_when_its_connection_dies(one: Database) -> None:
    """PostgreSQL ended it in the middle of the block: the caller is told, and the pool gets another."""
    with pytest.raises(Unavailable):
        async with one.owned(uuid4()) as transaction:
            await transaction.row("SELECT pg_terminate_backend(pg_backend_pid())")
    assert await values(one, "SELECT 1") == (1,)


async def test_a_role_that_no_lock_holds_is_told_once(database: DatabaseFactory, postgres_server: TestPostgres) -> None:
    """An error in the log for a superuser where there is row-level security; none for a plain role."""
    name = (await database("todo_svc")).rpartition("/")[2]
    with captured_logs() as logs:
        log.configure("test", level="INFO", form="json")
        for dsn in (postgres_server.dsn(name), postgres_server.admin_dsn("postgres"), postgres_server.admin_dsn(name)):
            async with Database(dsn, size=3, application="test") as pool:
                await asyncio.gather(*(pool.row("SELECT pg_sleep(0.01)") for _ in range(3)))
    assert [(line["level"], line["role"]) for line in logs.lines] == [("error", "app")]
