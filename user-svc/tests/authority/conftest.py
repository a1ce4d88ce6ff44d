"""user-svc's side of standing, on a real PostgreSQL and Valkey."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from common.auth.channel import identity
from common.auth.standing import READY, TOMBSTONE, key
from common.database import Database
from common.outbox import Entry
from common.redis import connect
from common.values import RedisUrl
from user_svc.sessions.repository import SessionRepository
from user_svc.standing import StandingAuthority

SOON = 10.0  # seconds a busy machine may take
LIFETIME = 600


class Authority:
    """user-svc's side, its two servers, and what others may look at."""

    def __init__(self, dsn: str, redis_url: str, database: Database) -> None:
        self.dsn = dsn
        self.database = database
        self.redis = Redis.from_url(redis_url)
        self.side = StandingAuthority(connect(RedisUrl(redis_url)), database, lifetime=LIFETIME)
        self.repository = SessionRepository(database, token_lifetime=LIFETIME)

    async def session(self) -> UUID:
        """A new account's new session."""
        account, session = uuid4(), uuid4()
        await self.database.rows(
            "INSERT INTO accounts (id, email, email_key, password_hash) VALUES ($1, $2, $2, '-')",
            account,
            f"{account}@example.com",
        )
        await self.database.rows(
            "INSERT INTO sessions (id, account_id, expires_at) VALUES ($1, $2, now() + interval '1 day')",
            session,
            account,
        )
        return session

    async def bury(self, session: UUID, seconds: float = LIFETIME) -> None:
        """A tombstone in PostgreSQL."""
        await self.database.rows(
            "INSERT INTO tombstones VALUES ($1, now() + $2 * interval '1 second')", session, seconds
        )

    async def count(self, table: str) -> int:
        """How many rows it has."""
        row = await self.database.row(f"SELECT count(*) FROM {table}")
        return int(row[0]) if row else -1

    async def deliver(self, *sessions: UUID) -> None:
        """As the relay does."""
        connection = await asyncpg.connect(self.dsn)
        now = time.time()
        entries = [Entry(number, f'{{"session": "{session}"}}', now, 0) for number, session in enumerate(sessions)]
        try:
            await self.side.deliver(connection, entries)
        finally:
            await connection.close()

    async def kept(self, session: UUID) -> Any:
        """What Redis says of it."""
        return await self.redis.get(key(session))

    async def holds(self, table: str, count: int) -> bool:
        """Whether it has so many rows."""
        return await self.count(table) == count

    async def buried(self, session: UUID) -> bool:
        """Whether Redis has the tombstone."""
        return bool(await self.kept(session) == TOMBSTONE)

    async def is_ready(self) -> bool:
        """Whether Redis says, of itself, that every tombstone is there."""
        try:
            return bool(await self.redis.get(READY) == await identity(self.redis))
        except RedisError:
            return False


@pytest.fixture
async def authority(database: Callable[[str], Awaitable[str]], redis_url: str) -> AsyncIterator[Authority]:
    """Its watch is not running; `async with authority.side` runs it."""
    dsn = await database("user_svc")
    async with Database(dsn, size=4, application="user-svc") as pool:
        authority = Authority(dsn, redis_url, pool)
        yield authority
        await authority.redis.aclose()
        await authority.side._redis.aclose()
