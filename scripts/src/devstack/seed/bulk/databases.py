"""Where a bulk load goes: the databases of both services, as a superuser, and whether it can go there."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import asyncpg
from msgspec import Struct

from devstack import control
from devstack.embedded.postgres import superuser
from devstack.seed.options import Options
from devstack.seed.service import SeedError
from devstack.stack import running_folder
from devstack.up.settings import OWN_DATABASE, database_urls, given

PER_OBJECT = 2_500  # bytes of disk, with all indexes and the log of changes
CONNECT = 10  # seconds
LOCK = 0x6761_7465  # an advisory one: two loads would give the same numbers
# A GIN index is quick when it takes in many entries at once; they wait in its list until we say so.
SETTINGS = {
    "application_name": "seed",
    "timezone": "UTC",
    "gin_pending_list_limit": "1GB",
    "work_mem": "64MB",
    "maintenance_work_mem": "256MB",
}
LAST = r"SELECT coalesce(max(substring(email_key FROM '\.bulk([0-9]{1,9})@example\.com$')::int), 0) FROM accounts"
ACCOUNTS = "VACUUM (ANALYZE, SKIP_LOCKED) accounts"
TODOS = "VACUUM (ANALYZE, SKIP_LOCKED) lists, todos, todo_search, changes, owners"


class Databases(Struct, frozen=True):
    """Both addresses, with their passwords: not for logs."""

    users: str
    todos: str

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[tuple[Any, Any]]:
        """A connection to each, user-svc's first."""
        async with _connection("user-svc", self.users) as users, _connection("todo-svc", self.todos) as todos:
            yield users, todos

    @asynccontextmanager
    async def claimed(self) -> AsyncIterator[int]:
        """See that a load can be done, and keep any other off; the number of the next user.

        Raises:
            SeedError: it cannot.

        """
        async with self.connected() as (users, todos):
            for service, connection in (("user-svc", users), ("todo-svc", todos)):
                if not await connection.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = current_user"):
                    raise SeedError(
                        f"the user of {service}'s database is no superuser, and row-level security refuses COPY to"
                        f" others: name one in {OWN_DATABASE[service]} for this command"
                    )
            if not await users.fetchval("SELECT pg_try_advisory_lock($1)", LOCK):
                raise SeedError("another bulk load is under way: wait for its end")
            yield 1 + int(await users.fetchval(LAST))

    async def settle(self) -> None:
        """Give the planner its numbers."""
        async with self.connected() as (users, todos):
            await users.execute(ACCOUNTS)
            await todos.execute(TODOS)


def find(options: Options) -> Databases:
    """The databases that the environment names as for `up`, else those of the running stack.

    Raises:
        StackError: no stack runs.
        SeedError: it cannot be loaded, or has too little room.

    """
    if given("DATABASE_URL") or all(given(name) for name in OWN_DATABASE.values()):
        urls = database_urls(given("DATABASE_URL") or "")
        return Databases(urls["user-svc"], urls["todo-svc"])
    folder = options.data.absolute() if options.data else running_folder()
    postgres = control.ask(folder, "status")["postgres"]
    if postgres["state"] == "external":
        raise SeedError("this stack's PostgreSQL is a server of yours: set DATABASE_URL, for a superuser of it")
    if postgres["state"] != "running":
        raise SeedError("PostgreSQL does not run: start it with ./scripts/stack start postgres")
    _check_room(folder, options)
    urls = postgres["databases"]
    return Databases(superuser(urls["user-svc"]), superuser(urls["todo-svc"]))


def _check_room(folder: Path, options: Options) -> None:
    needed, free = options.objects * PER_OBJECT, shutil.disk_usage(folder).free
    if free < needed:
        raise SeedError(f"{folder} has {free / 1e9:.1f} GB left, and this would take {needed / 1e9:.1f} GB")


@asynccontextmanager
async def _connection(service: str, dsn: str) -> AsyncIterator[Any]:
    """A connection.

    Raises:
        SeedError: there is none to be had.

    """
    try:
        connection = await asyncpg.connect(dsn, timeout=CONNECT, server_settings=SETTINGS)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SeedError(f"cannot connect to the database of {service}: {reason}") from None
    try:
        yield connection
    finally:
        await connection.close(timeout=CONNECT)


class refused:  # noqa: N801 - reads as a statement: `with refused():`
    """Turns what PostgreSQL says against a load into one line."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, ExceptionGroup):
            error = error.exceptions[0]
        if isinstance(error, asyncpg.UndefinedTableError | asyncpg.UndefinedColumnError):
            raise SeedError("the databases are not of this version: start the services once, or migrate") from None
        if isinstance(error, asyncpg.DiskFullError):
            raise SeedError("PostgreSQL has no room left; what is loaded so far is whole") from None
        if isinstance(error, asyncpg.PostgresError | asyncpg.InterfaceError | OSError):
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise SeedError(f"PostgreSQL: {reason}; what is loaded so far is whole") from None
        if isinstance(error, SeedError):
            raise error
