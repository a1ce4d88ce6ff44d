"""What a bench stands on: PostgreSQL, Valkey and services of its own, on free ports, with one user and one list."""

import asyncio
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx

from common.testing import random_keys
from devstack.bench.bare.app import FORGETFUL
from devstack.bench.cores import Cores, on
from devstack.bench.crowd import crowd
from devstack.bench.unguarded.app import OWNER
from devstack.embedded import Postgres, Valkey
from devstack.ports import free_port
from devstack.processes import Server, StackError
from devstack.up.service import Service

KEPT = ("PATH", "HOME", "LANG", "TMPDIR")
EMAIL = "bench@example.com"
STRANGER = "stranger@example.com"  # who logs in, where that is what is measured
PASSWORD = "correct-horse-battery"  # noqa: S105 - of a user that lives as long as the bench
TODOS = 20
PATIENCE = 30.0  # seconds


class Bed:
    """The servers: measured ones on their core, everything else on the others.

    `login_svc` is a user-svc to measure; the one that todo-svc asks is `user_svc`.
    """

    def __init__(self, folder: Path, cores: Cores) -> None:
        self.keys = random_keys()
        self.postgres = Postgres(folder, free_port(), durable=False)
        self.redis = Valkey(folder, free_port(), durable=False)
        self.user_svc = Service("user-svc", folder, free_port(), 1)
        self.login_svc = Service("user-svc", folder / "login", free_port(), 1)
        self.todo_svc = Service("todo-svc", folder, free_port(), 1)
        self.unguarded = Service("devstack.bench.unguarded", folder, free_port(), 1)
        self.bare = Service("devstack.bench.bare", folder, free_port(), 1)
        self.forgetful = Service("devstack.bench.bare", folder / "forgetful", free_port(), 1)
        self.raw = Service("devstack.bench.raw", folder, free_port(), 1)
        self.owner = self.list_id = self.todo_id = ""
        self._long_id = self._token = ""
        self._cores = cores
        self._started: list[Server] = []

    @contextmanager
    def running(self, measured: Collection[Service]) -> Iterator[None]:
        """These run for as long as the block does, and what they need."""
        try:
            self._start(measured)
            yield
        finally:
            self._stop()

    async def crowded(self) -> str:
        """The id of a list of 100,100 todos, made when it is first asked for."""
        self._long_id = self._long_id or str(await crowd(self.postgres.admin_dsn("todo_svc"), UUID(self.owner)))
        return self._long_id

    def stores(self) -> dict[str, int]:
        """The processes behind all services, by their names."""
        processes = {"postgresql": self.postgres.process, "redis": self.redis.process}
        return {name: process.pid for name, process in processes.items() if process is not None}

    def login(self) -> str:
        """The access token of the user's one session: another login might end some of those that a case has made."""
        if not self._token:
            form = {"username": EMAIL, "password": PASSWORD}
            self._token = str(_ask(self.user_svc, "/auth/jwt/login", data=form)["access_token"])
        return self._token

    def new_list(self, title: str, token: str) -> str:
        """The id of a new list of the user's."""
        return str(_ask(self.todo_svc, "/lists", json={"title": title}, headers=_bearer(token))["id"])

    def _start(self, measured: Collection[Service]) -> None:
        with on(self._cores.others):
            self._up(self.postgres)
            self._up(self.redis)
            for service, database in ((self.user_svc, "user_svc"), (self.todo_svc, "todo_svc")):
                asyncio.run(_create(self.postgres.dsn("postgres"), database))
                service.environment = self._environment(database)
                service.migrate()
            self._up(self.user_svc)
        self._fill(measured)

    def _fill(self, measured: Collection[Service]) -> None:
        """Register the user, tell everybody, make the list that is read."""
        for email in (STRANGER, EMAIL):
            account = {"email": email, "password": PASSWORD}
            self.owner = str(_ask(self.user_svc, "/auth/register", json=account)["id"])
        self.unguarded.environment = self._environment("todo_svc") | {OWNER: self.owner}
        self.raw.environment = self.unguarded.environment
        self.login_svc.environment = self._environment("user_svc")
        self.bare.environment = self._environment("todo_svc")
        self.forgetful.environment = self.bare.environment | {FORGETFUL: "yes"}
        with on(self._cores.measured):
            self._up(*{self.todo_svc, *measured})
        token = self.login()
        self.list_id = self.new_list("Read", token)
        for number in range(TODOS):
            todo = {"content": f"Todo {number}", "description": "Something to read"}
            made = _ask(self.todo_svc, f"/lists/{self.list_id}/todos", json=todo, headers=_bearer(token))
        self.todo_id = str(made["id"])

    def _up(self, *servers: Server) -> None:
        for server in servers:
            server.prepare()
            self._started.append(server)
            server.spawn()
        for server in servers:
            server.wait_ready()
            if isinstance(server, Service):
                server.wait_healthy()

    def _stop(self) -> None:
        for server in reversed(self._started):
            server.stop()

    def _environment(self, database: str) -> dict[str, str]:
        """What a service is told; nothing of the caller's own settings reaches it."""
        return {name: os.environ[name] for name in KEPT if name in os.environ} | {
            "ENVIRONMENT": "development",
            "DATABASE_URL": self.postgres.dsn(database),
            "REDIS_URL": self.redis.url,
            "JWT_KEYS": self.keys,
            "USER_SVC_URL": self.user_svc.url,
            "LOG_LEVEL": "WARNING",
            "ACCESS_LOG": "false",
            "ACCESS_TOKEN_SECONDS": "3600",
            "THROTTLE_ACCOUNT_PER_MINUTE": "0",
            "THROTTLE_ADDRESS_PER_MINUTE": "0",
        }


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _ask(service: Service, path: str, **content: Any) -> Any:
    """POST something that must work, though passwords are hashed when nothing else is to be done."""
    try:
        answer = httpx.post(f"{service.url}{path}", trust_env=False, timeout=PATIENCE, **content)
    except httpx.HTTPError as error:
        raise StackError(f"{service.name} did not answer POST {path}: {error}") from error
    if answer.is_error:
        raise StackError(f"{service.name} answered POST {path} with {answer.status_code}")
    return answer.json()


async def _create(server: str, database: str) -> None:
    connection = await asyncpg.connect(server)
    try:
        await connection.execute(f'CREATE DATABASE "{database}"')
    finally:
        await connection.close()
