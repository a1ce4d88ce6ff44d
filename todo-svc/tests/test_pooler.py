"""Both services behind PgBouncer in transaction mode, with fewer connections to PostgreSQL than there are callers."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest

from common.database import Database
from common.settings import load
from common.testing import FlakyTransport, client_of
from devstack.embedded.pgbouncer import PgBouncer, installed
from devstack.fixtures import QUICK_LOGINS, TestPostgres
from devstack.ports import free_port
from todo_svc.app import create_app
from todo_svc.settings import Settings
from user_svc.app import create_app as create_user_app
from user_svc.settings import Settings as UserSettings

PASSWORD = "correct-horse-battery"
SIZE = 3  # connections to each database
CALLERS = 50
# What PgBouncer itself sets for each of its clients, and takes care to set again for the next.
TENDED = {"application_name", "client_encoding", "DateStyle", "standard_conforming_strings", "TimeZone"}
OWNER = "SELECT coalesce(current_setting('gatehouse.owner', true), ''), pg_backend_pid(), (SELECT count(*) FROM lists)"
LEFT = """
SELECT pg_backend_pid() AS session, array(SELECT name FROM pg_prepared_statements) AS statements,
    array(SELECT name FROM pg_settings WHERE source = 'session') AS settings,
    array(SELECT pg_listening_channels()) AS channels,
    (SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory') AS locks
FROM pg_sleep(0.1)
"""


@pytest.fixture
def bouncer(postgres_server: TestPostgres, tmp_path: Path) -> Iterator[PgBouncer]:
    """It stands before the worker's PostgreSQL."""
    if (program := installed()) is None:
        pytest.skip("no PgBouncer is installed here")
    bouncer = PgBouncer(program, tmp_path, free_port(), before=postgres_server, size=SIZE)
    bouncer.start()
    yield bouncer
    bouncer.stop()


@pytest.fixture
def pooled(bouncer: PgBouncer, pair_variables: dict[str, str]) -> Callable[[str], dict[str, str]]:
    """The environment of a service whose database is reached through it."""

    def variables(dsn: str) -> dict[str, str]:
        own = {"DATABASE_URL": bouncer.through(dsn), "DATABASE_DIRECT_URL": dsn, "DATABASE_POOLER": "transaction"}
        return pair_variables | QUICK_LOGINS | own | {"THROTTLE_ADDRESS_PER_MINUTE": "0", "DATABASE_POOL_SIZE": "20"}

    return variables


class Caller:
    """Somebody who keeps lists."""

    def __init__(self, users: httpx.AsyncClient, todos: httpx.AsyncClient, number: int) -> None:
        self.users, self.todos = users, todos
        self.login = {"username": f"{uuid4().hex}@example.com", "password": PASSWORD}
        self.words = [f"{word} of {number}" for word in ("milk", "bread")]
        self.statuses: list[int] = []

    async def ask(self, client: httpx.AsyncClient, method: str, path: str, **options: Any) -> Any:
        """Send a request as this caller; its status is kept."""
        answer = await client.request(method, path, **options)
        self.statuses.append(answer.status_code)
        return answer.json() if answer.content else None

    async def live(self) -> list[str]:
        """Register, log in, write, read, search and change; what is there in the end."""
        body = {"email": self.login["username"], "password": PASSWORD}
        await self.ask(self.users, "POST", "/auth/register", json=body)
        tokens = await self.ask(self.todos, "POST", "/auth/jwt/login", data=self.login)
        renewal = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
        tokens = await self.ask(self.users, "POST", "/auth/jwt/refresh", data=renewal)
        bearer = {"headers": {"Authorization": f"Bearer {tokens['access_token']}"}}
        made = await self.ask(self.todos, "POST", "/lists", json={"title": "Groceries"}, **bearer)
        todos = f"/lists/{made['id']}/todos"
        for word in self.words:
            todo = await self.ask(self.todos, "POST", todos, json={"content": word, "labels": ["shop"]}, **bearer)
            await self.ask(self.todos, "PATCH", f"/todos/{todo['id']}", json={"priority": "high"}, **bearer)
        found = await self.ask(self.todos, "GET", "/todos", params={"search": self.words[0][:6]}, **bearer)
        assert [each["content"] for each in found["items"]] == self.words[:1]
        batch = [{"op": "delete", "id": todo["id"]}]
        await self.ask(self.todos, "POST", "/todos/batch", json={"operations": batch}, **bearer)
        await self.ask(self.users, "GET", "/users/me/sessions", **bearer)
        page = await self.ask(self.todos, "GET", "/lists", params={"include": "todos"}, **bearer)
        await self.ask(self.users, "POST", "/auth/jwt/logout", **bearer)
        return [each["content"] for item in page["items"] for each in item["todos"]]


async def test_many_callers(
    pooled: Callable[[str], dict[str, str]], user_dsn: str, todo_dsn: str, bouncer: PgBouncer
) -> None:
    """No request fails, each finds what it wrote and nothing else, and no session keeps anything of anybody."""
    users = create_user_app(load(UserSettings, pooled(user_dsn)))
    todos = create_app(load(Settings, pooled(todo_dsn)), transport=FlakyTransport(users))
    async with client_of(users) as user_svc, client_of(todos) as todo_svc:
        callers = [Caller(user_svc, todo_svc, number) for number in range(CALLERS)]
        kept = await asyncio.gather(*(caller.live() for caller in callers))
        assert {status for caller in callers for status in caller.statuses} == {200, 201, 204}
        assert kept == [caller.words[:1] for caller in callers]
    for dsn in (user_dsn, todo_dsn):
        left = await left_behind(bouncer.through(dsn))
        assert len({each["session"] for each in left}) <= SIZE
        assert [each["statements"] + each["channels"] for each in left] == [[]] * SIZE
        assert {name for each in left for name in each["settings"]} <= TENDED
        assert sum(each["locks"] for each in left) == 0


async def left_behind(dsn: str) -> list[asyncpg.Record]:
    """What each session behind the pooler still holds; they are asked at once, so that each is."""

    async def ask() -> list[asyncpg.Record]:
        connection = await asyncpg.connect(dsn, statement_cache_size=0)
        try:
            return await connection.fetch(LEFT)
        finally:
            await connection.close()

    return [row for rows in await asyncio.gather(*(ask() for _ in range(SIZE))) for row in rows]


async def test_no_owner_stays_behind(bouncer: PgBouncer, todo_dsn: str) -> None:
    """Whoever takes a session over sees nobody's rows, also where the one before was cut off in the middle."""
    async with Database(bouncer.through(todo_dsn), size=12, application="owners", pooled=True) as database:

        async def own(owner: UUID, *, cut_off: bool) -> int:
            try:
                async with asyncio.timeout(None) as limit, database.owned(owner) as transaction:
                    if cut_off:
                        limit.reschedule(0)
                        await asyncio.Event().wait()
                    seen = await transaction.row(OWNER)
            except TimeoutError:
                return 0
            assert seen is not None
            assert seen[0] == str(owner)
            return int(seen[1])

        async def look(_number: int) -> int:
            seen = await database.row(OWNER)
            assert seen is not None
            assert (seen[0], seen[2]) == ("", 0)
            return int(seen[1])

        turns = [(own(uuid4(), cut_off=number % 5 == 0), look(number)) for number in range(60)]
        sessions = await asyncio.gather(*(turn for pair in turns for turn in pair))
    assert len(set(sessions) - {0}) >= 2
