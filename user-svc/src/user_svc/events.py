"""What other services must learn of accounts: relayed to a Redis stream, and kept in a table to catch up from."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

import asyncpg
from litestar import Request, get
from litestar.di import NamedDependency
from litestar.params import FromQuery, QueryParameter

from common.auth import PUBLIC, KeyRing
from common.auth.services import verify
from common.database import Database
from common.dto import ErasedUser, ErasedUsers
from common.events import STREAM
from common.outbox import Entry
from common.redis import TaggedRedis

TOPIC: Final = "events"
LENGTH: Final = 100_000  # entries the stream keeps, about
PAGE: Final = 500

_AFTER = """
SELECT sequence, account_id, erased_at FROM erasures WHERE sequence > $1 ORDER BY sequence LIMIT $2
"""


class EventStream:
    """The outbox's deliveries of the topic `events`."""

    def __init__(self, redis: TaggedRedis) -> None:
        self._redis = redis

    async def deliver(
        self, _connection: "asyncpg.Connection[asyncpg.Record]", entries: Sequence[Entry]
    ) -> tuple[int, ...]:
        """Append them; a repeat after a crash is harmless, because readers mind the user and not the entry."""
        async with self._redis.pipeline(transaction=False) as pipeline:
            for entry in entries:
                pipeline.xadd(self._redis.tag + STREAM, {"event": entry.payload}, maxlen=LENGTH, approximate=True)
            await pipeline.execute()
        return ()


class Erasures:
    """The deleted accounts, for services that lost the stream."""

    def __init__(self, database: Database, keys: KeyRing) -> None:
        self._database = database
        self._keys = keys

    async def after(self, request: Request[Any, Any, Any], sequence: int) -> ErasedUsers:
        """The next ones, for a service that signs its request.

        Raises:
            Unauthorized: it is none of ours.

        """
        target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        verify(self._keys, request.headers.get("authorization", ""), request.method, target)
        rows: list[tuple[int, UUID, datetime]] = [
            tuple(row) for row in await self._database.rows(_AFTER, sequence, PAGE)
        ]
        return ErasedUsers([ErasedUser(*row) for row in rows])


@get("/internal/erasures", opt={"auth": PUBLIC}, include_in_schema=False)
async def list_erasures(
    request: Request[Any, Any, Any],
    erasures: NamedDependency[Erasures],
    after: FromQuery[Annotated[int, QueryParameter(ge=0, le=2**63 - 1)]] = 0,
) -> ErasedUsers:
    """Deleted accounts behind a sequence number; open to services alone, by their own signature."""
    return await erasures.after(request, after)
