"""seed --bulk: rows as the services would have made them, and all of somebody or nobody."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest

from common.settings import load as load_settings
from common.testing import random_keys
from devstack.embedded.postgres import superuser
from devstack.fixtures import DatabaseFactory, TestPostgres
from devstack.seed import bulk, main
from devstack.seed.bulk import Databases
from devstack.seed.bulk import loader as loading
from devstack.seed.command import Report, load
from devstack.seed.content import Account
from devstack.seed.options import BULK, Options, parse
from devstack.seed.progress import Silent
from devstack.seed.service import SeedError
from todo_svc.app import create_app as create_todo_app
from todo_svc.settings import Settings as TodoSettings
from user_svc.app import create_app as create_user_app
from user_svc.settings import Settings as UserSettings

Json = dict[str, Any]

SMALL = Options(users=3, lists=3, todos=40, bulk=True)
GAPS = """
SELECT owner_id FROM owners JOIN changes USING (owner_id) GROUP BY owner_id, owners.seq
HAVING (min(changes.seq), max(changes.seq), count(DISTINCT changes.seq), count(*))
IS DISTINCT FROM (1, owners.seq, owners.seq, owners.seq)
"""
UNLIKE = """
SELECT todo_id FROM todos FULL JOIN todo_search s ON s.todo_id = todos.id
WHERE (s.owner_id, s.created_at, s.content, s.description, s.labels) IS DISTINCT FROM
      (todos.owner_id, todos.created_at, search_fold(todos.content), search_fold(coalesce(todos.description, '')),
       todos.labels)
"""
STRAY = """
SELECT todos.id FROM todos JOIN lists l ON l.id = list_id WHERE (l.owner_id, l.created_at < todos.created_at,
    todos.created_at <= todos.updated_at, todos.updated_at <= now(), (todos.completed_at IS NULL) = (todos.version = 1))
IS DISTINCT FROM (todos.owner_id, true, true, true, true)
"""
PLACES = "SELECT array_agg(DISTINCT position ORDER BY position) FROM todos GROUP BY list_id"


class Place:
    """Empty databases of both services, and what a load leaves in them."""

    def __init__(self, databases: Databases, dsns: tuple[str, str]) -> None:
        self.databases = databases
        self.dsns = dsns

    async def load(self, options: Options = SMALL) -> Report:
        """Run it once."""
        return await load(options, self.databases, Silent())

    async def todo_rows(self, statement: str) -> list[asyncpg.Record]:
        """What todo-svc's database answers."""
        return await _asked(self.databases.todos, statement)

    async def user_rows(self, statement: str) -> list[asyncpg.Record]:
        """What user-svc's database answers."""
        return await _asked(self.databases.users, statement)


