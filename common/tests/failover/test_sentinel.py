"""Sentinel: the master is killed under both services, and nobody who asks them notices."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any
from uuid import UUID

import httpx
import pytest

from common.auth import userinfo
from common.auth.standing import READY, TOMBSTONE, key
from common.resp import RespClient
from common.settings import load
from common.testing import client_of, eventually, random_keys, session_of
from common.values import RedisUrl
from common.wire import Away
from devstack.fixtures import DatabaseFactory
from todo_svc.app import create_app as create_todo_app
from todo_svc.settings import Settings as TodoSettings
from user_svc.app import create_app as create_user_app
from user_svc.settings import Settings as UserSettings

Header = dict[str, str]
CREDENTIALS = {"email": "ann@example.com", "password": "correct-horse-battery"}


@pytest.fixture
def variables(group: Any) -> dict[str, str]:
    """What both services are told."""
    return {
        "REDIS_URL": group.url,
        "JWT_KEYS": random_keys(),
        "USER_SVC_URL": "http://user.test",
        "LOG_LEVEL": "ERROR",
        "ARGON2_MEMORY_KIB": "8",
        "ARGON2_PASSES": "1",
    }


async def log_in(user_svc: httpx.AsyncClient) -> Header:
    """A new session of Ann's."""
    form = {"username": CREDENTIALS["email"], "password": CREDENTIALS["password"]}
    answer = await user_svc.post("/auth/jwt/login", data=form)
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


async def statuses(todo_svc: httpx.AsyncClient, good: Header, ended: Header) -> tuple[int, int]:
    """What todo-svc answers to a session that stands, and to one that ended."""
    return (
        (await todo_svc.get("/todos", headers=good)).status_code,
        (await todo_svc.get("/todos", headers=ended)).status_code,
    )


async def is_believed(group: Any, lean: RespClient, session: UUID) -> bool:
    """Whether the replica is the master now, has been loaded by user-svc, and holds the tombstone."""
    with suppress(Away, TimeoutError):
        async with asyncio.timeout(1):
            words = await lean.execute_command("MGET", READY, key(session))
        return words == [str(group.replica.ask("INFO")["run_id"]).encode(), TOMBSTONE]
    return False


@pytest.fixture
async def lean(group: Any) -> AsyncIterator[RespClient]:
    """A client of the hot path's kind that lives through the failover."""
    lean = RespClient(RedisUrl(group.url))
    yield lean
    await lean.aclose()


async def test_failover(
    group: Any, lean: RespClient, variables: dict[str, str], database: DatabaseFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Logouts of before and after hold, good tokens are good all along, and the new master is believed once loaded."""
    users = create_user_app(load(UserSettings, variables | {"DATABASE_URL": await database("user_svc")}))
    monkeypatch.setattr(userinfo, "transport_to", lambda _url: httpx.ASGITransport(users))  # type: ignore[arg-type]
    todos = create_todo_app(load(TodoSettings, variables | {"DATABASE_URL": await database("todo_svc")}))
    async with client_of(users) as user_svc, client_of(todos) as todo_svc:
        await user_svc.post("/auth/register", json=CREDENTIALS)
        good, early, late = [await log_in(user_svc) for _ in range(3)]
        assert (await user_svc.post("/auth/jwt/logout", headers=early)).status_code == 204
        await eventually(lambda: todo_svc_refuses(todo_svc, early))
        assert await lean.execute_command("EXISTS", READY) == 1
        group.master.kill()
        session = session_of(early["Authorization"].removeprefix("Bearer "))

        async def has_failed_over() -> bool:
            assert await statuses(todo_svc, good, early) == (200, 401)
            return await is_believed(group, lean, session)

        await eventually(has_failed_over)
        assert (await user_svc.post("/auth/jwt/logout", headers=late)).status_code == 204
        await eventually(lambda: todo_svc_refuses(todo_svc, late))
        assert await statuses(todo_svc, good, early) == (200, 401)


async def todo_svc_refuses(todo_svc: httpx.AsyncClient, header: Header) -> bool:
    """Whether a session that ended is known there."""
    return (await todo_svc.get("/todos", headers=header)).status_code == 401
