"""todo-svc: wired here, and nowhere else."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import httpx
from litestar import Litestar

from common import events
from common.auth import AuthenticatedRequest, Authenticator
from common.auth.remote import remote_auth
from common.cli import load_or_exit
from common.database import Database, Transactions
from common.http.fast_path import FastPath
from common.http.idempotency import Idempotency, statements
from common.redis import connect
from common.service import create_service
from todo_svc.bulk.repository import BulkRepository
from todo_svc.bulk.routes import MAXIMUM_BODY, BulkController
from todo_svc.bulkhead import Bulkhead
from todo_svc.erasure import Eraser, ErasureLog, ErasureWorker
from todo_svc.fast_path import fast_routes
from todo_svc.housekeeping import Housekeeping
from todo_svc.lists.queries import ListQueries
from todo_svc.lists.repository import ListRepository
from todo_svc.lists.routes import ListController
from todo_svc.login import LoginController, LoginProxy
from todo_svc.settings import Settings
from todo_svc.sync.bell import Bell
from todo_svc.sync.feeds import Feeds
from todo_svc.sync.queries import ChangeQueries
from todo_svc.sync.routes import SyncController
from todo_svc.todos.queries import TodoQueries
from todo_svc.todos.repository import TodoRepository
from todo_svc.todos.routes import TodoController
from todo_svc.trash.queries import TrashQueries
from todo_svc.trash.repository import TrashRepository
from todo_svc.trash.routes import TrashController

NAME = "todo-svc"


def create_app(
    settings: Settings | None = None,
    *,
    auth: Authenticator | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
) -> Litestar:
    """Build the service from its settings, which are read now and not at import.

    `auth` is another authenticator than the one that asks user-svc, `transport` another way to reach it.
    """
    settings = settings or load_or_exit(NAME, Settings)
    dsn, size = settings.database_url.reveal(), settings.database_pool_size
    database = Database(dsn, size=size, application=NAME, pooled=settings.is_pooled)
    feeds = Feeds(database)
    bell = Bell(settings.redis_url, feeds)
    login_proxy = LoginProxy(settings.user_svc_url.reveal(), transport=transport)

    erasure = ErasureWorker(
        connect(settings.redis_url, answer=events.ANSWER),
        Eraser(database),
        ErasureLog(settings.user_svc_url.reveal(), settings.jwt_keys, transport=transport),
    )

    @asynccontextmanager
    async def resources() -> AsyncIterator[None]:
        try:
            yield
        finally:
            await login_proxy.close()

    return create_service(
        NAME,
        settings=settings,
        routes=[LoginController, ListController, TodoController, BulkController, TrashController, SyncController],
        auth=auth or remote_auth(settings, transport=transport),
        database=database,
        dependencies={
            "feeds": lambda: feeds,
            "login_proxy": lambda: login_proxy,
            **_rooms(database, settings.kept),
        },
        lifespan=[resources(), erasure, feeds, bell, Housekeeping(database, kept=settings.kept)],
        layers=[
            bell.layer,
            Bulkhead,
            partial(Idempotency, database=database, keys=settings.jwt_keys, largest=MAXIMUM_BODY),
            partial(FastPath, routes=fast_routes(database)),
        ],
        description="Lists and todos of each user, behind the guard.",
    )


def _rooms(database: Database, kept: timedelta) -> dict[str, Callable[[AuthenticatedRequest], Any]]:
    """What handlers name in their signatures: whatever one is given can reach no other owner's rows."""

    def owned(kind: Callable[[Transactions, UUID], Any]) -> Callable[[AuthenticatedRequest], Any]:
        def give(request: AuthenticatedRequest) -> Any:
            return kind(statements(request.scope, database), request.user.id)

        return give

    return {
        "change_queries": owned(ChangeQueries),
        "list_queries": owned(ListQueries),
        "list_repository": owned(partial(ListRepository, kept=kept)),
        "todo_queries": owned(TodoQueries),
        "todo_repository": owned(partial(TodoRepository, kept=kept)),
        "bulk_repository": owned(partial(BulkRepository, kept=kept)),
        "trash_queries": owned(partial(TrashQueries, kept=kept)),
        "trash_repository": owned(TrashRepository),
    }
