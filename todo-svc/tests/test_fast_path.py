"""The fast path: byte for byte what the router answers, for what it takes and for what it leaves."""

from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import pytest_asyncio
from litestar import Litestar
from litestar.types import ASGIApp

from common.database import Database
from common.errors import Unavailable
from common.telemetry.metrics import HTTP_REQUESTS
from common.testing import FakeAuthenticator, a_user
from todo_svc import app as module
from todo_svc.fast_path import fast_routes
from todo_svc.settings import Settings

Json = dict[str, Any]
Answer = tuple[int, list[tuple[bytes, bytes]], bytes]
Asked = tuple[str, bytes, list[tuple[bytes, bytes]]]

TEMPLATES = [route.template for route in fast_routes(Database("", size=1, application="nobody"))]
NONE_MATCH = b"if-none-match"
QUERIES = [
    b"limit=1",
    b"limit=100",
    b"limit=101",
    b"limit=0",
    b"limit=01",
    b"limit=many",
    b"limit=%31",
    b"limit=1&",
    b"&limit=1",
    b"limit=1&limit=2",
    b"limit=1cursor=x",
    b"cursor=nonsense",
    b"cursor=",
    b"cursor=" + b"x" * 513,
    b"limit=1&order_by=priority",
    b"include=todos",
    b"unheard=of",
    b"=",
    b"\xff",
]
FIELDS = [b"*", b'"1"', b'W/"1"', b'"7"', b"nonsense", b"", b"\xff", b'"p0-1"']
HOSTS = [b"service.test:8002", b"[::1]:8002", b"", b"a b", b"a:port", b"\xff"]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def routed(
    settings: Settings, authenticator: FakeAuthenticator, running: Callable[[Litestar], Any]
) -> AsyncIterator[Litestar]:
    """The same service with no way but the router's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "fast_routes", lambda _database: [])
        app = module.create_app(settings, auth=authenticator)
    async with running(app) as running_app:
        yield running_app


@pytest.fixture
def token(authenticator: FakeAuthenticator, ann_id: UUID) -> str:
    """One more session of Ann's."""
    return authenticator.admit(a_user(id=ann_id))


@pytest.fixture
def ids(groceries: Json, milk: Json, bobs_list: Json, bobs_todo: Json) -> dict[str, list[str]]:
    """For each parameter: one of Ann's, as it is and in capitals, one of Bob's, nobody's, and none at all."""

    def beside(own: Json, foreign: Json) -> list[str]:
        return [own["id"], own["id"].upper(), own["id"].replace("-", ""), foreign["id"], str(uuid4()), "1", "../me"]

    return {"list_id": beside(groceries, bobs_list), "todo_id": beside(milk, bobs_todo)}


async def test_answers_are_the_routers(
    app: ASGIApp, routed: ASGIApp, token: str, ids: dict[str, list[str]], ann: httpx.AsyncClient, groceries: Json
) -> None:
    """Status, headers and body of every shape of question, good, bad and strange."""
    await ann.post(f"/lists/{groceries['id']}/todos", json={"content": "Bread"})
    await ann.post("/lists", json={"title": "A second one"})
    cursors = [await cursor(ann, path) for path in (f"/lists/{groceries['id']}/todos", "/todos", "/lists")]
    statuses = set()
    for asked in every(ids, [*QUERIES, *(b"limit=1&cursor=%s" % each for each in cursors)]):
        straight = await answered(app, token, *asked)
        assert straight == await answered(routed, token, *asked), asked
        statuses.add(straight[0])
    assert statuses == {200, 304, 400, 404, 422}


async def test_a_page_that_the_reader_has(app: ASGIApp, routed: ASGIApp, token: str, groceries: Json) -> None:
    """304 with the tag and nothing else, by either way; in one line or in several, among others or alone."""
    for path in ("/lists", "/todos", f"/lists/{groceries['id']}", f"/lists/{groceries['id']}/todos"):
        tag = next(value for name, value in (await answered(app, token, path, b"", []))[1] if name == b"etag")
        for lines in ([tag], [b"W/" + tag], [b'"x"', tag], [b'"x", ' + tag]):
            headers = [(NONE_MATCH, line) for line in lines]
            straight = await answered(app, token, path, b"", headers)
            assert straight == await answered(routed, token, path, b"", headers)
            assert (straight[0], straight[2]) == (304, b"")


