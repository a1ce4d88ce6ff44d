"""A bare ASGI application: todo-svc's own statements on an asyncpg pool as the services make it, and the same bytes."""

import os
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
from uuid_utils.compat import uuid7

from common.database import CONNECT, STATEMENT
from common.dto import Page
from common.settings import load
from devstack.bench.unguarded.app import OWNER
from todo_svc.settings import Settings
from todo_svc.todos.queries import FIRST, ONE, todo_of
from todo_svc.todos.repository import INSERT
from todo_svc.todos.schemas import CreateTodo

TODOS = 20


class Raw:
    """Answers a page of a list, a todo and a new one, for the one user of the bench."""

    def __init__(self) -> None:
        self._dsn = load(Settings).database_url.reveal()
        self._size = load(Settings).database_pool_size
        self._owner = UUID(os.environ[OWNER])
        self._decoder = msgspec.json.Decoder(CreateTodo)
        self._encode = msgspec.json.Encoder().encode
        self._pool: Any = None

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
            rows = await connection.fetch(FIRST, self._owner, list_id, TODOS + 1)
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
        async with asyncpg.create_pool(
            self._dsn, min_size=0, max_size=self._size, timeout=CONNECT, command_timeout=STATEMENT, reset=_nothing
        ) as self._pool:
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})


async def _nothing(_connection: Any) -> None:
    """As the services do it."""


def create_app() -> Raw:
    """Build it from the environment that todo-svc would have."""
    return Raw()
