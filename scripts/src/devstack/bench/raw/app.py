"""A bare ASGI application: todo-svc's own statements on an asyncpg pool as the services make it, and the same bytes."""

import os
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
from uuid_utils.compat import uuid7

from common.connection import CONNECT, STATEMENT
from common.dto import Page
from common.settings import load
from devstack.bench.unguarded.app import OWNER
from todo_svc.settings import Settings
from todo_svc.todos.filters import TodoFilters, Window
from todo_svc.todos.queries import ONE, TodoQueries, todo_of
from todo_svc.todos.repository import INSERT
from todo_svc.todos.schemas import CreateTodo

TODOS = 20
OWNER_ID = UUID(int=0)  # whoever it is, the text is the same


class Raw:
    """Answers a page of a list, a todo and a new one, for the one user of the bench."""

    def __init__(self) -> None:
        self._dsn = load(Settings).database_url.reveal()
        self._size = load(Settings).database_pool_size
        self._owner = UUID(os.environ[OWNER])
        self._decoder = msgspec.json.Decoder(CreateTodo)
        self._encode = msgspec.json.Encoder().encode
        self._pool: Any = None
        self._first = ""

    async def __call__(self, scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[..., Any]) -> None:
        """Whatever is no list and no todo is the question whether it lives."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        status, body = 200, b"{}"
        match scope["path"].split("/"):
            case [_, "lists", list_id, "todos"] if scope["method"] == "POST":
                status, body = 201, await self._create(UUID(list_id), (await receive())["body"])
            case [_, "lists", list_id, "todos"]:
                body = await self._page(UUID(list_id))
            case [_, "todos", todo_id]:
                body = await self._one(UUID(todo_id))
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _page(self, list_id: UUID) -> bytes:
        async with self._pool.acquire() as connection:
            rows = await connection.fetch(self._first, self._owner, list_id, TODOS + 1)
        return self._encode(Page([todo_of(row[2:]) for row in rows], None))

    async def _one(self, todo_id: UUID) -> bytes:
        async with self._pool.acquire() as connection:
            return self._encode(todo_of(await connection.fetchrow(ONE, self._owner, todo_id)))

    async def _create(self, list_id: UUID, body: bytes) -> bytes:
        new = self._decoder.decode(body)
        values = list_id, new.content, new.description, new.priority.rank, new.due_at, new.labels
        async with self._pool.acquire() as connection:
            return self._encode(todo_of(await connection.fetchrow(INSERT, self._owner, uuid7(), *values)))

    async def _live(self, receive: Callable[[], Awaitable[Any]], send: Callable[..., Any]) -> None:
        await receive()
        self._first = await page_statement()
        async with asyncpg.create_pool(
            self._dsn, min_size=0, max_size=self._size, timeout=CONNECT, command_timeout=STATEMENT, reset=_nothing
        ) as self._pool:
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})


class Overheard(Exception):
    """A statement that was about to be sent."""


class Listener:
    """A database that only tells what it was asked."""

    async def rows(self, statement: str, *_: Any) -> Any:
        """See `common.database.Statements`."""
        raise Overheard(statement)

    row = rows


async def page_statement() -> str:
    """What the service sends for the first page of a list."""
    try:
        await TodoQueries(Listener(), OWNER_ID).page(TodoFilters(), Window(limit=TODOS, cursor=None), OWNER_ID)
    except Overheard as overheard:
        return str(overheard)
    raise AssertionError("no statement was sent")


async def _nothing(_connection: Any) -> None:
    """As the services do it."""


def create_app() -> Raw:
    """Build it from the environment that todo-svc would have."""
    return Raw()
