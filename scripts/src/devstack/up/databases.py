"""The services' databases: created where missing."""

import asyncpg

from devstack.processes import StackError
from devstack.up.settings import DATABASES, OWN_DATABASE, given, plain

MEANWHILE = (asyncpg.DuplicateDatabaseError, asyncpg.UniqueViolationError)


async def create_missing(server: str) -> None:
    """Create the databases that no variable of their own names."""
    wanted = [name for service, name in DATABASES.items() if not given(OWN_DATABASE[service])]
    try:
        connection = await asyncpg.connect(plain(server), timeout=10)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        raise StackError(f"cannot connect to the PostgreSQL that DATABASE_URL names: {_reason(error)}") from error
    try:
        for name in wanted:
            await _create(connection, name)
    except asyncpg.InsufficientPrivilegeError as error:
        raise StackError(
            f"the user of DATABASE_URL may not create databases: create {' and '.join(wanted)} there,"
            f" or set {' and '.join(OWN_DATABASE.values())}"
        ) from error
    finally:
        await connection.close()


async def _create(connection: asyncpg.Connection, name: str) -> None:
    if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name):
        try:
            await connection.execute(f'CREATE DATABASE "{name}"')
        except MEANWHILE:
            return


def _reason(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
