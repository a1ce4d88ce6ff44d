"""A login takes as long for an address that nobody has as for one that somebody has."""

import statistics
import time
from collections.abc import Awaitable, Callable

import httpx
import pytest
from msgspec.structs import replace

from user_svc.settings import Settings

PAIRS, SERIES = 15, 3

Call = Callable[..., Awaitable[httpx.Response]]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """The settings of an app that hashes as a real one does: that is where the time goes."""
    return replace(settings, argon2_memory_kib=19_456, argon2_passes=2)


async def test_the_time_tells_nothing(register: Call, login: Call) -> None:
    """Medians of alternate refusals are alike, a decoy is verified for who has no hash; a leak would show each time."""
    await register("ann@example.com")

    async def taken(email: str) -> float:
        started = time.perf_counter()
        answer = await login(email, "wrong horse battery")
        assert answer.status_code == 400
        return time.perf_counter() - started

    ratios = []
    for _ in range(SERIES):
        pairs = [(await taken("ann@example.com"), await taken("bob@example.com")) for _ in range(PAIRS)]
        known, unknown = (statistics.median(times) for times in zip(*pairs, strict=True))
        ratios.append(known / unknown)
        if 0.6 < ratios[-1] < 1.6:
            return
    pytest.fail(f"it is told apart by its time: {ratios}")
