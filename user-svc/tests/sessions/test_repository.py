"""The statements of sessions, on a real PostgreSQL."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from common.database import Database
from common.dto import User
from common.errors import Unavailable
from common.http.client import Client
from user_svc.sessions.ending import END_ONE
from user_svc.sessions.repository import SESSIONS, Lifetimes, NewSession, SessionRepository, StoredCredentials
from user_svc.settings import Settings

MANY = """
INSERT INTO sessions (id, account_id, expires_at, last_used_at)
SELECT gen_random_uuid(), $1, now() + interval '1 hour', now() - ($2 - n) * interval '1 second'
FROM generate_series(1, $2::int) AS n RETURNING id
"""
STANDS = "revoked_at IS NULL AND expires_at > now()"

Rows = Callable[..., Awaitable[list[tuple[Any, ...]]]]
MakeRow = Callable[..., Awaitable[UUID]]


async def test_a_good_session_has_its_user(
    repository: SessionRepository, make_account: MakeRow, make_session: MakeRow
) -> None:
    """The standing is the whole `User`, as it is now."""
    ann = await make_account()
    session = await make_session(ann)

    assert await repository.standing(session, ann) == User(ann, "ann@example.com", True, False, False)


async def test_any_other_session_has_none(
    repository: SessionRepository, make_account: MakeRow, make_session: MakeRow
) -> None:
    """Revoked, expired, somebody else's, of an inactive account, or never opened: nobody stands behind it."""
    ann, bob = await make_account(), await make_account("bob@example.com", active=False)
    pairs = {
        "revoked": (await make_session(ann, revoked=True), ann),
        "expired": (await make_session(ann, ends_in=-0.001), ann),
        "inactive": (await make_session(bob), bob),
        "somebody else's": (await make_session(ann), bob),
        "never opened": (uuid4(), ann),
    }

    found = {name: await repository.standing(session, account) for name, (session, account) in pairs.items()}

    assert found == dict.fromkeys(pairs)


async def test_credentials_are_found_by_the_key_alone(repository: SessionRepository, make_account: MakeRow) -> None:
    """An inactive account is found too: the refusal must take the same time."""
    ann = await make_account(password_hash="$argon2id$", active=False)

    assert await repository.credentials("ann@example.com") == StoredCredentials(ann, "$argon2id$", False)
    assert await repository.credentials("nobody@example.com") is None


@pytest.mark.parametrize("hostile", ["' OR '1'='1", "%", "_nn@example.com", "ann@example.com'--", "\\"])
async def test_a_hostile_key_finds_nobody(repository: SessionRepository, make_account: MakeRow, hostile: str) -> None:
    """Keys are arguments, never text of a statement, and compared whole."""
    await make_account()

    assert await repository.credentials(hostile) is None


async def test_a_login_past_the_last_ends_the_oldest(
    repository: SessionRepository, make_account: MakeRow, make_session: MakeRow, rows: Rows
) -> None:
    """Of one account no more than that many stand; the one that was used longest ago ends as by a logout."""
    ann, bob = await make_account(password_hash="a"), await make_account("bob@example.com")
    others = [await make_session(bob), await make_session(ann, revoked=True), await make_session(ann, ends_in=-1)]
    opened = await rows(MANY, ann, SESSIONS)
    oldest, newest = opened[0][0], opened[-1][0]
    await rows("UPDATE sessions SET last_used_at = now() - interval '1 day' WHERE id = $1", newest)

    hour = timedelta(hours=1)
    new = NewSession(uuid4(), "a", b"first", Client("agent", "127.0.0.1"), Lifetimes(hour, hour))
    assert await repository.begin(StoredCredentials(ann, "a", True), new) is not None

    [[count]] = await rows(f"SELECT count(*) FROM sessions WHERE {STANDS} AND account_id = $1", ann)
    assert count == SESSIONS
    assert await rows("SELECT session_id FROM tombstones") == [(newest,)]
    assert await rows("SELECT payload->>'session' FROM outbox") == [(str(newest),)]
    left = await rows(f"SELECT id FROM sessions WHERE {STANDS} AND id = ANY($1)", [new.id, oldest, *others])
    assert {session for (session,) in left} == {new.id, oldest, others[0]}


async def test_revoking_twice_keeps_the_first_time(
    repository: SessionRepository, make_account: MakeRow, make_session: MakeRow, rows: Rows
) -> None:
    """A second logout is harmless (RFC 7009 section 2.2), and other sessions are not touched."""
    ann = await make_account()
    session, other = await make_session(ann), await make_session(ann)

    assert await repository.end(END_ONE, session) == 1
    first = await rows("SELECT * FROM sessions ORDER BY id")
    assert await repository.end(END_ONE, session) == 0
    assert await repository.end(END_ONE, uuid4()) == 0

    assert await rows("SELECT * FROM sessions ORDER BY id") == first
    assert await rows("SELECT id FROM sessions WHERE revoked_at IS NULL") == [(other,)]


async def test_without_postgresql_nothing_is_known(unconnected: Settings) -> None:
    """Nobody there is `Unavailable`, never "no such session"."""
    async with Database(unconnected.database_url.reveal(), size=1, application="test") as database:
        with pytest.raises(Unavailable):
            await SessionRepository(database, token_lifetime=600).standing(uuid4(), uuid4())
