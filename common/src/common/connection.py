"""Connections to PostgreSQL: what each is told, and what becomes of one that nobody waits for any more."""

import asyncio
from typing import Any, Final

import asyncpg

from common.telemetry.spans import connection_class

CONNECT: Final = 2.0  # seconds
STATEMENT: Final = 5.0  # seconds
KEPT: Final = 100  # statements that are remembered for a connection; asyncpg's default

# What our statements take or give, and asyncpg has to ask PostgreSQL about.
_ARRAYS: Final = "SELECT NULL::int4[], NULL::int8[], NULL::uuid[], NULL::record[]"

_late: set[asyncio.Task[Any]] = set()


async def connect(dsn: str, *, application: str, pooled: bool = False) -> Any:
    """One for requests.

    Where it is `pooled`, each of its transactions may be in another session: PostgreSQL keeps no statement for it. Then
    asyncpg, told to cache none, has an unnamed one parsed anew by the very message that runs it.
    """
    kind = connection_class()
    connection = await dial(
        dsn,
        connection_class=type("Pooled", (_Remembering, kind), {}) if pooled else kind,
        server_settings={"application_name": application, "timezone": "UTC"},
        statement_cache_size=0 if pooled else KEPT,
    )
    if pooled:
        try:
            await _learn(connection)
        except BaseException:
            connection.terminate()
            raise
    return connection


async def dial(dsn: str, **options: Any) -> Any:
    """One that is made whole even if the caller is cancelled, and then closed.

    asyncpg, cancelled as the socket opens, drops a future of its TLS negotiation whose error nobody hears (0.32).
    """
    made = asyncio.create_task(asyncpg.connect(dsn, timeout=CONNECT, command_timeout=STATEMENT, **options))
    try:
        return await asyncio.shield(made)
    except asyncio.CancelledError:
        _late.add(made)
        made.add_done_callback(_close)
        raise


class _Remembering(asyncpg.Connection):
    """Knows what its statements take and give, so that it asks once, not each time: a third of what one costs.

    What it knows is of the tables as they were: whatever goes wrong, it asks anew.
    """

    def __init__(self, *words: Any, **options: Any) -> None:
        super().__init__(*words, **options)
        self._known: dict[str, Any] = {}

    async def fetch(self, query: str, *args: Any, **options: Any) -> Any:
        return await self._run("fetch", query, args, options)

    async def fetchrow(self, query: str, *args: Any, **options: Any) -> Any:
        return await self._run("fetchrow", query, args, options)

    async def _run(self, way: str, query: str, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        try:
            statement = self._known.get(query) or await self._meet(query)
            return await getattr(statement, way)(*args, **options)
        except BaseException:
            self._known.clear()
            raise

    async def _meet(self, query: str) -> Any:
        if len(self._known) == KEPT:
            self._known.clear()
        self._known[query] = statement = await self.prepare(query)
        return statement


async def _learn(connection: Any) -> None:
    """Meet every array that asyncpg does not know, in a transaction that leaves nothing.

    While it asks for one it turns the session's `jit` off, and on again in whatever session it has by then.
    """
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.fetch(_ARRAYS)
    finally:
        await transaction.rollback()


def _close(made: asyncio.Task[Any]) -> None:
    _late.discard(made)
    if not made.cancelled() and made.exception() is None:
        made.result().terminate()
