"""A whole service: put together once, guarded from the start, and ended cleanly."""

import inspect
from collections.abc import AsyncIterator, Callable
from typing import Any, Self
from uuid import UUID

import pytest
from litestar import Litestar, get, post
from litestar.di import NamedDependency
from litestar.params import RawBody
from litestar.routes import HTTPRoute
from litestar.types import ASGIApp, Receive, Scope, Send

from common.auth import PUBLIC, Principal
from common.service import create_service
from common.testing import FakeAuthenticator, a_user, client_of

MAXIMUM_BODY = 64 * 1024
Build = Callable[..., Litestar]


def test_guard_cannot_be_forgotten() -> None:
    """`auth` has no default."""
    assert inspect.signature(create_service).parameters["auth"].default is inspect.Parameter.empty


async def test_dependencies_are_given_by_name(build: Build, auth: FakeAuthenticator) -> None:
    """A plain function, asked for each request."""
    given: list[int] = []

    @get("/number", sync_to_thread=False)
    def number(found: NamedDependency[int]) -> int:
        return found

    def next_number() -> int:
        given.append(len(given))
        return given[-1]

    async with client_of(build(number, dependencies={"found": next_number}), token=auth.admit()) as client:
        assert [(await client.get("/number")).json() for _ in range(3)] == [0, 1, 2]


def test_what_is_given_is_made_in_turn(build: Build) -> None:
    """What a handler is given comes one after another, each behind what it needs itself; a task each costs more."""

    @get("/sum", sync_to_thread=False)
    def total(b: NamedDependency[int], a: NamedDependency[int], c: NamedDependency[int]) -> int:
        return a + b + c

    def given(b: NamedDependency[int]) -> int:
        return b + 1

    app = build(total, dependencies={"a": given, "b": lambda: 1, "c": lambda: 3})
    routes = [route for route in app.routes if isinstance(route, HTTPRoute) and route.path == "/sum"]
    _, model = routes[0].route_handler_map["GET"]
    assert [[each.key for each in batch] for batch in model.dependency_batches] == [["b"], ["c"], ["a"]]


class Resource:
    """Notes when it is entered and left."""

    def __init__(self, name: str, events: list[str]) -> None:
        self.name = name
        self.events = events

    async def __aenter__(self) -> Self:
        self.events.append(f"{self.name} in")
        return self

    async def __aexit__(self, *_: object) -> None:
        self.events.append(f"{self.name} out")


class Authenticator(Resource):
    """One that holds connections."""

    def recall(self, authorization: bytes) -> None:
        """See `common.auth.Authenticator`."""

    async def authenticate(self, token: str, *, safe: bool) -> Principal:
        """See `common.auth.Authenticator`."""
        raise NotImplementedError(token, safe)


async def test_resources_live_as_long_as_the_service(build: Build) -> None:
    """Database and authenticator first, the service's own after them, and out again in reverse."""
    events: list[str] = []
    resources: Any = {
        "database": Resource("database", events),
        "auth": Authenticator("auth", events),
        "lifespan": [Resource("own", events)],
    }
    async with client_of(build(**resources)):
        assert events == ["database in", "auth in", "own in"]
    assert events[3:] == ["own out", "auth out", "database out"]


async def test_authenticator_without_resources_is_fine(build: Build) -> None:
    """Not every one has something to close."""
    async with client_of(build()) as client:
        assert (await client.get("/health/live")).status_code == 200


async def test_start_that_fails_leaves_nothing_open(build: Build) -> None:
    """What was opened before is closed."""
    events: list[str] = []

    class Failing(Resource):
        async def __aenter__(self) -> Self:
            raise LookupError(self.name)

    app = build(auth=Authenticator("auth", events), lifespan=[Failing("own", events)])
    with pytest.raises(ExceptionGroup):
        await app.lifespan().__aenter__()
    assert events == ["auth in", "auth out"]


@pytest.mark.parametrize(("size", "status"), [(MAXIMUM_BODY, 201), (MAXIMUM_BODY + 1, 413)])
async def test_bodies_are_bounded(build: Build, size: int, status: int) -> None:
    """64 KiB and not a byte more, said or not said beforehand."""

    @post("/echo", opt={"auth": PUBLIC}, sync_to_thread=False)
    def echo(body: RawBody) -> int:
        return len(body)

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, size, 10_000):
            yield b"x" * min(10_000, size - start)

    async with client_of(build(echo)) as client:
        told = await client.post("/echo", content=b"x" * size)
        untold = await client.post("/echo", content=chunks())
    assert (told.status_code, untold.status_code) == (status, status)
    if status == 413:
        assert told.json()["code"] == untold.json()["code"] == "CONTENT_TOO_LARGE"


async def test_layers_stand_behind_the_guard(build: Build, auth: FakeAuthenticator) -> None:
    """They know the caller, the first of them is the outermost, and whom the guard refuses they never see."""
    seen: list[tuple[str, UUID]] = []

    def layer(name: str) -> Callable[[ASGIApp], ASGIApp]:
        def wrap(app: ASGIApp) -> ASGIApp:
            async def pass_on(scope: Scope, receive: Receive, send: Send) -> None:
                seen.append((name, scope["user"].id))
                await app(scope, receive, send)

            return pass_on

        return wrap

    @get("/", sync_to_thread=False)
    def root() -> None:
        return None

    ann = a_user()
    async with client_of(build(root, layers=[layer("outer"), layer("inner")])) as client:
        assert (await client.get("/")).status_code == 401
        headers = {"Authorization": f"Bearer {auth.admit(ann)}"}
        assert (await client.get("/", headers=headers)).status_code == 200
    assert seen == [("outer", ann.id), ("inner", ann.id)]


async def test_debugging_pages_are_off(build: Build) -> None:
    """Litestar would show a traceback to whoever asks for HTML."""

    @get("/broken", opt={"auth": PUBLIC}, sync_to_thread=False)
    def broken() -> None:
        raise RuntimeError("geheim")

    async with client_of(build(broken)) as client:
        answer = await client.get("/broken", headers={"Accept": "text/html"})
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert "geheim" not in answer.text
