"""seed: the same data however often it runs, against the real services in this process."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest

from common.settings import load
from common.testing import random_keys
from devstack.fixtures import DatabaseFactory, TestPostgres
from devstack.seed.command import Report, seed
from devstack.seed.content import Content
from devstack.seed.options import Options
from devstack.seed.progress import Silent
from devstack.seed.service import ATTEMPTS, SeedError
from todo_svc.app import create_app as create_todo_app
from todo_svc.settings import Settings as TodoSettings
from user_svc.app import create_app as create_user_app
from user_svc.settings import Settings as UserSettings

SMALL = Options(users=2, lists=2, todos=3, concurrency=2, user_url="http://user.test", todo_url="http://todo.test")

Asked = Callable[[httpx.Request], Awaitable[httpx.Response | None]]
Answered = Callable[[httpx.Request, httpx.Response], Awaitable[None]]


class Wire(httpx.AsyncBaseTransport):
    """The way to both services; a test may answer a request in their place, or act when they have answered."""

    def __init__(self, **apps: Any) -> None:
        self.asked: Asked | None = None
        self.answered: Answered | None = None
        self.paths: list[str] = []
        self.under_way = self.most_under_way = 0
        self._serving: list[asyncio.Future[httpx.Response]] = []
        self._services = {f"{name}.test": httpx.ASGITransport(app) for name, app in apps.items()}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Pass on, and count."""
        self.paths.append(f"{request.method} {request.url.path}")
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            answer = await self.asked(request) if self.asked else None
            if answer is None:
                answer = await asyncio.shield(self._serve(request))
            if self.answered:
                await self.answered(request, answer)
        finally:
            self.under_way -= 1
        return answer

    def _serve(self, request: httpx.Request) -> asyncio.Future[httpx.Response]:
        """In a task of its own: a server goes on when its client has gone."""
        task = asyncio.ensure_future(self._services[request.url.host].handle_async_request(request))
        self._serving.append(task)
        return task

    async def quiet(self) -> None:
        """Wait until the servers have nothing to do."""
        await asyncio.gather(*self._serving)


class World:
    """Both services in this process, and what is in their databases."""

    def __init__(self, wire: Wire, dsn: str) -> None:
        self.wire = wire
        self.client = httpx.AsyncClient(transport=wire)
        self._dsn = dsn

    async def seed(self, options: Options = SMALL) -> Report:
        """Run it once."""
        return await seed(options, self.client, Silent())

    async def todos(self) -> list[tuple[str, str, bool]]:
        """Title of the list, content and whether it is completed, of every todo of every user."""
        statement = """
            SELECT title, content, completed_at IS NOT NULL FROM todos JOIN lists ON lists.id = list_id
        """
        connection = await asyncpg.connect(self._dsn)
        try:
            return sorted(tuple(row) for row in await connection.fetch(statement))
        finally:
            await connection.close()


