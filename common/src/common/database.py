"""PostgreSQL: one pool per process for single statements, straight on asyncpg, and what counts as "it is away"."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import TracebackType
from typing import Any, Protocol, Self
from uuid import UUID

import asyncpg
import structlog

from common.connection import connect
from common.errors import Unavailable
from common.pool import Pool

# Each transaction was in another session, which has no such statement, or somebody else's of that name.
UNTOLD_POOLER = (asyncpg.DuplicatePreparedStatementError, asyncpg.InvalidSQLStatementNameError)

AWAY = (
    *UNTOLD_POOLER,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # the server has said farewell, and the connection's end is still to be read
    asyncpg.OperatorInterventionError,  # shutting down, starting up, a statement cancelled
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,  # deadlock, serialization: try again
    asyncpg.ReadOnlySQLTransactionError,  # a failover is under way
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    OSError,
    TimeoutError,
)

# Asked once per process, on its first connection.
_UNHELD = """
SELECT rolname FROM pg_roles WHERE rolname = current_user AND (rolsuper OR rolbypassrls)
AND EXISTS (SELECT FROM pg_class WHERE relrowsecurity)
"""

_log = structlog.get_logger()


class Statements(Protocol):
    """What takes statements: a database, or a transaction of it."""

    async def rows(self, statement: str, *arguments: Any) -> list[asyncpg.Record]:
        """All rows of one statement."""
        ...

    async def row(self, statement: str, *arguments: Any) -> asyncpg.Record | None:
        """The first row of one statement, if it has one."""
        ...


class Transactions(Statements, Protocol):
    """What also takes several statements of one owner's that stand or fall together."""

    def owned(self, owner: UUID, *, first: str = "") -> AbstractAsyncContextManager["Transaction"]:
        """A transaction in which row-level security shows this owner's rows; inside another one, a part of it.

        It begins with `first`, a statement on `{owner}`, in the same round trip.
        """
        ...


class Transaction:
    """Statements that stand or fall together."""

    def __init__(self, connection: Any, begun: str = "") -> None:
        self._connection = connection
        self._begun = begun

    async def rows(self, statement: str, *arguments: Any) -> list[asyncpg.Record]:
        """See `Statements`."""
        with translated():
            rows: list[asyncpg.Record] = await self._connection.fetch(statement, *arguments)
            return rows

    async def row(self, statement: str, *arguments: Any) -> asyncpg.Record | None:
        """See `Statements`."""
        with translated():
            row: asyncpg.Record | None = await self._connection.fetchrow(statement, *arguments)
            return row

    @asynccontextmanager
    async def owned(self, owner: UUID, *, first: str = "") -> AsyncIterator["Transaction"]:
        """See `Transactions`: what is done in it stands or falls with the whole, which begins only once."""
        if first and first != self._begun:
            with translated():  # by `execute`, whose text no trace tells: it has the owner in it
                await self._connection.execute(first.format(owner=UUID(str(owner))))
            self._begun = first
        yield self


