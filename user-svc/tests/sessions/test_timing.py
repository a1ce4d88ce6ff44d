"""A login takes as long for an address that nobody has as for one that somebody has."""

import statistics
import time
from collections.abc import Awaitable, Callable

import httpx
import pytest
from msgspec.structs import replace

from user_svc.settings import Settings

PAIRS = 15

Call = Callable[..., Awaitable[httpx.Response]]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """The settings of an app that hashes as a real one does: that is where the time goes."""
    return replace(settings, argon2_memory_kib=19_456, argon2_passes=2)


async def test_the_time_tells_nothing(register: Call, login: Call) -> None:
    """Medians of alternate refusals are much alike: who has no hash has a decoy verified."""
    await register("ann@example.com")
    times: dict[str, list[float]] = {"ann@example.com": [], "bob@example.com": []}

    for _ in range(PAIRS):
        for email, taken in times.items():
            started = time.perf_counter()
            answer = await login(email, "wrong horse battery")
            taken.append(time.perf_counter() - started)
            assert answer.status_code == 400

    known, unknown = (statistics.median(taken) for taken in times.values())
    assert 0.6 < known / unknown < 1.6
