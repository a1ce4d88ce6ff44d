"""A login takes as long for an address that nobody has as for one that somebody has."""

from collections.abc import Awaitable, Callable

import httpx
import pytest
from msgspec.structs import replace

from user_svc.settings import Settings

PAIRS = 15

Call = Callable[..., Awaitable[httpx.Response]]
Ask = Callable[[], Awaitable[None]]
Compared = Callable[[Ask, Ask, int], Awaitable[float]]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """The settings of an app that hashes as a real one does: that is where the time goes."""
    return replace(settings, argon2_memory_kib=19_456, argon2_passes=2)


async def test_the_time_tells_nothing(register: Call, login: Call, compared: Compared) -> None:
    """Alternate refusals take alike: for who has no hash a decoy is verified."""
    await register("ann@example.com")

    def refused(email: str) -> Ask:
        async def ask() -> None:
            assert (await login(email, "wrong horse battery")).status_code == 400

        return ask

    assert 0.6 < await compared(refused("ann@example.com"), refused("bob@example.com"), PAIRS) < 1.6
