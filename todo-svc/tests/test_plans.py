"""Plans: no statement of todo-svc goes through a whole table, whatever the prepared one knows of its arguments."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
import pytest_asyncio
from litestar import Litestar
from litestar.routes import HTTPRoute

from common.auth import PUBLIC
from common.database import Database, Transaction
from common.http.etag import page_tag, parse
from common.http.paging import MAXIMUM, Keyset
from common.settings import load
from common.testing import FakeAuthenticator, a_user
from devstack.fixtures import TestPostgres
from todo_svc.app import create_app
from todo_svc.erasure import Eraser
from todo_svc.housekeeping import Housekeeping
from todo_svc.lists.queries import ListQueries
from todo_svc.retention import KEPT
from todo_svc.settings import Settings
from todo_svc.sync.queries import ChangeQueries
from todo_svc.sync.schemas import Place
from todo_svc.todos.filters import ORDERS, TodoFilters, Window
from todo_svc.todos.queries import TodoQueries
from todo_svc.todos.search import LOOKED_AT
from todo_svc.trash.queries import TrashQueries

OWNERS = """
INSERT INTO lists (owner_id, id, title) SELECT o, o, 'list' FROM unnest($1::uuid[]) AS o
UNION ALL SELECT o, gen_random_uuid(), 'list ' || n FROM unnest($1::uuid[]) AS o, generate_series(1, 500) AS n
"""
MANY = """
INSERT INTO todos (owner_id, id, list_id, content, position, labels, created_at)
SELECT o, gen_random_uuid(), o, md5(n::text) || ' todo - ' || n, n, ARRAY['l' || n % 50],
       timestamptz '2026-01-01Z' + n * interval '1 minute'
FROM generate_series(1, 2000) AS n, unnest($1::uuid[]) AS o
"""
# Besides, as it is where there are many: these ten have far more than a plan expects of anybody.
OTHERS = (
    "INSERT INTO owners (owner_id, seq) SELECT gen_random_uuid(), 1 FROM generate_series(1, 2000)",
    "INSERT INTO idempotency_keys SELECT gen_random_uuid(), n, '', 201, NULL, '' FROM generate_series(1, 2000) AS n",
    "ALTER TABLE todos ALTER COLUMN owner_id SET (n_distinct = 200), ALTER COLUMN list_id SET (n_distinct = 20)",
    "ALTER TABLE todo_search ALTER COLUMN owner_id SET (n_distinct = 200)",
)
SCAN = re.compile(r"Seq Scan on (lists|todos|todo_search|changes|owners|idempotency_keys)")
MODES = ["force_custom_plan", "force_generic_plan"]
READ = re.compile(r"(?: on (?:todos|todo_search|ix_todo_search_words)\b.*\(actual rows=|Rows Removed by .*: )(\d+)")
Json = dict[str, Any]


async def explain(connection: Any, options: str, statement: str, arguments: Sequence[Any]) -> list[str]:
    """The lines of the plan that `plan_cache_mode` makes of a prepared statement; EXPLAIN alone knows its arguments."""
    types = [kind.name for kind in (await connection.prepare(statement)).get_parameters()]
    quoted = ", ".join(f"quote_nullable(${n}::{kind}::text)" for n, kind in enumerate(types, 1))
    given = f"({', '.join(await connection.fetchrow(f'SELECT {quoted}', *arguments))})" if types else ""
    await connection.execute(f"PREPARE explained AS {statement}")
    plan = await connection.fetch(f"EXPLAIN ({options}) EXECUTE explained {given}")
    await connection.execute("DEALLOCATE explained")
    return [row[0] for row in plan]


class Explained:
    """Takes statements as a database does, and keeps the lines of their plans."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.lines: list[str] = []

    async def rows(self, statement: str, *arguments: Any) -> list[asyncpg.Record]:
        """See `Statements`."""
        self.lines += await explain(self._connection, "ANALYZE, TIMING OFF, COSTS OFF", statement, arguments)
        return list(await self._connection.fetch(statement, *arguments))

    async def row(self, statement: str, *arguments: Any) -> asyncpg.Record | None:
        """See `Statements`."""
        return next(iter(await self.rows(statement, *arguments)), None)


@asynccontextmanager
async def explaining(dsn: str, mode: str = "auto") -> AsyncIterator[Explained]:
    """For as long as it takes, a database whose plans are made in this mode."""
    connection = await asyncpg.connect(dsn, server_settings={"plan_cache_mode": mode})
    yield Explained(connection)
    await connection.close()


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def crowd(postgres_server: TestPostgres) -> AsyncIterator[tuple[str, UUID]]:
    """A database with ten owners of 2,000 todos each, and one of them."""
    dsn = await postgres_server.create_database("plans", await postgres_server.template("todo_svc"))
    owners = [uuid4() for _ in range(10)]
    admin = await asyncpg.connect(postgres_server.admin_dsn("plans"))
    await admin.execute(OWNERS, owners)
    await admin.execute(MANY, owners)
    for statement in OTHERS:
        await admin.execute(statement)
    await admin.execute("ANALYZE")
    await admin.close()
    yield dsn, owners[0]
    await postgres_server.drop_database("plans")


