"""PostgreSQL by single statements: what comes back, what counts as being away, and how it returns."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from common import connection, pool
from common.database import Database, translated
from common.errors import NotFound, Unavailable
from devstack.fixtures import TestPostgres

NOWHERE = "postgresql://ann@127.0.0.1:1/none"


@pytest.fixture
def dsn(postgres_server: TestPostgres) -> str:
    """A database that every server has."""
    return postgres_server.dsn("postgres")


@pytest.fixture
async def one(dsn: str) -> AsyncIterator[Database]:
    """A pool of a single connection."""
    async with Database(dsn, size=1, application="gatehouse-test") as database:
        yield database


async def test_rows_and_row(one: Database) -> None:
    """All rows, the first one, or none."""
    assert [row[0] for row in await one.rows("SELECT generate_series(1, $1)", 3)] == [1, 2, 3]
    assert await one.rows("SELECT 1 WHERE false") == []
    assert await values(one, "SELECT $1::text", "x") == ("x",)
    assert await one.row("SELECT 1 WHERE false") is None


async def test_connection_introduces_itself(one: Database) -> None:
    """Whoever looks at pg_stat_activity sees the service; times are in UTC."""
    found = await values(one, "SELECT current_setting('application_name'), current_setting('timezone')")
    assert found == ("gatehouse-test", "UTC")


async def test_pool_is_bounded(dsn: str) -> None:
    """So many connections and no more, however many callers."""
    async with Database(dsn, size=3, application="bounded-test") as database:
        await asyncio.gather(*(database.row("SELECT pg_sleep(0.01)") for _ in range(20)))
        count = await values(database, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'bounded-test'")
    assert count == (3,)


async def test_release_costs_no_round_trip(one: Database) -> None:
    """Nothing is reset between two statements: a setting would still be there."""
    await one.row("SELECT set_config('gatehouse.flag', 'up', false)")
    assert await values(one, "SELECT current_setting('gatehouse.flag')") == ("up",)


async def test_fault_of_a_statement_is_not_an_outage(one: Database) -> None:
    """What the statement did wrong is raised as it is, and the connection is good afterwards."""
    with pytest.raises(asyncpg.PostgresSyntaxError):
        await one.rows("SELEC")
    with pytest.raises(asyncpg.DataError):
        await one.rows("SELECT $1::int", "x")
    assert await values(one, "SELECT 1") == (1,)


async def test_caller_that_goes_away_gives_its_connection_back(one: Database) -> None:
    """A cancelled statement does not hold the pool."""
    asking = asyncio.create_task(one.row("SELECT pg_sleep(10)"))
    await asyncio.wait({asking}, timeout=0.1)
    asking.cancel()
    await asyncio.wait({asking})
    assert await values(one, "SELECT 1") == (1,)


async def test_start_needs_no_database() -> None:
    """A service starts while PostgreSQL is away; each statement says so."""
    async with Database(NOWHERE, size=1, application="test") as database:
        for ask in (database.row, database.rows):
            with pytest.raises(Unavailable) as caught:
                await ask("SELECT 1")
            assert caught.value.headers == {"Retry-After": "1"}
        assert not await database.answers()


async def test_pool_that_is_not_open_is_away() -> None:
    """Before the start and without one, nothing is asked; leaving what was never entered is no error."""
    database = Database(NOWHERE, size=1, application="test")
    with pytest.raises(Unavailable):
        await database.row("SELECT 1")
    assert not await database.answers()
    await database.__aexit__(None, None, None)


async def test_database_that_does_not_exist_is_away(postgres_server: TestPostgres) -> None:
    """As it is before it was made, or while it is restored."""
    async with Database(postgres_server.dsn("nowhere"), size=1, application="test") as database:
        with pytest.raises(Unavailable):
            await database.row("SELECT 1")


async def test_broken_connections_are_replaced(one: Database, dsn: str) -> None:
    """Connections that PostgreSQL ended are no reason to restart the service."""
    await one.row("SELECT 1")
    other = await asyncpg.connect(dsn)
    await other.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'gatehouse-test'"
    )
    await other.close()
    assert await eventually(one) == (1,)


async def test_restarted_server_is_used_again(one: Database, postgres_server: TestPostgres) -> None:
    """Stopped: 503. Back: it works, with no restart of ours."""
    await one.row("SELECT 1")
    postgres_server.stop()
    try:
        with pytest.raises(Unavailable):
            await one.row("SELECT 1")
        assert not await one.answers()
    finally:
        postgres_server.start()  # from the main thread: the server ends with the one that started it
    assert await eventually(one) == (1,)
    assert await one.answers()


async def test_slow_statement_is_given_up(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No request waits for ever for one; its connection is good afterwards."""
    monkeypatch.setattr(connection, "STATEMENT", 0.1)
    async with Database(dsn, size=1, application="test") as database:
        with pytest.raises(Unavailable):
            await database.row("SELECT pg_sleep(10)")
        assert await values(database, "SELECT 1") == (1,)


