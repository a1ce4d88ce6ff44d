"""Throttling over HTTP: wherever a password, a mail or an account can be asked for, and as no one else notices."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from common.http.client import Network
from common.testing import client_of
from user_svc import throttle as module
from user_svc.app import create_app
from user_svc.settings import Settings

Call = Callable[..., Awaitable[httpx.Response]]
Remembered = Callable[[], Awaitable[dict[str, tuple[str, int]]]]
Rows = Callable[..., Awaitable[list[tuple[Any, ...]]]]

ANN = "ann@example.com"
PASSWORD = "correct horse battery"
NOBODY = "redis://127.0.0.1:1/0"


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow machine is not Redis being away."""
    monkeypatch.setattr(module, "BUDGET", 10.0)


@pytest.fixture
async def strict(settings: Settings, register: Call) -> Settings:
    """An app's that counts three tries per account and five per address, and trusts us as its proxy.

    Ann and Bob have accounts there.
    """
    for email in (ANN, "bob@example.com"):
        assert (await register(email)).status_code == 201
    return replace(
        settings,
        throttle_account_per_minute=3,
        throttle_address_per_minute=5,
        trusted_proxies=[Network.parse("127.0.0.0/8")],
    )


async def log_in(
    client: httpx.AsyncClient, username: str = ANN, password: str = "wrong", *, address: str = "203.0.113.9"
) -> httpx.Response:
    """One try from an address."""
    form, headers = {"username": username, "password": password}, {"X-Forwarded-For": address}
    return await client.post("/auth/jwt/login", data=form, headers=headers)


async def send(
    client: httpx.AsyncClient,
    path: str,
    body: Any,
    *,
    method: str = "POST",
    address: str = "203.0.113.9",
    token: str = "",
) -> httpx.Response:
    """A request with a body, from an address."""
    headers = {"X-Forwarded-For": address or "203.0.113.9", "Authorization": f"Bearer {token}"}
    return await client.request(method, path, json=body, headers=headers)


async def test_the_right_password_is_held_up_too(strict: Settings) -> None:
    """After three wrong ones the right one is 429 with Retry-After: a guesser does not learn which it was."""
    async with client_of(create_app(strict)) as client:
        wrong = [await log_in(client) for _ in range(3)]
        right = await log_in(client, password=PASSWORD)

    assert [answer.status_code for answer in wrong] == [400] * 3
    assert (right.status_code, right.json()["code"]) == (429, "TOO_MANY_REQUESTS")
    assert right.headers["Content-Type"] == "application/problem+json"
    assert 0 < int(right.headers["Retry-After"]) <= 20
    assert "access_token" not in right.text


async def test_an_account_is_counted_from_everywhere_and_in_every_spelling(strict: Settings) -> None:
    """Neither another address nor capital letters give more tries; Bob, from any of them, is let in."""
    async with client_of(create_app(strict)) as client:
        spellings = {"198.51.100.1": ANN, "198.51.100.2": "ANN@example.com", "198.51.100.3": " Ann@Example.com"}
        tries = [await log_in(client, username, address=address) for address, username in spellings.items()]
        held = await log_in(client, password=PASSWORD, address="198.51.100.4")
        bob = await log_in(client, "bob@example.com", PASSWORD, address="198.51.100.1")

    assert [answer.status_code for answer in (*tries, held, bob)] == [400, 400, 400, 429, 200]


async def test_an_address_is_counted_over_all_accounts(strict: Settings) -> None:
    """After five tries, also at accounts that are none, that address waits; Ann gets in from hers."""
    async with client_of(create_app(strict)) as client:
        tries = [await log_in(client, f"{number}@example.com") for number in range(5)]
        held = await log_in(client, ANN, PASSWORD)
        ann = await log_in(client, ANN, PASSWORD, address="198.51.100.7")

    assert [answer.status_code for answer in (*tries, held, ann)] == [400] * 5 + [429, 200]


async def test_a_forged_header_gives_no_more_tries(settings: Settings, register: Call) -> None:
    """Without TRUSTED_PROXIES, X-Forwarded-For is nobody's word: all tries are the peer's."""
    await register()
    async with client_of(create_app(replace(settings, throttle_address_per_minute=2))) as client:
        tries = [await log_in(client, f"{number}@example.com", address=f"192.0.2.{number}") for number in range(3)]

    assert [answer.status_code for answer in tries] == [400, 400, 429]


async def test_refreshes_are_counted_by_address(strict: Settings) -> None:
    """Guessing refresh tokens is held up like guessing passwords, with a count of its own."""
    async with client_of(create_app(strict)) as client:
        form = {"grant_type": "refresh_token", "refresh_token": "x"}
        answers = [await client.post("/auth/jwt/refresh", data=form) for _ in range(6)]
        login = await log_in(client, ANN, PASSWORD, address="127.0.0.1")

    assert [answer.status_code for answer in (*answers, login)] == [400] * 5 + [429, 200]


