"""What may be very many todos is changed by several statements, and all of it is."""

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest
import pytest_asyncio

from common.database import Database
from todo_svc import batches
from todo_svc.erasure import Eraser

Json = dict[str, Any]
Sql = Callable[..., Awaitable[list[asyncpg.Record]]]
in_the_loop = partial(pytest_asyncio.fixture, loop_scope="session")

MANY = 7
FUNCTION = """
CREATE FUNCTION at_most_three() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT count(*) FROM touched) > 3 THEN RAISE 'too many at once'; END IF;
    RETURN NULL;
END $$
"""
TRIGGER = """
CREATE TRIGGER at_most_three_{event} AFTER {event} ON todos REFERENCING {rows} TABLE AS touched
FOR EACH STATEMENT EXECUTE FUNCTION at_most_three()
"""


@in_the_loop()
async def many(
    ann: httpx.AsyncClient, groceries: Json, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[str]:
    """A list of more todos than one statement may touch."""
    create = {"op": "create", "list_id": groceries["id"], "content": "x"}
    await ann.post("/todos/batch", json={"operations": [create] * MANY})
    monkeypatch.setattr(batches, "BATCH", 3)
    await sql(FUNCTION)
    for event, rows in (("UPDATE", "NEW"), ("DELETE", "OLD")):
        await sql(TRIGGER.format(event=event, rows=rows))
    yield groceries["id"]
    await sql("DROP FUNCTION at_most_three CASCADE")


async def test_a_list_of_many_todos_goes_and_comes_back(ann: httpx.AsyncClient, many: str) -> None:
    """None of them is left behind, either way."""
    assert (await ann.delete(f"/lists/{many}")).status_code == 204
    assert len((await ann.get("/trash")).json()["items"]) == MANY + 1
    assert (await ann.post(f"/trash/{many}/restore")).status_code == 200
    assert len((await ann.get("/todos")).json()["items"]) == MANY
    assert (await ann.get("/trash")).json()["items"] == []


async def test_many_todos_are_completed_and_cleared(ann: httpx.AsyncClient, many: str) -> None:
    """The answers count all of them."""
    assert (await ann.post(f"/lists/{many}/complete-all")).json() == {"changed": MANY}
    assert (await ann.post(f"/lists/{many}/clear-completed")).json() == {"changed": MANY}
    assert (await ann.get("/todos")).json()["items"] == []


async def test_an_owner_of_many_todos_is_erased(many: str, ann_id: UUID, todo_dsn: str, sql: Sql) -> None:
    """However many they are, no statement runs out of time, which would hold up every later erasure."""
    assert many
    async with Database(todo_dsn, size=1, application="test") as database:
        await Eraser(database).erase(ann_id, "1-0")
    assert await sql("SELECT FROM todos WHERE owner_id = $1", ann_id) == []
