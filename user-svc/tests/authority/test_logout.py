"""A logout is one statement, and reaches Redis whatever happens to it."""

import asyncio
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import asyncpg
import msgspec
import pytest

from common.outbox import Relay
from common.settings import load
from common.testing import client_of, eventually, random_keys, session_of
from devstack.embedded import Valkey
from user_svc.app import create_app
from user_svc.sessions.ending import END_ONE
from user_svc.settings import Settings
from user_svc.standing import TOPIC

SOON = 10.0  # seconds a busy machine may take
LIFETIME = 600
ANN = {"email": "ann@example.com", "password": "correct horse battery"}


async def test_logout_is_one_statement(authority: Any) -> None:
    """The revoked session, its tombstone and the outbox entry are there together; a second logout adds nothing."""
    session = await authority.session()
    for _ in range(2):
        await authority.repository.end(END_ONE, session)
    [(revoked,)] = await authority.database.rows("SELECT revoked_at IS NOT NULL FROM sessions")
    [(buried, left)] = await authority.database.rows(
        "SELECT session_id, extract(epoch FROM until - now())::float8 FROM tombstones"
    )
    [(topic, payload)] = await authority.database.rows("SELECT topic, payload FROM outbox")
    assert (revoked, buried, topic, msgspec.json.decode(payload)) == (
        True,
        session,
        "standing",
        {"session": str(session)},
    )
    assert left == pytest.approx(LIFETIME, abs=SOON)


@pytest.mark.parametrize("table", ["outbox", "tombstones"])
async def test_logout_stands_or_falls_as_a_whole(authority: Any, table: str) -> None:
    """If either cannot be written, the session has not ended: no logout is lost half-way."""
    session = await authority.session()
    await authority.database.rows(f"ALTER TABLE {table} ADD CONSTRAINT never CHECK (false)")
    with pytest.raises(asyncpg.CheckViolationError):
        await authority.repository.end(END_ONE, session)
    [(revoked,)] = await authority.database.rows("SELECT revoked_at IS NOT NULL FROM sessions")
    assert (revoked, await authority.count("outbox"), await authority.count("tombstones")) == (False, 0, 0)


async def test_logout_of_nobody_leaves_nothing(authority: Any) -> None:
    """An unknown session gets no tombstone."""
    await authority.repository.end(END_ONE, uuid4())
    assert (await authority.count("outbox"), await authority.count("tombstones")) == (0, 0)


async def test_relay_tells_redis_of_a_logout(authority: Any) -> None:
    """From the statement to Redis through outbox and relay, within a quarter of a second."""
    session = await authority.session()
    async with Relay(authority.dsn, TOPIC, authority.side.deliver) as relay:
        assert await relay.flush(SOON)
        started = time.perf_counter()
        await authority.repository.end(END_ONE, session)
        await eventually(lambda: authority.buried(session))
        assert time.perf_counter() - started < 0.25


@pytest.mark.parametrize("outage", [Valkey.stop, Valkey.pause], ids=["stopped", "paused"])
async def test_logout_holds_though_redis_was_away(
    authority: Any, valkey_server: Valkey, outage: Callable[[Valkey], None]
) -> None:
    """204 in bounded time; the outbox keeps it, and Redis is told when it is back."""
    settings = load(
        Settings,
        {
            "DATABASE_URL": authority.dsn,
            "REDIS_URL": valkey_server.url,
            "JWT_KEYS": random_keys("first"),
            "ARGON2_MEMORY_KIB": "8",
            "ARGON2_PASSES": "1",
            "LOG_LEVEL": "ERROR",
        },
    )
    async with client_of(create_app(settings)) as client:
        await client.post("/auth/register", json=ANN)
        form = {"username": ANN["email"], "password": ANN["password"]}
        token = (await client.post("/auth/jwt/login", data=form)).json()["access_token"]
        outage(valkey_server)
        async with asyncio.timeout(2):
            answer = await client.post("/auth/jwt/logout", headers={"Authorization": f"Bearer {token}"})
        assert (answer.status_code, await authority.count("outbox")) == (204, 1)
        valkey_server.resume()
        if not valkey_server.alive:
            valkey_server.start()
        await eventually(lambda: authority.buried(session_of(token)))
        await eventually(lambda: authority.holds("outbox", 0))
