"""HEAD: what GET would say of its answer, and no content."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from litestar import Litestar, get, post
from litestar.params import FromPath
from litestar.response import Stream

from common.auth import PUBLIC
from common.telemetry.metrics import HTTP_REQUESTS
from common.testing import FakeAuthenticator, client_of

Build = Callable[..., Litestar]


@get("/thing", opt={"auth": PUBLIC}, sync_to_thread=False)
def thing() -> dict[str, str]:
    """Something to look at."""
    return {"name": "thing"}


@get("/mine", sync_to_thread=False)
def mine() -> str:
    """Something of the caller's."""
    return "mine"


@pytest.mark.parametrize(("path", "status"), [("/thing", 200), ("/mine", 401), ("/nowhere", 404), ("/docs", 200)])
async def test_as_get(build: Build, path: str, status: int) -> None:
    """The same status and headers, the length of what is left out among them, and guarded as GET is."""
    async with client_of(build(thing, mine)) as client:
        whole, head = [await client.request(method, path) for method in ("GET", "HEAD")]
    assert (head.status_code, head.content) == (whole.status_code, b"") == (status, b"")
    for answer in (whole, head):
        del answer.headers["X-Request-ID"]
    assert head.headers == whole.headers


async def test_is_counted_as_what_it_is(build: Build) -> None:
    """An operator can tell HEAD from GET."""
    counted = HTTP_REQUESTS.labels("HEAD", "/thing", 200)
    before = counted._value.get()
    async with client_of(build(thing)) as client:
        await client.head("/thing")
    assert counted._value.get() == before + 1


async def test_a_path_is_not_taken_for_a_parameter(build: Build, auth: FakeAuthenticator) -> None:
    """What is a route of its own has its own methods, not those of the route it would also fit."""

    @get("/mine/{number:int}", sync_to_thread=False)
    def one(number: FromPath[int]) -> int:
        return number

    @post("/mine/batch", sync_to_thread=False)
    def batch() -> None:
        """Make many."""

    headers = {"Authorization": f"Bearer {auth.admit()}"}
    async with client_of(build(one, batch)) as client:
        answers = [await client.request(method, "/mine/batch", headers=headers) for method in ("OPTIONS", "GET")]
    assert [answer.status_code for answer in answers] == [204, 405]
    for answer in answers:
        assert set(answer.headers["Allow"].split(", ")) == {"OPTIONS", "POST"}


@pytest.mark.parametrize("token", [True, False])
async def test_what_a_path_takes(build: Build, auth: FakeAuthenticator, *, token: bool) -> None:
    """OPTIONS and 405 name every method of every route there, and HEAD with GET."""

    @post("/mine", sync_to_thread=False)
    def make() -> None:
        """Make something of the caller's."""

    headers = {"Authorization": f"Bearer {auth.admit()}"} if token else {}
    async with client_of(build(mine, make)) as client:
        answers = [await client.request(method, "/mine", headers=headers) for method in ("OPTIONS", "PUT")]
    assert [answer.status_code for answer in answers] == ([204, 405] if token else [401, 405])
    for answer in answers[not token :]:
        assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS", "POST"}


async def test_an_answer_that_would_not_end(build: Build) -> None:
    """It ends where its content would begin."""

    async def ticks() -> AsyncIterator[bytes]:
        while True:
            yield b"tick"
            await asyncio.sleep(0)

    @get("/ticks", opt={"auth": PUBLIC}, sync_to_thread=False)
    def forever() -> Stream:
        return Stream(ticks())

    sent: list[Any] = []
    over = asyncio.Event()

    async def receive() -> Any:
        await over.wait()
        return {"type": "http.disconnect"}  # as a server says once an answer is whole

    async def send(message: Any) -> None:
        sent.append(message)
        if message["type"] == "http.response.body" and not message["more_body"]:
            over.set()

    scope: Any = {"type": "http", "method": "HEAD", "path": "/ticks", "raw_path": b"/ticks", "query_string": b""}
    scope |= {"headers": [], "root_path": "", "client": None, "server": ("service.test", 80), "scheme": "http"}
    app = build(forever)
    async with asyncio.timeout(5):
        await app(scope, receive, send)
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert sent[1]["body"] == b""
