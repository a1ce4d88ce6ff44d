"""Unit of work: several changes that stand or fall together, through advanced-alchemy's repositories."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from common.connection import connect
from common.database import translated
from common.pool import IDLE, WAIT


class UnitOfWork:
    """`async with unit_of_work() as session:` is one transaction, committed before the block is left.

    A COMMIT that fails therefore raises where the caller can still answer with an error. `pooled` as in `Database`:
    SQLAlchemy names no statement of its own then, and begins a transaction even to see whether a connection is good.
    """

    def __init__(self, dsn: str, *, size: int, application: str, pooled: bool = False) -> None:
        self._engine = create_async_engine(
            "postgresql+asyncpg://",
            async_creator=partial(connect, dsn, application=application, pooled=pooled),
            pool_size=size,
            max_overflow=0,
            pool_timeout=WAIT,
            pool_pre_ping=True,
            pool_recycle=IDLE,  # of its age, not its idleness; the ping alone waits for what a firewall has forgotten
            hide_parameters=True,  # an error's text must not carry a password hash into a log
        )
        self._sessions = async_sessionmaker(self._engine, expire_on_commit=False)

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[AsyncSession]:
        """Open a transaction; leaving the block commits it.

        Raises:
            Unavailable: PostgreSQL cannot be reached; nothing was kept.

        """
        with translated():
            try:
                async with self._sessions.begin() as session:
                    yield session
            except PoolTimeout as error:
                raise TimeoutError from error

    async def close(self) -> None:
        """Give the connections back."""
        await self._engine.dispose()


class SessionStatements:
    """The statements of `common.database.Statements` in a session's own transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def rows(self, statement: str, *arguments: Any) -> list[Any]:
        """All rows of one statement, which must give rows."""
        connection = await self._session.connection()
        return list((await connection.exec_driver_sql(statement, arguments)).all())

    async def row(self, statement: str, *arguments: Any) -> Any:
        """The first row of one statement, if it has one."""
        return next(iter(await self.rows(statement, *arguments)), None)
