"""A request for a mail takes as long for an address that nobody has as for one that somebody has."""

from collections.abc import Awaitable, Callable

import httpx
import pytest
from msgspec.structs import replace

from user_svc.settings import Settings

ROUNDS = 150
Ask = Callable[[], Awaitable[httpx.Response]]
Compared = Callable[[Ask, Ask, int], Awaitable[float]]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Nothing is sent meanwhile: what follows an answer is not part of it."""
    return replace(settings, mail_folder=None)


@pytest.mark.parametrize("route", ["/auth/forgot-password", "/auth/request-verify-token"])
async def test_the_time_tells_nothing(client: httpx.AsyncClient, compared: Compared, route: str) -> None:
    """Alternate requests take alike, within a quarter of each other, whatever else the machine does."""
    await client.post("/auth/register", json={"email": "ann@example.com", "password": "correct horse battery"})

    def ask(email: str) -> Ask:
        return lambda: client.post(route, json={"email": email})

    assert 0.8 < await compared(ask("ann@example.com"), ask("bob@example.com"), ROUNDS) < 1.25


async def test_both_write_the_same(client: httpx.AsyncClient, rows: object) -> None:
    """One row each, which is what a commit costs; the one of nobody names no account."""
    await client.post("/auth/register", json={"email": "ann@example.com", "password": "correct horse battery"})
    for email in ("ann@example.com", "bob@example.com"):
        await client.post("/auth/forgot-password", json={"email": email})

    found = await rows("SELECT payload->>'account' IS NULL FROM outbox WHERE topic = 'mail' ORDER BY id")  # type: ignore[operator]
    assert found == [(False,), (True,)]
