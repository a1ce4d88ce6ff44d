"""`todo-svc users reconcile`: what deleted accounts left here is listed, and mended when asked for."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
import pytest_asyncio
import uvicorn
from click.testing import CliRunner, Result
from litestar import Litestar
from msgspec.structs import fields

from devstack.ports import free_port
from todo_svc.__main__ import main
from todo_svc.settings import Settings

Sql = Callable[..., Awaitable[list[asyncpg.Record]]]
Run = Callable[..., Awaitable[Result]]

LIST = "INSERT INTO lists (owner_id, id, title) VALUES ($1, gen_random_uuid(), gen_random_uuid()::text)"
OWNERS = "SELECT owner_id FROM lists WHERE owner_id = ANY($1)"

in_the_loop = partial(pytest_asyncio.fixture, loop_scope="session")


def invoke(*words: str, **variables: str) -> Result:
    """Run the program with these variables and no others."""
    names = [name for field in fields(Settings) for name in (field.name.upper(), f"{field.name.upper()}_FILE")]
    return CliRunner().invoke(main, ["users", *words], env=dict.fromkeys(names) | variables)


@in_the_loop()
async def user_url(user_app: Litestar) -> AsyncIterator[str]:
    """Where user-svc listens: the command has an event loop of its own, and comes over a socket."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(user_app, port=port, lifespan="off", ws="none", log_config=None))
    serving = asyncio.ensure_future(server.serve())
    end = time.monotonic() + 10.0
    while not server.started:
        assert time.monotonic() < end, "user-svc did not start"
        await asyncio.sleep(0.01)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    await serving


@pytest.fixture
def reconcile(pair_variables: dict[str, str], user_url: str) -> Run:
    """Run the command on the test's databases, in a thread."""

    async def run(*words: str, **changes: str) -> Result:
        variables = pair_variables | {"ENVIRONMENT": "development", "USER_SVC_URL": user_url} | changes
        return await asyncio.to_thread(invoke, "reconcile", *words, **variables)

    return run


@in_the_loop()
async def orphan(sql: Sql, user_dsn: str) -> UUID:
    """Somebody whose account was deleted, of which nothing arrived here."""
    owner = uuid4()
    for _ in range(2):
        await sql(LIST, owner)
    connection = await asyncpg.connect(user_dsn)
    await connection.execute("INSERT INTO erasures (account_id) VALUES ($1)", owner)
    await connection.close()
    return owner


async def test_orphans_are_listed_then_mended(reconcile: Run, orphan: UUID, sql: Sql) -> None:
    """Without `--mend` they are only named, with code 1; with it they go, and nobody else; then there are none."""
    living = uuid4()
    await sql(LIST, living)

    listed = await reconcile()
    assert (listed.exit_code, listed.output) == (1, f"{orphan}\n1 orphaned owner\n")
    assert len(await sql(OWNERS, [orphan])) == 2

    mended = await reconcile("--mend")
    assert (mended.exit_code, mended.output) == (0, f"{orphan}\n1 orphaned owner, mended\n")
    assert [row[0] for row in await sql(OWNERS, [orphan, living])] == [living]

    again = await reconcile()
    assert (again.exit_code, again.output) == (0, "0 orphaned owners\n")


async def test_a_mended_owner_stays_away(reconcile: Run, orphan: UUID, sql: Sql) -> None:
    """Mending leaves a tombstone, as an event does."""
    await reconcile("--mend")

    with pytest.raises(asyncpg.PostgresError, match="the account was deleted"):
        await sql(LIST, orphan)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"USER_SVC_URL": "http://127.0.0.1:1"}, "Error: the deletions cannot be asked for\n"),
        (
            {"DATABASE_URL": "postgresql://u:hush-hush@127.0.0.1:1/x"},
            "Error: the database cannot be reached right now\n",
        ),
    ],
)
@pytest.mark.usefixtures("orphan")
async def test_what_is_away_is_one_line(reconcile: Run, changes: dict[str, str], told: str) -> None:
    """Neither user-svc's nor PostgreSQL's absence is taken for a clean house."""
    result: Any = await reconcile(**changes)

    assert (result.exit_code, result.output) == (1, told)


def test_a_missing_setting_is_one_line() -> None:
    """Without settings: exit code 2, and what is missing."""
    result = invoke("reconcile")

    assert (result.exit_code, result.output.count("\n")) == (2, 1)
