"""From the outbox to the mail server: later rather than never, and not for ever."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from common.testing import captured_logs, client_of
from common.values import HttpUrl
from user_svc.app import create_app
from user_svc.settings import Mailbox, Settings, SmtpUrl

ANN = "ann@example.com"
PASSWORD = "correct horse battery"
DEADLINE = 15.0

Rows = Callable[..., Awaitable[list[tuple[Any, ...]]]]
Delivered = Callable[[], Awaitable[None]]

WAITING = "SELECT attempts FROM outbox WHERE topic = 'mail'"


@pytest.fixture
def settings(settings: Settings, mail_server: Any) -> Settings:
    """The settings of an app that sends by SMTP."""
    return replace(
        settings,
        mail_folder=None,
        smtp_url=SmtpUrl.parse(mail_server.url),
        mail_from=Mailbox.parse("no-reply@example.net"),
        public_url=HttpUrl.parse("https://app.test"),
    )


@pytest.fixture
async def ann(client: httpx.AsyncClient) -> None:
    """Ann has an account."""
    answer = await client.post("/auth/register", json={"email": ANN, "password": PASSWORD})
    assert answer.status_code == 201


async def ask(client: httpx.AsyncClient, route: str = "/auth/forgot-password", *, to: str = ANN) -> None:
    """Ask for a mail."""
    assert (await client.post(route, json={"email": to})).status_code == 202


async def until(condition: Callable[[], Awaitable[Any]]) -> None:
    """Wait for it."""
    end = time.monotonic() + DEADLINE
    while not await condition():
        assert time.monotonic() < end, "it did not come about"
        await asyncio.sleep(0.02)


@pytest.mark.usefixtures("ann")
async def test_a_mail_server_that_comes_back_gets_every_mail(
    client: httpx.AsyncClient, rows: Rows, delivered: Delivered, mail_server: Any
) -> None:
    """While it is away requests are answered as always; what waited leaves when it is back."""
    started = time.monotonic()
    await ask(client)
    await ask(client, "/auth/request-verify-token")
    assert time.monotonic() - started < 1.0

    async def tried() -> bool:
        return all(attempts > 0 for (attempts,) in await rows(WAITING))

    await until(tried)
    mail_server.start()

    await delivered()
    assert sorted(letter["Subject"] for letter in mail_server.letters) == [
        "Confirm your e-mail address",
        "Set a new password",
    ]


@pytest.mark.usefixtures("ann")
@pytest.mark.parametrize("answer", ["451 try again", "554 no"])
async def test_a_refused_mail_is_tried_again(
    client: httpx.AsyncClient, delivered: Delivered, mail_server: Any, answer: str
) -> None:
    """Refused once, taken at the next try; it leaves once."""
    mail_server.answer = answer
    mail_server.start()
    await ask(client)

    async def refused() -> bool:
        return bool(mail_server.attempts)

    await until(refused)
    mail_server.answer = "250 OK"

    await delivered()
    assert len(mail_server.letters) == 1


@pytest.mark.usefixtures("ann")
async def test_a_mail_that_cannot_be_written_keeps_no_other(
    client: httpx.AsyncClient, rows: Rows, mail_server: Any
) -> None:
    """An address that was taken once and is not acceptable any more: its own mail waits, Ann's leaves."""
    await client.post("/auth/register", json={"email": "bob@example.com", "password": PASSWORD})
    await rows("UPDATE accounts SET email = 'bob@example.invalid' WHERE email_key = 'bob@example.com'")
    await ask(client, to="bob@example.com")
    await ask(client)
    mail_server.start()

    async def arrived() -> bool:
        return [letter["To"] for letter in mail_server.letters] == [ANN]

    await until(arrived)
    assert await rows(WAITING) != []


async def test_a_mail_is_given_up_after_a_day(settings: Settings, rows: Rows, delivered: Delivered) -> None:
    """It is deleted and said so in an error line, which does not hold the address."""
    with captured_logs() as logs:
        async with client_of(create_app(settings)) as client:
            await client.post("/auth/register", json={"email": ANN, "password": PASSWORD})
            await ask(client)
            await until(lambda: rows(f"{WAITING} AND attempts > 0"))
            await rows("UPDATE outbox SET created_at = now() - interval '25 hours', not_before = now()")

            await delivered()
    errors = [line["event"] for line in logs.lines if line["level"] == "error"]
    assert errors == ["mail given up"]
    assert "ann" not in logs.text.replace("'annot", "")


@pytest.mark.usefixtures("ann")
async def test_many_requests_for_one_mail_are_one_mail(
    client: httpx.AsyncClient, rows: Rows, delivered: Delivered, mail_server: Any
) -> None:
    """Whoever asks ten times before the server takes any gets one."""
    for _ in range(10):
        await ask(client)
    mail_server.start()

    await rows("UPDATE outbox SET not_before = now()")
    await delivered()
    assert 1 <= len(mail_server.letters) < 10


@pytest.mark.usefixtures("ann")
async def test_the_outbox_holds_no_token_and_no_address(client: httpx.AsyncClient, rows: Rows) -> None:
    """What waits says what is to be sent, and the account."""
    await ask(client)

    [(payload,)] = await rows("SELECT payload::text FROM outbox WHERE topic = 'mail'")
    [(account,)] = await rows("SELECT id FROM accounts")

    assert payload == f'{{"action": "reset", "account": "{account}"}}'