async def test_full_pool_is_not_waited_for_for_ever(one: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody queues behind a jam for longer than a client would wait."""
    monkeypatch.setattr(pool, "WAIT", 0.05)
    jam = asyncio.create_task(one.row("SELECT pg_sleep(0.5)"))
    await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        await one.row("SELECT 1")
    await jam


async def test_readiness_is_answered_within_a_second(silent: Any) -> None:
    """A PostgreSQL that accepts and never answers is not ready, and an orchestrator does not wait to learn it."""
    async with Database(f"postgresql://ann@{silent.address}/db", size=1, application="test") as database:
        started = time.perf_counter()
        assert not await database.answers()
        assert time.perf_counter() - started < 1.8


async def test_end_does_not_wait_for_a_slow_statement(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A statement still under way when the service stops is given a moment, then cut off."""
    monkeypatch.setattr(pool, "CLOSE", 0.1)
    database = Database(dsn, size=1, application="test")
    await database.__aenter__()
    asking = asyncio.create_task(database.row("SELECT pg_sleep(10)"))
    await asyncio.wait({asking}, timeout=0.1)
    started = time.perf_counter()
    await database.__aexit__(None, None, None)
    assert time.perf_counter() - started < 2
    with pytest.raises(Unavailable):
        await asking


@pytest.mark.parametrize(
    "error",
    [
        OSError("no route"),
        ConnectionRefusedError(),
        TimeoutError(),
        asyncpg.ConnectionDoesNotExistError("gone"),
        asyncpg.CannotConnectNowError("starting up"),
        asyncpg.AdminShutdownError("shutting down"),
        asyncpg.QueryCanceledError("cancelled"),
        asyncpg.TooManyConnectionsError("full"),
        asyncpg.DiskFullError("full"),
        asyncpg.DeadlockDetectedError("deadlock"),
        asyncpg.SerializationError("retry"),
        asyncpg.ReadOnlySQLTransactionError("a replica"),
        asyncpg.InvalidPasswordError("rotated"),
        asyncpg.InvalidCatalogNameError("restored"),
        asyncpg.InterfaceError("the pool is closing"),
    ],
)
def test_being_away_is_one_error(error: Exception) -> None:
    """Whatever the driver says, bare or wrapped, the caller hears that the database cannot be reached."""
    for raised in (error, wrapped(error)):
        with pytest.raises(Unavailable) as caught, translated():
            raise raised
        assert caught.value.__cause__ is error
        assert str(error) not in caught.value.detail or not str(error)


@pytest.mark.parametrize(
    "error", [asyncpg.UniqueViolationError("twice"), asyncpg.DataError("no int"), NotFound("none"), KeyError("x")]
)
def test_everything_else_is_not(error: Exception) -> None:
    """A broken rule or a mistake of ours is no outage."""
    for raised in (error, wrapped(error)):
        with pytest.raises(type(raised)) as caught, translated():
            raise raised
        assert caught.value is raised


def wrapped(error: Exception) -> Exception:
    """As SQLAlchemy wraps it, twice."""
    inner, outer = RuntimeError("driver"), RuntimeError("SQLAlchemy")
    inner.__cause__, outer.__cause__ = error, inner
    return outer


async def values(database: Database, statement: str, *arguments: Any) -> tuple[Any, ...]:
    """The values of the first row."""
    return tuple(await database.row(statement, *arguments) or ())


async def eventually(database: Database) -> tuple[Any, ...]:
    """The answer, once there is one; within seconds."""
    async with asyncio.timeout(10):
        while True:
            try:
                return await values(database, "SELECT 1")
            except Unavailable:
                await asyncio.sleep(0.02)
