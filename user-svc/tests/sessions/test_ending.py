"""Ending sessions: revoked, buried and posted in one statement, or nothing of it."""

import time
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from msgspec.structs import replace

from common.testing import client_of, session_of
from user_svc.app import create_app
from user_svc.sessions.ending import END_ONE, END_OTHERS, END_OWN, ending
from user_svc.sessions.repository import SessionRepository
from user_svc.settings import Settings

Rows = Callable[..., Awaitable[list[tuple[Any, ...]]]]
MakeRow = Callable[..., Awaitable[UUID]]
Buried = Callable[[UUID], Awaitable[None]]
Dead = Callable[[], Awaitable[list[set[UUID]]]]

DEACTIVATE = ending(
    "account_id IN (SELECT id FROM changed)",
    because="UPDATE accounts SET is_active = false WHERE id = $2 AND is_active RETURNING id",
)
REFUSE = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''no''; END';
CREATE TRIGGER refuse BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION refuse();
"""


@pytest.fixture
async def ann(make_account: MakeRow) -> UUID:
    """Her account."""
    return await make_account()


@pytest.fixture
def dead(rows: Rows) -> Dead:
    """The sessions that are revoked, those that are buried, and those that Redis is to be told of."""

    async def dead() -> list[set[UUID]]:
        statements = (
            "SELECT id FROM sessions WHERE revoked_at IS NOT NULL",
            "SELECT session_id FROM tombstones",
            "SELECT (payload->>'session')::uuid FROM outbox WHERE topic = 'standing'",
        )
        return [{id_ for (id_,) in await rows(statement)} for statement in statements]

    return dead


async def test_one_session_ends_whole(
    repository: SessionRepository, ann: UUID, make_session: MakeRow, rows: Rows, dead: Dead
) -> None:
    """Revoked, buried for as long as its tokens can live, and posted; the account's other session is not touched."""
    session, _ = await make_session(ann), await make_session(ann)

    assert await repository.end(END_ONE, session) == 1

    assert await dead() == [{session}] * 3
    [(seconds,)] = await rows("SELECT extract(epoch FROM until - now())::float8 FROM tombstones")
    assert seconds == pytest.approx(600, abs=10)


async def test_ending_twice_changes_nothing(
    repository: SessionRepository, ann: UUID, make_session: MakeRow, rows: Rows
) -> None:
    """A second logout is harmless (RFC 7009 section 2.2): the first time stands, and nothing is posted again."""
    session = await make_session(ann)
    await repository.end(END_ONE, session)
    everything = "SELECT s::text, t::text, o::text FROM sessions s, tombstones t, outbox o"
    before = await rows(everything)

    assert await repository.end(END_ONE, session) == 0
    assert await repository.end(END_ONE, uuid4()) == 0

    assert len(before) == 1
    assert await rows(everything) == before


async def test_nobody_ends_a_session_of_somebody_else(
    repository: SessionRepository, ann: UUID, make_account: MakeRow, make_session: MakeRow, dead: Dead
) -> None:
    """The owner stands in the statement."""
    bob = await make_account("bob@example.com")
    session = await make_session(ann)

    assert await repository.end(END_OWN, session, bob) == 0
    assert await dead() == [set()] * 3
    assert await repository.end(END_OWN, session, ann) == 1
    assert await dead() == [{session}] * 3


async def test_the_others_are_all_but_this_one(
    repository: SessionRepository, ann: UUID, make_account: MakeRow, make_session: MakeRow, dead: Dead
) -> None:
    """Of this account: its current session and everybody else's stay."""
    bob = await make_account("bob@example.com")
    current, *others = [await make_session(ann) for _ in range(3)]
    await make_session(bob)

    assert await repository.end(END_OTHERS, current, ann) == 2
    assert await dead() == [set(others)] * 3


async def test_a_change_and_what_it_ends_are_one(
    repository: SessionRepository, ann: UUID, make_session: MakeRow, rows: Rows, dead: Dead
) -> None:
    """`because` is made with them and counted; where it changes nothing, nothing ends."""
    session = await make_session(ann)

    assert await repository.end(DEACTIVATE, uuid4()) == 0
    assert await dead() == [set()] * 3
    assert await repository.end(DEACTIVATE, ann) == 1
    assert await dead() == [{session}] * 3
    assert await rows("SELECT is_active FROM accounts") == [(False,)]


async def test_a_change_counts_without_any_session(repository: SessionRepository, ann: UUID, rows: Rows) -> None:
    """Somebody who is logged in nowhere is deactivated all the same."""
    assert await repository.end(DEACTIVATE, ann) == 1
    assert await rows("SELECT is_active FROM accounts") == [(False,)]


@pytest.fixture(params=["outbox", "tombstones"])
async def _full(request: pytest.FixtureRequest, settings: Settings) -> None:
    """A table that takes nothing more."""
    connection = await asyncpg.connect(settings.database_url.reveal())
    await connection.execute(REFUSE.format(table=request.param))
    await connection.close()


@pytest.mark.usefixtures("_full")
async def test_what_cannot_be_told_is_not_ended(
    repository: SessionRepository, ann: UUID, make_session: MakeRow, rows: Rows, dead: Dead
) -> None:
    """No tombstone or no post: then no revocation either, and no change, so that no other service is left behind."""
    session = await make_session(ann)

    for statement, argument in ((END_ONE, session), (DEACTIVATE, ann)):
        with pytest.raises(asyncpg.RaiseError):
            await repository.end(statement, argument)

    assert await dead() == [set()] * 3
    assert await rows("SELECT is_active FROM accounts") == [(True,)]


async def test_a_logout_while_redis_is_away_holds(
    settings: Settings, unconnected: Settings, buried: Buried, rows: Rows
) -> None:
    """204, and dead at `/me` at once; Redis is told by the next app that can, though the one that ended it is gone."""
    ann = {"email": "ann@example.com", "password": "correct horse battery"}
    posted = "SELECT count(*) FROM outbox WHERE topic = 'standing'"
    async with client_of(create_app(replace(settings, redis_url=unconnected.redis_url))) as alone:
        await alone.post("/auth/register", json=ann)
        login = await alone.post("/auth/jwt/login", data={"username": ann["email"], "password": ann["password"]})
        token = login.json()["access_token"]
        alone.headers["Authorization"] = f"Bearer {token}"
        answers = [await alone.post("/auth/jwt/logout"), await alone.get("/me")]
    assert [answer.status_code for answer in answers] == [204, 401]
    assert await rows(posted) == [(1,)]

    async with client_of(create_app(settings)):
        await buried(session_of(token))
        end = time.monotonic() + 5
        while await rows(posted) != [(0,)]:
            assert time.monotonic() < end, "the post was kept"