@pytest.fixture
async def world(database: DatabaseFactory, postgres_server: TestPostgres, redis_url: str) -> AsyncIterator[World]:
    """Running services on empty databases; passwords are hashed as cheaply as argon2id can."""
    shared = {"REDIS_URL": redis_url, "JWT_KEYS": random_keys(), "LOG_LEVEL": "ERROR"}
    cheap = {"ARGON2_MEMORY_KIB": "8", "ARGON2_PASSES": "1", "THROTTLE_ADDRESS_PER_MINUTE": "0"}
    user_dsn, todo_dsn = await database("user_svc"), await database("todo_svc")
    users = create_user_app(load(UserSettings, shared | cheap | {"DATABASE_URL": user_dsn}))
    there = {"DATABASE_URL": todo_dsn, "USER_SVC_URL": "http://user.test"}
    todos = create_todo_app(load(TodoSettings, shared | there), transport=httpx.ASGITransport(users))  # type: ignore[arg-type]
    up, enough = asyncio.Event(), asyncio.Event()

    async def serve() -> None:
        async with users.lifespan(), todos.lifespan():
            up.set()
            await enough.wait()

    # a task of their own, because lifespans end in the task they began in, and fixtures do not
    serving = asyncio.ensure_future(serve())
    await up.wait()
    world = World(Wire(user=users, todo=todos), postgres_server.admin_dsn(todo_dsn.rpartition("/")[2]))
    async with world.client:
        yield world
        await world.wire.quiet()
    enough.set()
    await serving


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long seed would have slept, in seconds, each time; it does not."""
    naps: list[float] = []

    async def nap(seconds: float) -> None:
        naps.append(seconds)

    monkeypatch.setattr("devstack.seed.service.sleep", nap)
    return naps


def planned(options: Options = SMALL) -> list[tuple[str, str, bool]]:
    """What `World.todos` should say."""
    content = Content(options.seed)
    return sorted(
        (content.todo_list(user, position).title, todo.content, completed)
        for user in range(options.users)
        for position in range(options.lists)
        for todo, completed in (content.todo(user, position, place) for place in range(options.todos))
    )


async def test_twice_leaves_once(world: World) -> None:
    """A second run finds everything and adds nothing."""
    first = await world.seed()
    world.wire.paths.clear()
    second = await world.seed()

    assert first.created == second.existing == {"users": 2, "lists": 4, "todos": 12}
    assert first.existing == second.created == {"users": 0, "lists": 0, "todos": 0}
    assert await world.todos() == planned()
    assert any(completed for *_, completed in planned())
    assert {path for path in world.wire.paths if not path.startswith("GET")} == {
        "POST /auth/register",
        "POST /auth/jwt/login",
    }


async def test_more_is_added_to_less(world: World) -> None:
    """A run with more lists and todos keeps what a smaller one made, over several pages."""
    await world.seed()
    larger = msgspec.structs.replace(SMALL, lists=3, todos=120)
    report = await world.seed(larger)

    assert report.existing == {"users": 2, "lists": 4, "todos": 12}
    assert (await world.seed(larger)).existing == {"users": 2, "lists": 6, "todos": 720}
    assert await world.todos() == planned(larger)


@pytest.mark.parametrize("carried_out", [False, True])
@pytest.mark.parametrize("step", ["register", "login", "lists", "todos", "PATCH"])
async def test_an_interrupted_run_is_mended(world: World, step: str, *, carried_out: bool) -> None:
    """Wherever a run is cut off, the next one finishes it and doubles nothing."""
    cut = asyncio.Event()

    async def hang(request: httpx.Request, _answer: httpx.Response | None = None) -> None:
        if step in f"{request.method} {request.url.path}" and request.method != "GET":
            cut.set()
            await asyncio.Event().wait()

    setattr(world.wire, "answered" if carried_out else "asked", hang)
    running = asyncio.ensure_future(world.seed())
    await cut.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await world.wire.quiet()
    world.wire.asked = world.wire.answered = None
    await world.seed()

    assert await world.todos() == planned()


async def test_a_lost_answer_doubles_nothing(world: World, naps: list[float]) -> None:
    """A todo whose answer never arrived is looked for before it is sent again."""
    lost: list[str] = []

    async def lose(request: httpx.Request, _answer: httpx.Response) -> None:
        if request.method == "POST" and request.url.path.endswith("/todos") and len(lost) < 3:
            lost.append(request.url.path)
            raise httpx.ReadError("the connection broke")

    world.wire.answered = lose
    await world.seed()

    assert len(lost) == len(naps) == 3
    assert await world.todos() == planned()


async def test_a_dead_session_is_renewed(world: World) -> None:
    """When todo-svc refuses the token, seed logs in again and goes on."""
    logouts: list[httpx.Response] = []

    async def log_out(request: httpx.Request, _answer: httpx.Response) -> None:
        if request.url.path == "/lists" and not logouts:
            headers = {"Authorization": request.headers["Authorization"]}
            logouts.append(await world.client.post("http://user.test/auth/jwt/logout", headers=headers))

    world.wire.answered = log_out
    await world.seed(msgspec.structs.replace(SMALL, concurrency=1))

    assert [answer.status_code for answer in logouts] == [204]
    assert world.wire.paths.count("POST /auth/jwt/login") == SMALL.users + 1
    assert await world.todos() == planned()


async def test_a_busy_service_is_given_the_time_it_asks_for(world: World, naps: list[float]) -> None:
    """429 and 503 are waited out for as long as Retry-After says."""
    refusals = [httpx.Response(429, headers={"Retry-After": "7"}), httpx.Response(503, headers={"Retry-After": "3"})]

    async def refuse(request: httpx.Request) -> httpx.Response | None:
        return refusals.pop(0) if request.url.path == "/auth/register" and refusals else None

    world.wire.asked = refuse
    await world.seed()

    assert sorted(naps) == [3, 7]
    assert await world.todos() == planned()


@pytest.mark.parametrize(
    ("answer", "attempts", "line"),
    [
        (httpx.Response(503, headers={"Retry-After": "1"}), ATTEMPTS, "cannot answer now"),
        (httpx.Response(429, headers={"Retry-After": "900"}), 1, "cannot answer now"),
        (httpx.Response(404), 1, "is this its address"),
        (None, ATTEMPTS, r"does not answer \(no connection\).*\./scripts/up"),
    ],
)
async def test_patience_ends(
    world: World, naps: list[float], answer: httpx.Response | None, attempts: int, line: str
) -> None:
    """A service that stays busy or goes away in the middle ends the run with one line that names its address."""

    async def refuse(request: httpx.Request) -> httpx.Response | None:
        if request.url.path == "/lists" and answer is None:
            raise httpx.ConnectError("nothing is there")
        return answer if request.url.path == "/lists" else None

    world.wire.asked = refuse
    with pytest.raises(SeedError, match=rf"(?s)todo-svc at http://todo\.test.*{line}") as caught:
        await world.seed(msgspec.structs.replace(SMALL, users=1))

    assert "\n" not in str(caught.value)
    assert world.wire.paths.count("POST /lists") == attempts
    assert len(naps) == attempts - 1


async def test_another_password_is_said(world: World) -> None:
    """An account that somebody registered with another password is named; nothing else is tried."""
    email = Content(SMALL.seed).account(0).email
    taken = {"email": email, "password": "somebody else's password"}
    assert (await world.client.post("http://user.test/auth/register", json=taken)).status_code == 201

    with pytest.raises(SeedError, match=rf"{email} exists with another password"):
        await world.seed()


async def test_concurrency_is_by_user(world: World) -> None:
    """Never more requests under way than asked for, and as many as that when there is work."""
    await world.seed(msgspec.structs.replace(SMALL, users=9, lists=1, todos=1, concurrency=3))

    assert world.wire.most_under_way == 3
