"""Connections to PostgreSQL: what one through a pooler leaves behind, and what becomes of one that is given up."""

import asyncio
from typing import Any
from unittest.mock import AsyncMock
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy import text

from common.connection import KEPT, connect, dial
from common.database import Database
from common.errors import Unavailable
from common.testing import eventually
from common.unit_of_work import UnitOfWork
from devstack.fixtures import TestPostgres

LEFT = """
SELECT (SELECT count(*) FROM pg_prepared_statements)::int,
    (SELECT count(*) FROM pg_settings WHERE source = 'session')::int
"""
ARRAYS = "SELECT $1::uuid[], ARRAY[1::int8, 2], ARRAY[1::int4], ARRAY[(1, 'x')]"


@pytest.fixture
def dsn(postgres_server: TestPostgres) -> str:
    """Any database will do."""
    return postgres_server.dsn("postgres")


async def used(dsn: str, *, pooled: bool) -> list[tuple[int, int]]:
    """The statements and the settings that every way to ask leaves in a session; twice, as if in two sessions."""
    left = []
    async with Database(dsn, size=1, application="left", pooled=pooled) as database:
        for _ in range(2):
            assert len(await database.rows(ARRAYS, [uuid4()])) == 1
            async with database.transaction() as connection:
                assert await connection.fetchval("SELECT $1::text", "x") == "x"
            async with database.owned(uuid4()) as transaction:
                assert await transaction.row("SELECT $1::text", "y")
            left += [(row[0], row[1]) for row in await database.rows(LEFT)]
            if pooled:
                await database.rows("DISCARD ALL")
    return left


async def test_a_pooled_session_keeps_nothing(dsn: str) -> None:
    """Neither a statement nor a setting, and nothing is missed when the next session is another; else both are kept."""
    assert await used(dsn, pooled=True) == [(0, 0), (0, 0)]
    for statements, settings in await used(dsn, pooled=False):
        assert statements > 0
        assert settings > 0


async def test_a_pooler_nobody_told_of_is_named(dsn: str) -> None:
    """A statement that its session does not know: 503 with the setting to look at, and no fault of ours."""
    async with Database(dsn, size=1, application="untold") as database:
        assert await database.row("SELECT $1::text", "x")
        await database.rows("DISCARD ALL")
        with pytest.raises(Unavailable, match="DATABASE_POOLER"):
            await database.row("SELECT $1::text", "x")


async def test_a_pooled_unit_of_work_keeps_nothing(dsn: str) -> None:
    """SQLAlchemy neither, though it remembers its statements: each is parsed again."""
    work = UnitOfWork(dsn, size=1, application="left", pooled=True)
    for number in range(3):
        async with work() as session:
            assert await session.scalar(text("SELECT CAST(:n AS int)"), {"n": number}) == number
            assert (await session.execute(text(LEFT))).one() == (0, 0)
            await session.execute(text("DEALLOCATE ALL"))
    await work.close()


async def test_a_pooled_statement_is_asked_about_once(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it takes and gives is no other in the next session."""
    connection = await connect(dsn, application="left", pooled=True)
    monkeypatch.setattr(connection, "prepare", asked := AsyncMock(side_effect=connection.prepare))
    for number in range(3):
        assert tuple(await connection.fetchrow("SELECT $1::int", number)) == (number,)
        assert len(await connection.fetch("SELECT $1::int", number)) == 1
    assert asked.await_count == 1
    await connection.close()


async def test_tables_that_change_under_a_pooled_connection(dsn: str) -> None:
    """What it knew of a statement is wrong then: said once, and learnt; more statements than it remembers work."""
    async with Database(dsn, size=1, application="left", pooled=True) as database:
        await database.rows("CREATE TEMPORARY TABLE things AS SELECT 1::int AS number")
        for number in range(KEPT + 1):
            assert tuple(await database.row(f"SELECT {number}, * FROM things") or ()) == (number, 1)
        await database.rows("ALTER TABLE things ALTER number TYPE bigint")
        with pytest.raises(BufferError):
            await database.row(f"SELECT {KEPT}, * FROM things")
        assert tuple(await database.row(f"SELECT {KEPT}, * FROM things") or ()) == (KEPT, 1)


async def given_up(dsn: str, turns: int) -> None:
    """Begin to connect, and go away after so many turns of the loop."""
    connecting = asyncio.create_task(dial(dsn, server_settings={"application_name": "given-up"}))
    for _ in range(turns):
        await asyncio.sleep(0)
    connecting.cancel()
    await asyncio.wait({connecting})
    if not connecting.cancelled():
        connecting.result().terminate()


async def test_connect_that_is_given_up(dsn: str) -> None:
    """At whatever moment: no error is told that nobody hears, and no connection stays."""
    told: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: told.append(context))
    for turns in range(16):
        await given_up(dsn, turns)
    watcher = await connect(dsn, application="watcher")

    async def is_gone() -> bool:
        count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'given-up'"
        return int(await watcher.fetchval(count)) == 0

    await eventually(is_gone)
    await watcher.close()
    await asyncio.sleep(0)
    assert told == []


async def test_failure_to_connect_is_heard(dsn: str) -> None:
    """It is the caller's, as it was."""
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await dial(dsn.replace("/postgres", "/nowhere"))