async def test_logins_leave_no_trace_of_who_tried(strict: Settings, remembered: Remembered) -> None:
    """What the whole service writes into Redis names neither the account nor the address of a try."""
    async with client_of(create_app(strict)) as client:
        await log_in(client)

    held = str({name: value for name, value in (await remembered()).items() if name.startswith("throttle:")})
    assert held.count("throttle:login:") == 2
    assert not any(word in held for word in ("ann", "example", "203.0"))


async def test_registrations_are_counted_by_address(strict: Settings) -> None:
    """Five a minute, whether or not anything came of them; somebody elsewhere registers meanwhile."""
    async with client_of(create_app(strict)) as client:

        async def registered(email: str, address: str = "203.0.113.9") -> httpx.Response:
            return await send(client, "/auth/register", {"email": email, "password": PASSWORD}, address=address)

        tries = [await registered(f"{number}@example.com") for number in range(4)]
        taken, held = await registered(ANN), await registered("eve@example.com")
        elsewhere = await registered("eve@example.com", "198.51.100.7")

    assert [answer.status_code for answer in (*tries, taken, held, elsewhere)] == [201] * 4 + [409, 429, 201]
    assert 0 < int(held.headers["Retry-After"]) <= 12


@pytest.mark.parametrize("path", ["/auth/forgot-password", "/auth/request-verify-token"])
@pytest.mark.parametrize("email", [ANN, "nobody@example.com"])
async def test_mails_are_counted_by_whom_they_are_for(strict: Settings, path: str, email: str, rows: Rows) -> None:
    """Nobody's letter box is filled, from however many addresses; an account that is none is counted alike."""
    async with client_of(create_app(strict)) as client:
        answers = [
            await send(client, path, {"email": typed}, address=f"198.51.100.{number}")
            for number, typed in enumerate((email, email.upper(), email, email))
        ]
        other = await send(client, path, {"email": "bob@example.com"})

    assert [answer.status_code for answer in (*answers, other)] == [202, 202, 202, 429, 202]
    assert len(await rows("SELECT FROM outbox WHERE topic = 'mail'")) == 4


@pytest.mark.parametrize("path", ["/auth/forgot-password", "/auth/request-verify-token"])
async def test_mails_are_counted_by_the_hour(settings: Settings, path: str) -> None:
    """Of two an hour the third is half an hour away, for nobody's address like for somebody's."""
    async with client_of(create_app(replace(settings, throttle_mails_per_hour=2))) as client:
        answers = [await send(client, path, {"email": "nobody@example.com"}) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [202, 202, 429]
    assert 1790 < int(answers[-1].headers["Retry-After"]) <= 1800


async def test_a_change_of_address_is_a_mail_to_the_new_one(settings: Settings, token: str, rows: Rows) -> None:
    """Who is changed to counts it among the mails that may be asked for."""
    async with client_of(create_app(replace(settings, throttle_mails_per_hour=2))) as client:
        changed = await change_to(client, token, "new@example.com")
        asked = [await send(client, "/auth/request-verify-token", {"email": "NEW@example.com"}) for _ in range(2)]

    assert [answer.status_code for answer in (changed, *asked)] == [200, 202, 429]
    assert len(await rows("SELECT FROM outbox WHERE topic = 'mail'")) == 2


async def test_one_account_reaches_few_strangers(settings: Settings, token: str, rows: Rows) -> None:
    """Its changes of address are counted together, whoever gets the mails."""
    async with client_of(create_app(replace(settings, throttle_mails_per_hour=2))) as client:
        answers = [await change_to(client, token, f"victim{number}@example.com") for number in range(4)]

    assert [answer.status_code for answer in answers] == [200, 200, 429, 429]
    assert len(await rows("SELECT FROM outbox WHERE topic = 'mail'")) == 2


async def change_to(client: httpx.AsyncClient, token: str, email: str) -> httpx.Response:
    """Ann wants another address."""
    change = {"email": email, "current_password": PASSWORD}
    return await send(client, "/users/me", change, method="PATCH", token=token)


async def test_guesses_of_the_current_password_are_counted_together(strict: Settings, login: Call) -> None:
    """Who found an open session tries its password three times, by whichever route; the right one waits too."""
    token = (await login()).json()["access_token"]
    password = {"current_password": "wrong", "new_password": "another horse battery"}
    email = {"email": "new@example.com", "current_password": "wrong"}
    right = {"current_password": PASSWORD}
    async with client_of(create_app(strict)) as client:
        answers = [
            await send(client, "/users/me/password", password, token=token),
            await send(client, "/users/me", email, method="PATCH", token=token),
            await send(client, "/users/me/password", password, token=token, address="198.51.100.7"),
            await send(client, "/users/me/password", password | right, token=token),
            await send(client, "/users/me", email | right, method="PATCH", token=token),
        ]

    assert [answer.status_code for answer in answers] == [400, 400, 400, 429, 429]


async def test_a_change_without_a_password_is_no_guess(strict: Settings, login: Call) -> None:
    """Ten requests that could tell nobody anything hold nobody up."""
    token = (await login()).json()["access_token"]

    async with client_of(create_app(strict)) as client:
        answers = [await send(client, "/users/me", {}, method="PATCH", token=token) for _ in range(10)]

    assert [answer.status_code for answer in answers] == [200] * 10
