"""Housekeeping: what has been over for long goes, and nothing that anybody may still need."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import pytest

from common import housekeeping as sweeper
from common.database import Database
from common.testing import client_of, eventually
from user_svc import housekeeping
from user_svc.app import create_app
from user_svc.housekeeping import Housekeeping
from user_svc.settings import Settings

Rows = Callable[..., Awaitable[list[tuple[Any, ...]]]]
Open = Callable[..., Awaitable[UUID]]

SESSION = """
INSERT INTO sessions (id, account_id, expires_at, revoked_at)
VALUES ($1, $2, now() + $3 * interval '1 hour', now() + $4 * interval '1 hour')
"""
TOKEN = """
INSERT INTO refresh_tokens (token_hash, session_id, expires_at, used_at)
VALUES (sha256(uuid_send($1)), $1, now() - interval '10 days', now() - interval '20 days')
"""
STANDING = """
SELECT gen_random_uuid(), account_id, now() + n * interval '1 hour' FROM sessions, generate_series(1, 2000) AS n
"""
POSTED = "INSERT INTO outbox (topic, payload, created_at) VALUES ($1, '{}', now() - $2 * interval '1 hour')"


@pytest.fixture
async def pool(settings: Settings) -> AsyncIterator[Database]:
    """A pool of the app's database."""
    async with Database(settings.database_url.reveal(), size=2, application="test") as pool:
        yield pool


@pytest.fixture
async def opened(rows: Rows) -> Open:
    """A session with a used refresh token; it expires, and was revoked, so many hours from now."""
    ann = uuid4()
    await rows("INSERT INTO accounts (id, email, email_key, password_hash) VALUES ($1, 'a@b.c', 'a@b.c', '-')", ann)

    async def opened(expires: float, revoked: float | None = None) -> UUID:
        session = uuid4()
        await rows(SESSION, session, ann, expires, revoked)
        await rows(TOKEN, session)
        return session

    return opened


async def test_sessions_go_a_day_after_their_end(pool: Database, opened: Open, rows: Rows) -> None:
    """With their refresh tokens; a session that stands keeps all of its own, or reuse could not be noticed."""
    await opened(-25)
    await opened(100, revoked=-25)
    kept = {await opened(1), await opened(-23), await opened(100, revoked=-23)}

    await Housekeeping(pool).sweep()

    assert {session for (session,) in await rows("SELECT id FROM sessions")} == kept
    assert {session for (session,) in await rows("SELECT session_id FROM refresh_tokens")} == kept


async def test_what_stands_is_not_read_for_what_is_over(opened: Open, rows: Rows) -> None:
    """Each batch finds the sessions that are over by an index, however many stand."""
    await opened(100)
    await rows(f"INSERT INTO sessions (id, account_id, expires_at) {STANDING}")
    await rows("ANALYZE sessions")

    plan = "".join(line for (line,) in await rows(f"EXPLAIN {housekeeping.SWEEPS[0].replace('$1', '100')}"))

    assert "Index Scan using ix_sessions_over" in plan


async def test_mails_that_nobody_sends_go_in_the_end(pool: Database, rows: Rows) -> None:
    """Two days on a mail is of no use; a standing or an event is delivered however late it is."""
    for topic in ("mail", "standing", "events"):
        await rows(POSTED, topic, 47)
        await rows(POSTED, topic, 49)

    await Housekeeping(pool).sweep()

    left = await rows("SELECT topic, count(*) FROM outbox GROUP BY topic ORDER BY topic")
    assert left == [("events", 2), ("mail", 1), ("standing", 2)]


async def test_idempotency_keys_go_after_a_day(pool: Database, rows: Rows) -> None:
    """Nobody repeats a request after so long."""
    for hours in (23, 25):
        await rows(
            "INSERT INTO idempotency_keys (scope, key, fingerprint, status, body, created_at) "
            "VALUES ('a@b.c', $1::text, '', 201, '', now() - $2 * interval '1 hour')",
            str(hours),
            hours,
        )

    await Housekeeping(pool).sweep()

    assert await rows("SELECT key FROM idempotency_keys") == [("23",)]


async def test_no_statement_takes_more_than_a_batch(
    pool: Database, opened: Open, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However much has piled up, it goes a little at a time, and all of it."""
    monkeypatch.setattr(housekeeping, "BATCH", 2)
    for _ in range(5):
        await opened(-25)
    taken = []
    ask = pool.rows

    async def counted(statement: str, *arguments: Any) -> Any:
        answer = await ask(statement, *arguments)
        taken.append(len(answer))
        return answer

    monkeypatch.setattr(pool, "rows", counted)
    await Housekeeping(pool).sweep()

    assert taken == [2, 2, 1, 0, 0]
    assert await rows("SELECT FROM sessions") == []


async def test_rows_that_somebody_holds_are_left_for_the_next_time(pool: Database, opened: Open, rows: Rows) -> None:
    """Two processes that sweep at once do not wait for each other."""
    held, _ = await opened(-25), await opened(-25)
    async with pool.transaction() as other:
        await other.execute("SELECT FROM sessions WHERE id = $1 FOR UPDATE", held)
        await Housekeeping(pool).sweep()
        assert await rows("SELECT id FROM sessions") == [(held,)]

    await Housekeeping(pool).sweep()
    assert await rows("SELECT id FROM sessions") == []


async def test_a_sweep_that_fails_is_not_the_last(pool: Database, rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes again and again, whatever went wrong."""
    monkeypatch.setattr(sweeper, "EVERY", 0.02)
    tries = 0
    sweep = Housekeeping.sweep

    async def counted(broom: Housekeeping) -> None:
        nonlocal tries
        tries += 1
        await sweep(broom)

    async def empty() -> bool:
        return await rows("SELECT FROM outbox") == []

    monkeypatch.setattr(Housekeeping, "sweep", counted)
    await rows("ALTER TABLE outbox RENAME TO later")
    async with Housekeeping(pool):
        await eventually(lambda: tries > 1)
        await rows("ALTER TABLE later RENAME TO outbox")
        await rows(POSTED, "mail", 49)
        await eventually(empty)


async def test_the_service_sweeps_when_it_starts(settings: Settings, opened: Open, rows: Rows) -> None:
    """Nobody has to run anything."""
    await opened(-25)

    async def empty() -> bool:
        return await rows("SELECT FROM sessions") == []

    async with client_of(create_app(settings)):
        await eventually(empty)
