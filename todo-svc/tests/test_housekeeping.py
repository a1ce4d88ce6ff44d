"""Housekeeping: what lay in the trash for its time goes, with the numbers of its changes, and nothing else."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest
import pytest_asyncio
from litestar import Litestar

from common.database import Database
from common.settings import load
from common.testing import FakeAuthenticator, eventually
from todo_svc import housekeeping
from todo_svc.app import create_app
from todo_svc.housekeeping import Housekeeping
from todo_svc.settings import Settings

Json = dict[str, Any]
Sql = Callable[..., Awaitable[list[asyncpg.Record]]]
KEY = """
INSERT INTO idempotency_keys (scope, key, fingerprint, status, body, created_at)
VALUES ($1::uuid::text, $2, '', 201, '', now() - $3 * interval '1 hour')
"""
LEFT = """
SELECT id FROM lists WHERE owner_id = $1 UNION ALL SELECT id FROM todos WHERE owner_id = $1
"""

in_the_loop = partial(pytest_asyncio.fixture, loop_scope="session")


@in_the_loop()
async def pool(todo_dsn: str) -> AsyncIterator[Database]:
    """A pool of the app's database, in the role of a service."""
    async with Database(todo_dsn, size=4, application="test") as pool:
        yield pool


@pytest.fixture
def age(sql: Sql, ann_id: UUID) -> Callable[[float], Awaitable[None]]:
    """Let so many days go by for what is in Ann's trash."""

    async def age(days: float) -> None:
        for table, column in (("lists", "deleted_at"), ("todos", "deleted_at"), ("owners", "purge_at")):
            await sql(
                f"UPDATE {table} SET {column} = {column} - $2 * interval '1 day' WHERE owner_id = $1", ann_id, days
            )

    return age


@pytest.fixture
def left(sql: Sql, ann_id: UUID) -> Callable[[], Awaitable[set[str]]]:
    """The ids of Ann's that are still there."""

    async def left() -> set[str]:
        return {str(row[0]) for row in await sql(LEFT, ann_id)}

    return left


async def _todo(caller: httpx.AsyncClient, list_id: str) -> str:
    return str((await caller.post(f"/lists/{list_id}/todos", json={"content": "x"})).json()["id"])


async def test_what_is_due_goes(
    ann: httpx.AsyncClient, ann_id: UUID, milk: Json, pool: Database, sql: Sql, *, age: Any, left: Any
) -> None:
    """After thirty days and not before; the living stay, and what was deleted later waits for its own day."""
    groceries = milk["list_id"]
    doomed = (await ann.post("/lists", json={"title": "Doomed"})).json()["id"]
    with_it, alone, later = await _todo(ann, doomed), await _todo(ann, groceries), await _todo(ann, groceries)
    await ann.delete(f"/lists/{doomed}")
    await ann.delete(f"/todos/{alone}")
    await age(29)
    await ann.delete(f"/todos/{later}")
    await Housekeeping(pool).sweep()
    assert await left() == {groceries, milk["id"], doomed, with_it, alone, later}
    await age(1)
    [(taken,)] = await sql("SELECT max(seq) FROM changes WHERE row_id = ANY($1)", [doomed, with_it, alone])
    await Housekeeping(pool).sweep()
    assert await left() == {groceries, milk["id"], later}
    [(horizon, due)] = await sql("SELECT horizon, purge_at - now() FROM owners WHERE owner_id = $1", ann_id)
    assert horizon == taken
    assert timedelta(days=28, hours=23) < due < timedelta(days=29)
    numbered = await sql("SELECT row_id FROM changes WHERE owner_id = $1", ann_id)
    assert {str(row[0]) for row in numbered} == {groceries, milk["id"], later}


async def test_batches_and_brooms(
    ann: httpx.AsyncClient, groceries: Json, pool: Database, age: Any, left: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than one batch, by three at once: all of it goes, and none gets in another's way."""
    monkeypatch.setattr(housekeeping, "BATCH", 3)
    for _ in range(10):
        await _todo(ann, groceries["id"])
    await ann.delete(f"/lists/{groceries['id']}")
    await age(31)
    await asyncio.gather(*(Housekeeping(pool).sweep() for _ in range(3)))
    await Housekeeping(pool).sweep()
    assert await left() == set()


async def test_somebody_else_has_it(
    ann: httpx.AsyncClient, milk: Json, pool: Database, age: Any, left: Any, admin_dsn: str
) -> None:
    """What is being restored is not waited for, and its neighbours go all the same; the next sweep looks again."""
    other = await _todo(ann, milk["list_id"])
    for todo in (milk["id"], other):
        await ann.delete(f"/todos/{todo}")
    await age(31)
    holder = await asyncpg.connect(admin_dsn)
    async with holder.transaction():
        await holder.execute("SELECT FROM todos WHERE id = $1 FOR UPDATE", UUID(milk["id"]))
        await Housekeeping(pool).sweep()
        assert await left() == {milk["list_id"], milk["id"]}
    await holder.close()
    await Housekeeping(pool).sweep()
    assert await left() == {milk["list_id"]}


async def test_a_deletion_under_way_is_not_forgotten(
    ann: httpx.AsyncClient, ann_id: UUID, milk: Json, pool: Database, sql: Sql, *, age: Any, admin_dsn: str
) -> None:
    """It has the owner's row and has not committed: the sweep waits for it, and then knows the day it is due."""
    old = await _todo(ann, milk["list_id"])
    await ann.delete(f"/todos/{old}")
    await age(31)
    holder = await asyncpg.connect(admin_dsn)
    async with holder.transaction():
        await holder.execute("UPDATE todos SET deleted_at = now() WHERE id = $1", UUID(milk["id"]))
        sweeping = asyncio.ensure_future(Housekeeping(pool).sweep())
        await eventually(lambda: sql("SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'"))
    await holder.close()
    await sweeping
    assert (await sql("SELECT purge_at > now() FROM owners WHERE owner_id = $1", ann_id))[0][0] is True


async def test_old_keys_go(pool: Database, sql: Sql, ann_id: UUID) -> None:
    """After a day, whoever's they are."""
    for key, hours in (("old", 25), ("new", 23)):
        await sql(KEY, ann_id, key, hours)
    await Housekeeping(pool).sweep()
    assert [row[0] for row in await sql("SELECT key FROM idempotency_keys WHERE scope = $1", str(ann_id))] == ["new"]


async def test_the_service_sweeps_by_itself(
    ann: httpx.AsyncClient, variables: dict[str, str], milk: Json, age: Any, left: Any,
    running: Callable[[Litestar], Any],
) -> None:  # fmt: skip
    """From its start on, and after as many days as the settings say."""
    await ann.delete(f"/todos/{milk['id']}")
    await age(29)
    settings = load(Settings, variables | {"TRASH_DAYS": "7"})
    async with running(create_app(settings, auth=FakeAuthenticator())):

        async def gone() -> bool:
            return bool(await left() == {milk["list_id"], milk["id"]})

        await eventually(gone)
