"""A login takes as long for an address that nobody has as for one that somebody has."""

import time
from collections.abc import Awaitable, Callable

import httpx
import pytest
from msgspec.structs import replace

from user_svc.settings import Settings

PAIRS = 9

Call = Callable[..., Awaitable[httpx.Response]]
Ask = Callable[[], Awaitable[None]]
Compared = Callable[[Ask, Ask, int, Callable[[], float]], Awaitable[float]]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """The settings of an app that hashes as a real one does: that is where the time goes."""
    return replace(settings, argon2_memory_kib=19_456, argon2_passes=2)


async def test_the_time_tells_nothing(register: Call, login: Call, compared: Compared) -> None:
    """Alternate refusals are as much work: for who has no hash a decoy is verified.

    Hashing gives way to everything else on the machine, so the clock on the wall tells what else runs there.
    """
    await register("ann@example.com")

    def refused(email: str) -> Ask:
        async def ask() -> None:
            assert (await login(email, "wrong horse battery")).status_code == 400

        return ask

    ann, bob = refused("ann@example.com"), refused("bob@example.com")
    assert 0.8 < await compared(ann, bob, PAIRS, time.process_time) < 1.25