async def test_outage_is_told_alike(
    app: ASGIApp, routed: ASGIApp, token: str, ids: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 while PostgreSQL is away, 500 for what nobody foresaw."""
    for error, status in ((Unavailable("the database cannot be reached right now"), 503), (KeyError("x"), 500)):

        async def fail(*_: Any, error: Exception = error) -> Any:
            raise error

        monkeypatch.setattr(Database, "rows", fail)
        monkeypatch.setattr(Database, "row", fail)
        for template in TEMPLATES:
            asked: Asked = (path(template, [each[0] for each in ids.values()]), b"", [])
            straight = await answered(app, token, *asked)
            assert straight == await answered(routed, token, *asked)
            assert straight[0] == status


async def test_plain_questions_do_not_meet_the_router(app: ASGIApp, token: str, ids: dict[str, list[str]]) -> None:
    """It would name its handler; and they are counted under their route all the same."""
    for template in TEMPLATES:
        counted = HTTP_REQUESTS.labels("GET", template, 200)
        before = counted._value.get()
        queries = [b"", b"limit=20"] if template.endswith("s") else [b""]
        for query in queries:
            scope = scope_of(token, path(template, [each[0] for each in ids.values()]), query, [])
            assert (await answer_of(app, scope))[0] == 200
            assert "route_handler" not in scope
        assert counted._value.get() == before + len(queries)
    scope = scope_of(token, "/todos", b"status=finished", [])
    assert (await answer_of(app, scope))[0] == 200
    assert "route_handler" in scope


async def test_only_who_passed_the_guard(app: ASGIApp, ids: dict[str, list[str]]) -> None:
    """Without a token there is no way at all."""
    for template in TEMPLATES:
        assert (await answered(app, "", path(template, [each[0] for each in ids.values()]), b"", []))[0] == 401


def every(ids: dict[str, list[str]], queries: list[bytes]) -> list[Asked]:
    """Each route with each id, and with its good id each query, each tag and each host."""
    asked: list[Asked] = []
    for template in TEMPLATES:
        asked += [(path(template, list(chosen)), b"", []) for chosen in zip(*ids.values(), strict=True)]
        own = path(template, [each[0] for each in ids.values()])
        asked += [(own, query, []) for query in queries]
        asked += [(own, b"", [(NONE_MATCH, field)]) for field in FIELDS]
        asked += [(own, b"", [(b"host", host)]) for host in HOSTS]
        asked += [(f"{own}/", b"", []), (f"/{own}", b"", []), (own.upper(), b"", [])]
    return asked


def path(template: str, chosen: list[str]) -> str:
    """A path of the route."""
    list_id, todo_id = chosen
    return template.replace("{list_id:uuid}", list_id).replace("{todo_id:uuid}", todo_id)


async def cursor(ann: httpx.AsyncClient, path: str) -> bytes:
    """That of a page of one."""
    return str((await ann.get(path, params={"limit": 1})).json()["next_cursor"]).encode()


async def answered(app: ASGIApp, token: str, path: str, query: bytes, headers: list[tuple[bytes, bytes]]) -> Answer:
    """What is answered to it."""
    return await answer_of(app, scope_of(token, path, query, headers))


def scope_of(token: str, path: str, query: bytes, headers: list[tuple[bytes, bytes]]) -> Any:
    """A GET as the server hands it over, whatever a client would make of it."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query,
        "scheme": "http",
        "client": ("127.0.0.1", 1),
        "server": ("service.test", 80),
        "state": {},
        "headers": [
            *([] if any(name == b"host" for name, _ in headers) else [(b"host", b"service.test")]),
            *([(b"authorization", b"Bearer " + token.encode())] if token else []),
            (b"x-request-id", b"one-and-the-same"),
            *headers,
        ],
    }


async def answer_of(app: ASGIApp, scope: Any) -> Answer:
    """All of an answer; the headers sorted, for their order means nothing."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent[0]["status"], sorted(sent[0]["headers"]), b"".join(message.get("body", b"") for message in sent[1:])
