"""Sentinel: the master is killed under both services, and nobody who asks them notices."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any
from uuid import UUID

import pytest

from common.auth.standing import READY, TOMBSTONE, key
from common.resp import RespClient
from common.testing import eventually, session_of
from common.values import RedisUrl
from common.wire import Away


async def is_believed(group: Any, lean: RespClient, session: UUID) -> bool:
    """Whether the replica is the master now, has been loaded by user-svc, and holds the tombstone."""
    with suppress(Away, TimeoutError):
        async with asyncio.timeout(1):
            words = await lean.execute_command("MGET", READY, key(session))
        return words == [group.replica.identity(), TOMBSTONE]
    return False


@pytest.fixture
async def lean(group: Any) -> AsyncIterator[RespClient]:
    """A client of the hot path's kind that lives through the failover."""
    lean = RespClient(RedisUrl(group.url))
    yield lean
    await lean.aclose()


async def test_failover(group: Any, lean: RespClient, serve: Any) -> None:
    """Logouts of before and after hold, good tokens are good all along, and the new master is believed once loaded."""
    async with serve(group.url) as services:
        good, early, late = [await services.log_in() for _ in range(3)]
        await services.log_out(early)
        assert await lean.execute_command("EXISTS", READY) == 1
        group.master.kill()
        session = session_of(early["Authorization"].removeprefix("Bearer "))

        async def has_failed_over() -> bool:
            assert await services.statuses(good, early) == [200, 401]
            return await is_believed(group, lean, session)

        await eventually(has_failed_over)
        await services.log_out(late)
        assert await services.statuses(good, early) == [200, 401]
