"""Events of accounts: relayed to the stream, and kept for services that lost it."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import pytest
from redis.asyncio import Redis

from common.auth.services import authorization
from common.dto import ErasedUsers, UserEvent
from common.events import STREAM
from devstack.embedded import Valkey
from user_svc.events import PAGE
from user_svc.settings import Settings

Rows = Callable[..., Awaitable[list[tuple[Any, ...]]]]
PATH = "/internal/erasures"
POST = """
WITH posted AS (INSERT INTO outbox (topic, payload) VALUES ('events', $1::jsonb) RETURNING id)
SELECT pg_notify('outbox', '') FROM posted
"""
DEADLINE = 15.0


def an_event() -> UserEvent:
    """Somebody's deletion."""
    return UserEvent("user.deleted", uuid4(), 1)


async def told(redis: Redis, count: int) -> list[UserEvent]:
    """Wait for so many entries; what they say."""
    end = time.monotonic() + DEADLINE
    while int(await redis.xlen(STREAM)) < count:
        assert time.monotonic() < end, "the stream was not told"
        await asyncio.sleep(0.02)
    entries: Any = await redis.xrange(STREAM)
    return [msgspec.json.decode(fields["event"], type=UserEvent) for _, fields in entries]


@pytest.mark.usefixtures("client")
async def test_events_reach_the_stream_in_order(rows: Rows, redis: Redis) -> None:
    """What is posted is appended, the first first, and leaves the outbox."""
    events = [an_event() for _ in range(3)]
    for event in events:
        await rows(POST, msgspec.json.encode(event).decode())

    assert await told(redis, 3) == events
    end = time.monotonic() + DEADLINE
    while await rows("SELECT FROM outbox WHERE topic = 'events'"):
        assert time.monotonic() < end, "the outbox keeps it"
        await asyncio.sleep(0.02)


@pytest.mark.usefixtures("client")
async def test_events_wait_for_redis(rows: Rows, redis: Redis, valkey_server: Valkey) -> None:
    """An event posted while Redis is away is on the stream when Redis is back."""
    event = an_event()
    valkey_server.stop()
    await rows(POST, msgspec.json.encode(event).decode())
    valkey_server.start()  # in this thread: it lives as long as what started it

    assert await told(redis, 1) == [event]


async def ask(client: httpx.AsyncClient, settings: Settings, target: str) -> httpx.Response:
    """As a service would."""
    return await client.get(target, headers={"Authorization": authorization(settings.jwt_keys, "GET", target)})


async def test_erasures_page_by_page(client: httpx.AsyncClient, settings: Settings, rows: Rows) -> None:
    """All deletions in their order, a stretch at a time; an empty one is the end."""
    await rows("INSERT INTO erasures (account_id) SELECT gen_random_uuid() FROM generate_series(1, $1)", PAGE + 2)
    met: list[tuple[Any, ...]] = []
    lengths = []
    while True:
        target = f"{PATH}?after={met[-1][0]}" if met else PATH
        stretch = msgspec.json.decode((await ask(client, settings, target)).content, type=ErasedUsers).items
        lengths.append(len(stretch))
        if not stretch:
            break
        met += [(erased.sequence, erased.user, erased.erased_at) for erased in stretch]

    assert lengths == [PAGE, 2, 0]
    assert met == await rows("SELECT sequence, account_id, erased_at FROM erasures ORDER BY sequence")


async def test_erasures_are_for_services_alone(client: httpx.AsyncClient, settings: Settings, token: str) -> None:
    """Neither nobody nor a user's token, nor a signature for another place in the log, opens it."""
    other = authorization(settings.jwt_keys, "GET", f"{PATH}?after=1")
    for value in ("", f"Bearer {token}", other):
        answer = await client.get(f"{PATH}?after=0", headers={"Authorization": value})
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Service")

    schema = (await client.get("/openapi.json")).json()
    assert PATH not in schema["paths"]


@pytest.mark.parametrize("after", ["-1", "x", str(2**63)])
async def test_a_bad_place_in_the_log(client: httpx.AsyncClient, settings: Settings, after: str) -> None:
    """A number that is none is refused, never a 500."""
    assert (await ask(client, settings, f"{PATH}?after={after}")).status_code == 422
