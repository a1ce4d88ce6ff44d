"""A request for a mail takes as long for an address that nobody has as for one that somebody has."""

import statistics
import time

import httpx
import pytest
from msgspec.structs import replace

from user_svc.settings import Settings

ROUNDS, SERIES = 100, 3


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Nothing is sent meanwhile: what follows an answer is not part of it."""
    return replace(settings, mail_folder=None)


@pytest.mark.parametrize("route", ["/auth/forgot-password", "/auth/request-verify-token"])
async def test_the_time_tells_nothing(client: httpx.AsyncClient, route: str) -> None:
    """Medians of alternate requests lie within a quarter of each other; a leak would show in each of three series."""
    await client.post("/auth/register", json={"email": "ann@example.com", "password": "correct horse battery"})

    async def taken(email: str) -> float:
        started = time.perf_counter()
        await client.post(route, json={"email": email})
        return time.perf_counter() - started

    ratios = []
    for _ in range(SERIES):
        pairs = [(await taken("ann@example.com"), await taken("bob@example.com")) for _ in range(ROUNDS)]
        known, unknown = (statistics.median(times) for times in zip(*pairs, strict=True))
        ratios.append(known / unknown)
        if 0.8 < ratios[-1] < 1.25:
            return
    pytest.fail(f"it is told apart by its time: {ratios}")


async def test_both_write_the_same(client: httpx.AsyncClient, rows: object) -> None:
    """One row each, which is what a commit costs; the one of nobody names no account."""
    await client.post("/auth/register", json={"email": "ann@example.com", "password": "correct horse battery"})
    for email in ("ann@example.com", "bob@example.com"):
        await client.post("/auth/forgot-password", json={"email": email})

    found = await rows("SELECT payload->>'account' IS NULL FROM outbox WHERE topic = 'mail' ORDER BY id")  # type: ignore[operator]
    assert found == [(False,), (True,)]
