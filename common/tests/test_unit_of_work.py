"""A unit of work: kept whole, before the block is left, or not at all."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from common import unit_of_work as module
from common.database import Database
from common.errors import Unavailable
from common.unit_of_work import UnitOfWork
from devstack.fixtures import TestPostgres

TABLE = """
CREATE TABLE things (name text UNIQUE DEFERRABLE INITIALLY IMMEDIATE, secret text);
CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;
CREATE TABLE deadly (name text);
CREATE CONSTRAINT TRIGGER dies AFTER INSERT ON deadly DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION die();
"""


@pytest.fixture
async def dsn(postgres_server: TestPostgres) -> AsyncIterator[str]:
    """A database with a table of things, and one whose every COMMIT kills the connection."""
    name = f"work_{uuid4().hex}"
    dsn = await postgres_server.create_database(name)
    connection = await asyncpg.connect(dsn)
    await connection.execute(TABLE)
    await connection.close()
    yield dsn
    await postgres_server.drop_database(name)


@pytest.fixture
async def work(dsn: str) -> AsyncIterator[UnitOfWork]:
    """Two connections."""
    unit_of_work = UnitOfWork(dsn, size=2, application="work-test")
    yield unit_of_work
    await unit_of_work.close()


@pytest.fixture
async def seen(dsn: str) -> AsyncIterator[Database]:
    """Another connection's view."""
    async with Database(dsn, size=1, application="seen") as database:
        yield database


async def run(work: UnitOfWork, *statements: str, error: Exception | None = None) -> None:
    """One unit of work."""
    async with work() as session:
        for statement in statements:
            await session.execute(text(statement))
        if error:
            raise error


async def names(seen: Database, table: str = "things") -> list[str]:
    """What others see."""
    return [row["name"] for row in await seen.rows(f"SELECT name FROM {table} ORDER BY name")]


async def test_kept_when_the_block_is_left(work: UnitOfWork, seen: Database) -> None:
    """Others see nothing before, and all of it at once after."""
    async with work() as session:
        await session.execute(text("INSERT INTO things (name) VALUES ('a')"))
        await session.execute(text("INSERT INTO things (name) VALUES ('b')"))
        assert await names(seen) == []
    assert await names(seen) == ["a", "b"]


async def test_nothing_is_kept_after_an_error(work: UnitOfWork, seen: Database) -> None:
    """What was done before the error is undone, and the error is raised as it is."""
    with pytest.raises(LookupError):
        await run(work, "INSERT INTO things (name) VALUES ('a')", error=LookupError())
    assert await names(seen) == []


async def test_commit_that_breaks_a_rule_raises(work: UnitOfWork, seen: Database) -> None:
    """A rule that is judged at COMMIT is judged before the caller answers."""
    with pytest.raises(IntegrityError):
        await run(work, "SET CONSTRAINTS ALL DEFERRED", "INSERT INTO things (name) VALUES ('a'), ('a')")
    assert await names(seen) == []


async def test_commit_that_is_lost_is_an_outage(work: UnitOfWork, seen: Database) -> None:
    """PostgreSQL dies during COMMIT: 503, so that nobody is told of a change that is not there."""
    with pytest.raises(Unavailable):
        await run(work, "INSERT INTO deadly (name) VALUES ('a')")
    assert await names(seen, "deadly") == []
    await run(work, "INSERT INTO things (name) VALUES ('after')")
    assert await names(seen) == ["after"]


async def test_error_holds_no_parameter(work: UnitOfWork) -> None:
    """A password hash must not reach a log by way of an error's text."""
    insert = text("INSERT INTO things (name, secret) VALUES (:name, :secret)")
    async with work() as session:
        await session.execute(insert, {"name": "a", "secret": ""})
        with pytest.raises(IntegrityError) as caught:
            await session.execute(insert, {"name": "a", "secret": "geheim"})
        await session.rollback()
    assert "geheim" not in str(caught.value)


async def test_unreachable_database_is_an_outage() -> None:
    """Nothing was kept, and the caller hears so."""
    work = UnitOfWork("postgresql://ann@127.0.0.1:1/none", size=1, application="test")
    with pytest.raises(Unavailable):
        await run(work, "SELECT 1")
    await work.close()


async def test_full_pool_is_an_outage(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever finds no free connection in time is told to come back, not that something broke."""
    monkeypatch.setattr(module, "WAIT", 0.05)
    work = UnitOfWork(dsn, size=1, application="test")
    async with work() as session:
        await session.execute(text("SELECT 1"))
        with pytest.raises(Unavailable):
            await run(work, "SELECT 1")
    await work.close()


async def test_broken_connections_are_replaced(work: UnitOfWork, seen: Database) -> None:
    """A connection that PostgreSQL ended while it was idle is noticed before it is used."""
    await run(work, "SELECT 1")
    await seen.rows("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'work-test'")
    await run(work, "SELECT 1")


async def test_connection_introduces_itself(work: UnitOfWork) -> None:
    """As those of `Database` do."""
    async with work() as session:
        found = await session.execute(text("SELECT current_setting('application_name'), current_setting('timezone')"))
        assert tuple(found.one()) == ("work-test", "UTC")


async def test_units_do_not_wait_for_each_other(work: UnitOfWork, seen: Database) -> None:
    """Two at once are two transactions."""

    async def add(name: str) -> None:
        async with work() as session:
            await session.execute(text("INSERT INTO things (name) VALUES (:name)"), {"name": name})

    await asyncio.gather(*(add(name) for name in "abcdef"))
    assert await names(seen) == list("abcdef")


async def test_close_gives_the_connections_back(work: UnitOfWork, seen: Database) -> None:
    """A stopped service holds none."""
    await run(work, "SELECT 1")
    await work.close()
    async with asyncio.timeout(5):
        while await seen.rows("SELECT 1 FROM pg_stat_activity WHERE application_name = 'work-test'"):
            pass


async def test_connection_that_is_old_is_not_used(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A firewall may have forgotten it: the question whether it is good would wait for seconds, and be 503."""
    monkeypatch.setattr(module, "IDLE", 0)
    unit_of_work = UnitOfWork(dsn, size=1, application="work-test")
    backends = set()
    for _ in range(2):
        async with unit_of_work() as session:
            backends.add((await session.execute(text("SELECT pg_backend_pid()"))).scalar_one())
    await unit_of_work.close()
    assert len(backends) == 2