async def _asked(dsn: str, statement: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(dsn)
    try:
        return list(await connection.fetch(statement))
    finally:
        await connection.close()


@pytest.fixture
async def place(database: DatabaseFactory) -> Place:
    """Two databases, and the superuser's way to them."""
    dsns = await database("user_svc"), await database("todo_svc")
    return Place(Databases(*map(superuser, dsns)), dsns)


@pytest.fixture
async def client(place: Place, redis_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """A way to running services on these databases."""
    shared = {"REDIS_URL": redis_url, "JWT_KEYS": random_keys(), "LOG_LEVEL": "ERROR"}
    user_dsn, todo_dsn = place.dsns
    users = create_user_app(load_settings(UserSettings, shared | {"DATABASE_URL": user_dsn}))
    there = {"DATABASE_URL": todo_dsn, "USER_SVC_URL": "http://user.test"}
    todos = create_todo_app(
        load_settings(TodoSettings, shared | there),
        transport=httpx.ASGITransport(users),  # type: ignore[arg-type]
    )
    up, enough = asyncio.Event(), asyncio.Event()

    async def serve() -> None:
        async with users.lifespan(), todos.lifespan():
            up.set()
            await enough.wait()

    # a task of their own, because lifespans end in the task they began in, and fixtures do not
    serving = asyncio.ensure_future(serve())
    await up.wait()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(todos), base_url="http://todo.test") as client:  # type: ignore[arg-type]
        yield client
    enough.set()
    await serving


async def _logged_in(client: httpx.AsyncClient, account: Account) -> None:
    form = {"grant_type": "password", "username": account.email, "password": account.password}
    answer = await client.post("/auth/jwt/login", data=form)
    assert answer.status_code == 200, answer.text
    client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"


async def _answer(client: httpx.AsyncClient, path: str, **parameters: Any) -> Json:
    answer = await client.get(path, params=parameters)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_rows_are_as_the_services_make_them(place: Place) -> None:
    """Numbers without a gap, folded text, places 1024 apart, nothing before its list or after now."""
    report = await place.load()

    assert report.created == {"users": 3, "lists": 9, "todos": 360}
    assert [row["seq"] for row in await place.todo_rows("SELECT seq FROM owners")] == [123] * 3
    assert await place.todo_rows(GAPS) == await place.todo_rows(UNLIKE) == await place.todo_rows(STRAY) == []
    assert {tuple(row[0]) for row in await place.todo_rows(PLACES)} == {tuple(1024.0 * n for n in range(1, 41))}


async def test_a_loaded_user_is_like_any_other(place: Place, client: httpx.AsyncClient) -> None:
    """Somebody logs in, sees pages, finds by a word, takes in everything once from /sync, and goes on working."""
    report = await place.load()
    await _logged_in(client, report.users[1])
    lists = (await _answer(client, "/lists"))["items"]
    todos = (await _answer(client, f"/lists/{lists[0]['id']}/todos", limit=100))["items"]
    word = todos[0]["content"].split()[-1].upper()
    found = (await _answer(client, "/todos", search=word, limit=100))["items"]
    changes = await _answer(client, "/sync", since="0", limit=500)

    assert (len(lists), len(todos)) == (3, 40)
    assert todos[0]["id"] in {todo["id"] for todo in found}
    assert all(word.lower() in f"{todo['content']} {todo['description']}".lower() for todo in found)
    assert [change["number"] for change in changes["items"]] == list(range(1, 124))
    assert len({change["id"] for change in changes["items"]}) == 123
    assert (changes["next"], changes["more"]) == ("123", False)

    new = await client.post(f"/lists/{lists[0]['id']}/todos", json={"content": "One more"})
    assert new.status_code == 201
    later = await _answer(client, "/sync", since="123")
    assert [(change["number"], change["id"]) for change in later["items"]] == [(124, new.json()["id"])]


async def test_a_second_run_adds_others(place: Place) -> None:
    """Nobody is loaded twice, and the numbers go on."""
    first, second = await place.load(), await place.load()
    emails = [account.email for report in (first, second) for account in report.users]

    assert [email.partition("@")[0].rpartition(".")[2] for email in emails] == [f"bulk{n}" for n in range(1, 7)]
    assert [row[0] for row in await place.user_rows("SELECT count(*) FROM accounts")] == [6]
    assert await place.todo_rows(GAPS) == []


async def test_a_failure_leaves_nothing_of_anybody(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails in the middle of a batch is gone in both databases, and told in one line."""
    monkeypatch.setattr(loading, "DERIVED", (*loading.DERIVED, "SELECT 1 / 0 WHERE $1::uuid[] IS NOT NULL"))
    with pytest.raises(SeedError, match=r"^PostgreSQL: division by zero; what is loaded so far is whole$"):
        await place.load()

    counts = "SELECT (SELECT count(*) FROM {}) + (SELECT count(*) FROM {})"
    assert [row[0] for row in await place.user_rows(counts.format("accounts", "sessions"))] == [0]
    assert [row[0] for row in await place.todo_rows(counts.format("lists", "owners"))] == [0]


async def test_a_service_s_own_user_is_refused(place: Place) -> None:
    """Row-level security refuses COPY to who is no superuser: said before anything is written, without a password."""
    with pytest.raises(SeedError, match=r"no superuser.*USER_DATABASE_URL") as caught:
        await load(SMALL, Databases(*place.dsns), Silent())

    assert "postgresql://" not in str(caught.value)


async def test_two_at_once_are_refused(place: Place) -> None:
    """While a load is under way another one is told so."""
    async with place.databases.claimed():
        with pytest.raises(SeedError, match="another bulk load"):
            await place.load()


async def test_databases_without_tables_are_named(place: Place, postgres_server: TestPostgres) -> None:
    """Who loads before the services have ever run is told what to do."""
    empty = postgres_server.admin_dsn("postgres")
    with pytest.raises(SeedError, match="start the services once"):
        await load(SMALL, Databases(empty, empty), Silent())
    with pytest.raises(SeedError, match="cannot connect to the database of user-svc"):
        await load(SMALL, msgspec.structs.replace(place.databases, users=f"{place.databases.users}x"), Silent())


def test_a_million_is_the_default() -> None:
    """--bulk alone is 10,000 users with a million todos; what is asked for is kept."""
    options = parse(["--bulk"])
    assert (options.users, options.users * options.lists * options.todos) == (BULK["users"], 1_000_000)
    assert parse(["--bulk", "--users", "7"]).users == 7


def test_no_stack_is_one_line(
    tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a running stack, and without an address in the environment, it says how to start one."""
    for name in ("DATABASE_URL", "USER_DATABASE_URL", "TODO_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path_factory.mktemp("nothing")
    assert main(["--bulk", "--data", str(folder)]) == 2
    assert capsys.readouterr().err == f"seed: no stack runs on {folder}: start one with ./scripts/up\n"


def test_the_stack_s_address_becomes_the_superuser_s(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: Any) -> None:
    """From a running stack come its databases, for the superuser; a full disk is refused."""
    for name in ("DATABASE_URL", "USER_DATABASE_URL", "TODO_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    urls = {name: f"postgresql://services:services@127.0.0.1:1/{name}" for name in ("user-svc", "todo-svc")}
    monkeypatch.setattr(
        "devstack.control.ask", lambda *_: {"postgres": {"state": "running", "pids": [], "databases": urls}}
    )
    options = msgspec.structs.replace(SMALL, data=tmp_path_factory.mktemp("data"))

    assert bulk.find(options).todos == "postgresql://app:services@127.0.0.1:1/todo-svc"
    with pytest.raises(SeedError, match=r"GB left, and this would take"):
        bulk.find(msgspec.structs.replace(options, users=10**9))