class Database:
    """Statements that are whole in themselves: PostgreSQL commits each before its answer arrives.

    Connections are made when first needed, so that a service starts, and returns, without PostgreSQL's leave. No state
    is ever left on one, so none is reset on release: that would cost a round trip per request. `pooled` says that they
    lead to a pooler, which gives each transaction any session.
    """

    def __init__(self, dsn: str, *, size: int, application: str, pooled: bool = False) -> None:
        self._dsn = dsn
        self._application = application
        self._pooled = pooled
        self._pool = Pool(self._connect, size)
        self._looked = False

    async def __aenter__(self) -> Self:
        self._pool.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._pool.close()

    async def rows(self, statement: str, *arguments: Any) -> list[asyncpg.Record]:
        """All rows of one statement.

        Raises:
            Unavailable: PostgreSQL cannot be reached; nothing was promised.

        """
        with await self._lent() as connection:
            rows: list[asyncpg.Record] = await connection.fetch(statement, *arguments)
            return rows

    async def row(self, statement: str, *arguments: Any) -> asyncpg.Record | None:
        """The first row of one statement, if it has one; raises as `rows` does."""
        with await self._lent() as connection:
            row: asyncpg.Record | None = await connection.fetchrow(statement, *arguments)
            return row

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        """A connection for statements that stand or fall together, committed before the block is left."""
        with await self._lent() as connection:
            async with connection.transaction():
                yield connection

    @asynccontextmanager
    async def owned(self, owner: UUID, *, first: str = "") -> AsyncIterator[Transaction]:
        """A transaction in which row-level security shows this owner's rows; committed before the block is left.

        `first` as in `Transactions`.

        Raises:
            Unavailable: PostgreSQL cannot be reached, or did not commit.

        """
        with await self._lent() as connection:
            begin = f"BEGIN; SELECT set_config('gatehouse.owner', '{{owner}}', true); {first}"
            try:
                await connection.execute(begin.format(owner=UUID(str(owner))))
                yield Transaction(connection, first)
            except BaseException as error:
                if _is_sound(error) and not connection.is_closed():
                    await connection.execute("ROLLBACK")
                raise  # cut off without a word, where none would be answered
            if await connection.execute("COMMIT") != "COMMIT":
                raise Unavailable("the change was not kept")

    async def answers(self) -> bool:
        """Whether PostgreSQL answers now, for readiness."""
        try:
            async with asyncio.timeout(1):
                return await self.row("SELECT 1") is not None
        except (Unavailable, TimeoutError):
            return False

    async def _lent(self) -> "Lease":
        return Lease(self._pool, self._pool.take() or await self._wait())

    async def _wait(self) -> Any:
        with translated():
            return await self._pool.wait()

    async def _connect(self) -> Any:
        connection = await connect(self._dsn, application=self._application, pooled=self._pooled)
        try:
            await self._look(connection)
        except BaseException:
            connection.terminate()
            raise
        return connection

    async def _look(self, connection: Any) -> None:
        """Whoever runs this as a superuser is told that the second lock on ownership is open."""
        if not self._looked:
            role = await connection.fetchval(_UNHELD)
            if role and not self._looked:
                _log.error("row-level security does not hold for this role", role=role)
            self._looked = True


class Lease:
    """A connection for the time of a `with` block, given back as it was or dropped; errors are `translated`."""

    __slots__ = ("_connection", "_pool")

    def __init__(self, pool: Pool, connection: Any) -> None:
        self._pool = pool
        self._connection = connection

    def __enter__(self) -> Any:
        return self._connection

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._pool.give(self._connection)
            return
        put = self._pool.give if _is_sound(error) else self._pool.drop
        put(self._connection)
        _raise(_away(error))


class translated:  # noqa: N801 - reads as a statement: `with translated():`
    """Turns whatever means that PostgreSQL is away into `Unavailable`, and nothing else."""

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _raise(_away(error))


def _away(error: BaseException | None) -> BaseException | None:
    """What of an error, or of its causes, means that PostgreSQL is away."""
    while error is not None and not isinstance(error, AWAY):
        error = error.__cause__
    return error


def _is_sound(error: BaseException) -> bool:
    """Whether a connection on which this was raised is as good as before: PostgreSQL answered, and stays."""
    cause = _away(error)
    return isinstance(error, Exception) and (cause is None or isinstance(cause, asyncpg.TransactionRollbackError))


def _raise(cause: BaseException | None) -> None:
    if isinstance(cause, asyncpg.TransactionRollbackError):
        raise Unavailable("changes of the same things got in each other's way; try again", retry_after=1) from cause
    if isinstance(cause, UNTOLD_POOLER):
        raise Unavailable("a pooler stands before the database, of which DATABASE_POOLER says nothing") from cause
    if cause is not None:
        raise Unavailable("the database cannot be reached right now") from cause