def _windows() -> Iterator[tuple[TodoFilters, Window]]:
    for order in ORDERS.values():
        yield TodoFilters(), Window(order=order, limit=20, cursor=None)
    for filters in (
        *(TodoFilters(search=text) for text in ("todo", "todo 77", "odo", "x", "nowhere")),
        TodoFilters(labels=["l7"]),
        TodoFilters(labels=["l7"], search="todo"),
    ):
        yield filters, Window(limit=20, cursor=None)
        yield filters, Window(order=ORDERS["-position"], limit=20, cursor=None)


@pytest.mark.parametrize("mode", MODES)
async def test_no_read_scans_a_table(crowd: tuple[str, UUID], mode: str) -> None:
    """Pages in every order, searches, labels, lists and single rows, as the services' own role."""
    dsn, owner = crowd
    async with explaining(dsn, mode) as explained:
        todos, lists = TodoQueries(explained, owner), ListQueries(explained, owner)
        for filters, window in _windows():
            found = await todos.page(filters, window)
            await todos.page(filters, window, owner)
        page = await todos.page(TodoFilters(), Window(limit=1, cursor=None))
        assert page.content is not None
        await todos.tagged(page.content.items[0].id, parse('"2"'))
        await lists.page(20, None, nested=True)
        await lists.nested(owner, None)
        await lists.tagged(owner, parse('"2"'))
    assert found.tag == page.tag
    assert [line for line in explained.lines if SCAN.search(line)] == []


@pytest.mark.parametrize("order", [None, ORDERS["-created_at"], ORDERS["position"]])
@pytest.mark.parametrize(("search", "count"), [("todo", 20), ("-", 20), ("nowhere", 0), ("мо", 0), ("한", 0), ("+", 0)])
async def test_a_search_reads_little(crowd: tuple[str, UUID], search: str, count: int, order: Keyset | None) -> None:
    """Of whoever has more than most: from the newest on where a word is common, else what an index finds."""
    dsn, owner = crowd
    async with explaining(dsn, "force_generic_plan") as explained:
        found = await TodoQueries(explained, owner).page(
            TodoFilters(search=search), Window(order=order, limit=20, cursor=None), owner
        )
    assert found.content is not None
    assert len(found.content.items) == count
    assert max(int(rows) for line in explained.lines for rows in READ.findall(line)) == LOOKED_AT


@pytest.mark.parametrize("mode", MODES)
async def test_the_first_todos_of_a_list_are_read_alone(crowd: tuple[str, UUID], mode: str) -> None:
    """Of a list with far more than most, whether it is asked for or stands on a page."""
    dsn, owner = crowd
    async with explaining(dsn, mode) as explained:
        lists = ListQueries(explained, owner)
        await lists.nested(owner, None)
        await lists.page(20, None, nested=True)
    assert max(int(rows) for line in explained.lines for rows in READ.findall(line)) == MAXIMUM + 1


@pytest.mark.parametrize("filters", [TodoFilters(), TodoFilters(search="todo"), TodoFilters(labels=["l7"])])
@pytest.mark.parametrize("order", [None, ORDERS["created_at"], ORDERS["due_at"]])
async def test_not_modified_reads_no_row(crowd: tuple[str, UUID], filters: TodoFilters, order: Keyset | None) -> None:
    """With the tag of the page whatever would read todos, or look for them, is never executed."""
    dsn, owner = crowd
    async with explaining(dsn) as explained:
        found = await TodoQueries(explained, owner).page(
            filters, Window(order=order, limit=20, cursor=None), seen=parse(page_tag(owner, 2501))
        )
    assert (found.tag, found.content) == (page_tag(owner, 2501), None)
    scans = [line for line in explained.lines if re.search(r" on (todos|todo_search)", line)]
    assert scans
    assert [line for line in scans if "never executed" not in line] == []


async def test_not_modified_reads_no_trash_and_no_change(crowd: tuple[str, UUID]) -> None:
    """The same for what was deleted and for what has changed."""
    dsn, owner = crowd
    async with explaining(dsn) as explained:
        seen = parse(f"{page_tag(owner, 2501)}, {page_tag(owner, 2501, KEPT // timedelta(seconds=1))}")
        trash = await TrashQueries(explained, owner).page(20, None, seen)
        changes = await ChangeQueries(explained, owner).tagged(Place.at(7), 20, seen)
    assert (trash.content, changes.content) == (None, None)
    scans = [line for line in explained.lines if re.search(r" on (todos|lists|changes)", line)]
    assert len(scans) >= 5
    assert [line for line in scans if "never executed" not in line] == []


