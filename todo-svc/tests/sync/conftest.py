"""Fixtures of sync's tests: listeners to a stream, and several processes' worth of todo-svc."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from litestar import Litestar
from litestar.types import ASGIApp

from common.settings import load
from common.testing import FakeAuthenticator, a_user
from todo_svc.app import create_app
from todo_svc.settings import Settings

Json = dict[str, Any]


class Listener:
    """Somebody who listens to `/events`, as a server would serve them: `open_` is whether it takes more."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.comments = 0
        self.open_ = asyncio.Event()
        self.open_.set()
        self.over = asyncio.Event()
        self.answered = asyncio.Event()
        self.gone = asyncio.Event()
        self.body = b""
        self._events: asyncio.Queue[Json] = asyncio.Queue()
        self._rest = ""
        self._asked = False

    async def next(self, seconds: float = 10.0) -> Json:
        """The next event: its `id`, `event` and `data`."""
        async with asyncio.timeout(seconds):
            return await self._events.get()

    def waiting(self) -> int:
        """How many events have come and are not taken."""
        return self._events.qsize()

    async def receive(self) -> Any:
        """The request, and in the end the client's going."""
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        """Take in what is sent."""
        await self.open_.wait()
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            return
        self.body += message["body"]
        *blocks, self._rest = (self._rest + message["body"].decode()).split("\n\n")
        for block in blocks:
            self._take(block)
        self.answered.set()
        if not message.get("more_body"):
            self.over.set()
            self.gone.set()

    def _take(self, block: str) -> None:
        fields = dict(line.partition(": ")[::2] for line in block.split("\n"))
        if block == ":":
            self.comments += 1
        if "data" in fields:
            self._events.put_nowait({**fields, "id": int(fields["id"]), "data": json.loads(fields["data"])})


Listen = Callable[..., AbstractAsyncContextManager[Listener]]


@pytest.fixture
def listen() -> Listen:
    """Opens a stream at an app; it is answered when the block begins, and left with it."""

    @asynccontextmanager
    async def listening(app: ASGIApp, token: str | None, since: str | None = None) -> AsyncIterator[Listener]:
        listener = Listener()
        headers = [(b"authorization", f"Bearer {token}".encode())] if token else []
        headers += [(b"last-event-id", since.encode())] if since is not None else []
        scope: Any = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET"}
        scope |= {"scheme": "http", "path": "/events", "raw_path": b"/events", "root_path": "", "query_string": b""}
        scope |= {"headers": headers, "server": ("service.test", 80), "client": ("127.0.0.1", 1)}
        task = asyncio.ensure_future(app(scope, listener.receive, listener.send))
        async with asyncio.timeout(10):
            await listener.answered.wait()
        try:
            yield listener
        finally:
            listener.gone.set()
            await task

    return listening


@pytest_asyncio.fixture(loop_scope="session")
async def processes(
    variables: dict[str, str], redis_url: str, authenticator: FakeAuthenticator, running: Callable[[Litestar], Any]
) -> AsyncIterator[list[Litestar]]:
    """Two of todo-svc, which share PostgreSQL and Redis and nothing else."""
    settings = load(Settings, variables | {"REDIS_URL": redis_url})
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(running(create_app(settings, auth=authenticator))) for _ in range(2)]


@pytest.fixture
def token(authenticator: FakeAuthenticator, ann_id: UUID) -> str:
    """Another of Ann's tokens, for her streams."""
    return authenticator.admit(a_user(id=ann_id))
