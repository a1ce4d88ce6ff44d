"""SIGKILL between a commit and what must follow elsewhere: the next process makes up for it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from redis.asyncio import Redis

from common.auth.standing import TOMBSTONE, key
from common.dto import UserEvent
from common.events import STREAM
from common.testing import eventually, random_keys, session_of
from devstack.fixtures import QUICK_LOGINS, bare_environment
from devstack.ports import free_port
from devstack.up.service import Service
from user_svc.settings import Settings

ANN, BOB = "ann@example.com", "bob@example.com"
PASSWORD = "correct horse battery"

Rows = Callable[..., Awaitable[list[tuple[Any, ...]]]]


@pytest.fixture
def service(settings: Settings, mail_server: Any, tmp_path: Path) -> Iterator[Service]:
    """user-svc in a process of its own, not yet started."""
    service = Service("user-svc", tmp_path, free_port(), workers=1)
    service.environment = bare_environment(
        **QUICK_LOGINS,
        DATABASE_URL=settings.database_url.reveal(),
        REDIS_URL=settings.redis_url.reveal(),
        JWT_KEYS=random_keys(),
        SMTP_URL=mail_server.url,
        MAIL_FROM="no-reply@example.net",
        PUBLIC_URL="https://app.test",
        LOG_LEVEL="ERROR",
    )
    yield service
    service.kill()


async def log_in(client: httpx.AsyncClient, email: str) -> str:
    """An access token of a new session."""
    answer = await client.post("/auth/jwt/login", data={"username": email, "password": PASSWORD})
    return str(answer.json()["access_token"])


@asynccontextmanager
async def unwritable(redis: Redis) -> AsyncIterator[None]:
    """Redis takes no write until the block ends; those of a client that has died by then it never does."""

    async def alone() -> bool:
        return len(await redis.client_list()) == 1

    await redis.client_pause(60_000, all=False)
    try:
        yield
        await eventually(alone)
    finally:
        await redis.client_unpause()


@pytest.mark.e2e
async def test_a_kill_between_commit_and_relay_loses_nothing(
    service: Service, rows: Rows, redis: Redis, mail_server: Any
) -> None:
    """A logout, a deletion and a mail were promised: tombstones, event and mail come from the next process."""
    service.start()
    async with httpx.AsyncClient(base_url=service.url, trust_env=False) as client:
        for email in (ANN, BOB):
            await client.post("/auth/register", json={"email": email, "password": PASSWORD})
        await rows("UPDATE accounts SET is_superuser = true WHERE email = $1", ANN)
        [(bob,)] = await rows("SELECT id FROM accounts WHERE email = $1", BOB)
        ann, ended, bobs = [await log_in(client, email) for email in (ANN, ANN, BOB)]
        async with unwritable(redis):
            logout = await client.post("/auth/jwt/logout", headers={"Authorization": f"Bearer {ended}"})
            deletion = await client.delete(f"/users/{bob}", headers={"Authorization": f"Bearer {ann}"})
            forgot = await client.post("/auth/forgot-password", json={"email": ANN})
            service.kill()
    buried = [key(session_of(token)) for token in (ended, bobs)]
    assert [answer.status_code for answer in (logout, deletion, forgot)] == [204, 204, 202]
    topics = [topic for (topic,) in await rows("SELECT topic FROM outbox ORDER BY topic")]
    assert topics == ["events", "mail", "standing", "standing"]
    assert TOMBSTONE.decode() not in await redis.mget(buried)
    assert (await redis.exists(STREAM), mail_server.letters) == (0, [])

    mail_server.start()
    await rows("UPDATE outbox SET not_before = now()")
    service.start()

    async def nothing_left() -> bool:
        return not await rows("SELECT FROM outbox")

    await eventually(nothing_left)
    stream: Any = await redis.xrange(STREAM)
    event = msgspec.json.decode(stream[0][1]["event"], type=UserEvent)
    assert await redis.mget(buried) == [TOMBSTONE.decode()] * 2
    assert (event.type, event.user) == ("user.deleted", bob)
    assert [letter["To"] for letter in mail_server.letters] == [ANN]