class Overheard:
    """Every statement that is sent, with what came along."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sent: dict[str, tuple[Any, ...]] = {}
        for kind in (Database, Transaction):
            for name in ("rows", "row"):
                monkeypatch.setattr(kind, name, self._listening(getattr(kind, name)))

    def _listening(self, true: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def run(database: Any, statement: str, *arguments: Any) -> Any:
            self.sent.setdefault(statement, arguments)
            return await true(database, statement, *arguments)

        return run

    async def scans(self, dsn: str, owner: UUID, mode: str) -> list[tuple[str, str]]:
        """Which of them go through a whole table, and where."""
        connection = await asyncpg.connect(dsn, server_settings={"plan_cache_mode": mode})
        async with connection.transaction():
            await connection.execute(f"SELECT set_config('gatehouse.owner', '{owner}', true)")
            plans = {
                statement: await explain(connection, "COSTS OFF", statement, arguments)
                for statement, arguments in self.sent.items()
            }
        await connection.close()
        return [(statement, line) for statement, lines in plans.items() for line in lines if SCAN.search(line)]


async def _use(ann: httpx.AsyncClient, anything: str) -> set[tuple[str, str]]:
    """Ask each route for whatever takes another statement; what was asked, by method and path."""
    asked = set()

    async def ask(method: str, path: str, body: Json | None = None, **words: str) -> Json:
        headers = {word.replace("_", "-"): value for word, value in words.items()}
        answer = await ann.request(method, path, json=body, headers=headers)
        assert answer.status_code in {200, 201, 204, 304, 410}, (method, path, answer.text)
        asked.add((method, re.sub(r"[0-9a-f-]{36}", "{}", path.partition("?")[0])))
        return dict(answer.json()) if answer.content else {}

    made = await ask("POST", "/lists", {"title": "New"}, Idempotency_Key=anything)
    items, todos = f"/lists/{made['id']}", f"/lists/{made['id']}/todos"
    first, second = [await ask("POST", todos, {"content": "x"}) for _ in range(2)]
    one = f"/todos/{first['id']}"
    nested = "/lists?include=todos", f"{items}?include=todos"
    for path in (*nested, "/lists", items, todos, "/todos", one, "/trash", "/sync"):
        await ask("GET", path)
        await ask("GET", path, If_None_Match='"1"')
    for path in ("/lists", "/todos", "/sync"):
        following = await ask("GET", f"{path}?limit=1")
        word = "since" if path == "/sync" else "cursor"
        await ask("GET", f"{path}?limit=1&{word}={following.get('next_cursor') or following.get('next')}")
    await ask("GET", "/events", Last_Event_ID="9" * 9)
    places = {"before": first["id"]}, {"position": 1}, {"list_id": made["id"]}
    for change in (*places, {"labels": ["x"], "content": "y"}):
        await ask("PATCH", f"/todos/{second['id']}", change, If_Match="*")
    await ask("PATCH", items, {"title": "Newer"}, If_Match='"1"')
    await ask("POST", "/todos/batch", {"operations": [{"op": "delete", "id": second["id"]}]})
    await ask("POST", f"{items}/complete-all")
    await ask("POST", f"{items}/clear-completed")
    await ask("POST", f"/trash/{first['id']}/restore")
    await ask("DELETE", one, If_Match='"4"')
    await ask("GET", "/trash?limit=1&cursor=" + (await ask("GET", "/trash?limit=1"))["next_cursor"])
    await ask("DELETE", items)
    await ask("POST", f"/trash/{made['id']}/restore")
    return asked


async def test_no_statement_scans_a_table(
    crowd: tuple[str, UUID],
    variables: dict[str, str],
    running: Callable[[Litestar], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every guarded route, the sweep and an erasure: whatever they send, with and without known arguments."""
    dsn, owner = crowd
    authenticator, overheard = FakeAuthenticator(), Overheard(monkeypatch)
    async with running(create_app(load(Settings, variables | {"DATABASE_URL": dsn}), auth=authenticator)) as app:
        headers = {"Authorization": f"Bearer {authenticator.admit(a_user(id=owner))}"}
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://service.test", headers=headers) as ann:
            asked = await _use(ann, str(uuid4()))
    async with Database(dsn, size=1, application="test") as database:
        await database.rows("UPDATE owners SET purge_at = now() WHERE owner_id = $1", owner)
        await Housekeeping(database, kept=timedelta(0)).sweep()
        await Eraser(database).erase(owner, "1-0")
    assert asked >= _guarded(app)
    assert len(overheard.sent) > 50
    for mode in MODES:
        assert await overheard.scans(dsn, owner, mode) == []


def _guarded(app: Litestar) -> set[tuple[str, str]]:
    """Each method and path of our own that a caller is needed for."""
    return {
        (method, re.sub(r"\{\w+\}", "{}", route.path_format))
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        for method in handler.http_methods - {"OPTIONS"}
        if handler.opt.get("auth") != PUBLIC
    }
