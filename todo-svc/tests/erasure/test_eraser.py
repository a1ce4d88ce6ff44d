"""Erasing: what a deleted account left goes once, all of it, and does not come back."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest

from common.database import Database
from common.dto import UserEvent
from todo_svc import erasure
from todo_svc.erasure import Eraser

Running = Callable[[], Any]
Until = Callable[[Callable[[], Awaitable[Any]], Any], Awaitable[None]]
Sql = Callable[..., Awaitable[list[asyncpg.Record]]]
Erased = Callable[[UUID], Awaitable[int]]
Fill = Callable[..., Awaitable[UUID]]
Left = Callable[[UUID], Awaitable[int]]
WAITING = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
LIST = "INSERT INTO lists (owner_id, id, title) VALUES ($1, $2, $3)"
TODO = "INSERT INTO todos (owner_id, id, list_id, content, position) VALUES ($1, $2, $3, 'Milk', 1)"
DEADLINE = 15.0


async def test_an_erasure_takes_one_owners_rows(eraser: Eraser, fill: Fill, left: Left, database: Database) -> None:
    """Lists and their todos go, a tombstone stays; nobody else loses anything."""
    ann, bob = await fill(), await fill()
    await eraser.erase(ann, "1-0")

    assert (await left(ann), await left(bob)) == (0, 2)
    assert [tuple(row) for row in await database.rows("SELECT user_id, event FROM erased_users")] == [(ann, "1-0")]


async def test_a_repeat_changes_nothing(eraser: Eraser, fill: Fill, database: Database) -> None:
    """The same deletion again, of whatever source, leaves the first tombstone as it is."""
    ann = await fill()
    for event in ("1-0", "1-0", "erasure 7"):
        await eraser.erase(ann, event)

    assert [tuple(row) for row in await database.rows("SELECT user_id, event FROM erased_users")] == [(ann, "1-0")]


async def test_other_events_take_nothing(eraser: Eraser, fill: Fill, left: Left) -> None:
    """A deactivated account keeps its rows: it may be activated again."""
    ann = await fill()
    await eraser.handle(UserEvent("user.deactivated", ann), "1-0")
    assert await left(ann) == 2

    await eraser.handle(UserEvent("user.deleted", ann, 1), "2-0")
    assert await left(ann) == 0


async def test_rows_and_tombstone_stand_or_fall_together(eraser: Eraser, fill: Fill, database: Database) -> None:
    """Where the rows cannot be deleted there is no tombstone either, and the event comes again."""
    ann = await fill()
    await database.rows("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$")
    await database.rows("CREATE TRIGGER refuse BEFORE DELETE ON lists FOR EACH ROW EXECUTE FUNCTION refuse()")
    with pytest.raises(asyncpg.RaiseError):
        await eraser.erase(ann, "1-0")

    assert await database.rows("SELECT FROM erased_users") == []


async def test_progress_never_goes_back(eraser: Eraser) -> None:
    """Of two processes the one that is behind does not undo the other's."""
    assert await eraser.progress() == 0
    for sequence in (5, 3):
        await eraser.advance(sequence)

    assert await eraser.progress() == 5


async def test_an_erased_owner_can_make_no_list(ann: httpx.AsyncClient, ann_id: UUID, todo_dsn: str) -> None:
    """A request whose token was good before gets the answer of a dead session."""
    async with Database(todo_dsn, size=1, application="test") as database:
        await Eraser(database).erase(ann_id, "1-0")
    answer = await ann.post("/lists", json={"title": "Too late"})

    assert (answer.status_code, answer.json()["code"]) == (401, "INVALID_TOKEN")
    assert answer.headers["www-authenticate"].startswith('Bearer error="invalid_token"')
    assert (await ann.get("/lists")).json()["items"] == []


async def test_an_erased_owner_can_make_no_todo(
    ann: httpx.AsyncClient, ann_id: UUID, groceries: dict[str, Any], todo_dsn: str
) -> None:
    """His lists are gone, and nothing can be put into them."""
    async with Database(todo_dsn, size=1, application="test") as database:
        await Eraser(database).erase(ann_id, "1-0")
    answer = await ann.post(f"/lists/{groceries['id']}/todos", json={"content": "Too late"})

    assert answer.status_code == 404


@pytest.mark.parametrize("statement", ["list", "todo"])
async def test_an_insert_under_way_is_erased_too(
    until: Until, eraser: Eraser, fill: Fill, left: Left, admin_of: str, admin: Database, *, statement: str
) -> None:
    """The insert was first and has not committed: the erasure waits for it, then takes its row with the rest."""
    ann = await fill()
    owned = (await admin.rows("SELECT id FROM lists WHERE owner_id = $1", ann))[0][0]
    late = await asyncpg.connect(admin_of)
    await late.execute("BEGIN")
    await late.execute(*((LIST, ann, uuid4(), "Late") if statement == "list" else (TODO, ann, uuid4(), owned)))
    erasing = asyncio.ensure_future(eraser.erase(ann, "1-0"))

    async def waiting() -> int:
        return int((await admin.rows("SELECT count(*) FROM pg_locks WHERE NOT granted"))[0][0])

    await until(waiting, 1)
    await late.execute("COMMIT")
    await erasing
    await late.close()

    assert await left(ann) == 0


@pytest.mark.parametrize(("ending", "status", "lists"), [("COMMIT", 401, 0), ("ROLLBACK", 201, 1)])
async def test_an_insert_behind_an_erasure(
    until: Until,
    ann: httpx.AsyncClient,
    ann_id: UUID,
    sql: Sql,
    admin_dsn: str,
    *,
    ending: str,
    status: int,
    lists: int,
) -> None:
    """The erasure was first and has not committed: the request waits for it, and then sees what became of it."""
    erasing = await asyncpg.connect(admin_dsn)
    await erasing.execute("BEGIN")
    await erasing.execute(erasure._LOCK, str(ann_id))
    await erasing.execute(erasure._TOMBSTONE, ann_id, "1-0")
    for statement in erasure._DELETE:
        await erasing.execute(statement, ann_id)
    late = asyncio.ensure_future(ann.post("/lists", json={"title": "Late"}))

    async def waiting() -> int:
        return int((await sql(WAITING))[0][0])

    await until(waiting, 1)
    await erasing.execute(ending)
    answer = await late
    await erasing.close()

    assert answer.status_code == status
    assert len(await sql("SELECT FROM lists WHERE owner_id = $1", ann_id)) == lists


async def test_inserts_do_not_wait_for_other_owners(fill: Fill, left: Left, admin_of: str) -> None:
    """One owner's insert under way holds up nobody else's."""
    other = await asyncpg.connect(admin_of)
    await other.execute("BEGIN")
    await other.execute(LIST, uuid4(), uuid4(), "Slow")
    async with asyncio.timeout(DEADLINE):
        ann = await fill()
    await other.close()

    assert await left(ann) == 2
