"""Fixtures of recovery's tests: an app whose mails are files, and a mail server that can be stopped."""

import asyncio
import email
import re
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from msgspec.structs import replace

from devstack.ports import free_port
from user_svc.settings import Folder, Settings

DEADLINE = 10.0
ANN = "ann@example.com"
OTHER = "another horse battery"

Letters = Callable[..., Awaitable[list[EmailMessage]]]
Rows = Callable[..., Awaitable[list[tuple[Any, ...]]]]
Delivered = Callable[[], Awaitable[None]]
Link = Callable[[str, str], Awaitable[str]]
Call = Callable[..., Coroutine[Any, Any, httpx.Response]]


def token_in(letter: EmailMessage) -> str:
    """The token of a mail's link, from its text; its HTML holds the same."""
    text, html = letter.get_body(("plain",)), letter.get_body(("html",))
    assert text is not None
    assert html is not None
    found = re.findall(r"#token=(\S+)", str(text.get_content()))
    assert found == re.findall(r'#token=([^"]+)"', str(html.get_content()))
    return str(found[0])


class MailServer:
    """A real SMTP server; `answer` is what it says to a mail, `letters` what it took."""

    def __init__(self) -> None:
        self.port = free_port()
        self.answer = "250 OK"
        self.letters: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.attempts = 0
        self._controller: Controller | None = None

    @property
    def url(self) -> str:
        """For SMTP_URL."""
        return f"smtp://127.0.0.1:{self.port}"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802, ARG002 - aiosmtpd's
        """Take a mail, or refuse it."""
        self.attempts += 1
        if self.answer.startswith("250"):
            letter = email.message_from_bytes(envelope.original_content or b"", policy=default)
            self.letters.append(letter)
            self.recipients += envelope.rcpt_tos
        return self.answer

    def start(self, **options: Any) -> None:
        """Listen."""
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port, **options)
        self._controller.start()

    def stop(self) -> None:
        """Be gone."""
        if self._controller is not None:
            self._controller.stop()
            self._controller = None


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    """One that has not been started."""
    server = MailServer()
    yield server
    server.stop()


async def until(condition: Callable[[], bool]) -> None:
    """Wait for it."""
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        await asyncio.sleep(0.01)


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    """The settings of an app whose mails are files."""
    return replace(settings, mail_folder=Folder(tmp_path / "mail"))


@pytest.fixture
def letters(tmp_path: Path) -> Letters:
    """Wait for so many mails; all there are, the oldest first."""

    async def letters(count: int) -> list[EmailMessage]:
        folder = tmp_path / "mail"
        await until(lambda: len(list(folder.glob("*.eml"))) >= count)
        return [email.message_from_bytes(file.read_bytes(), policy=default) for file in sorted(folder.glob("*.eml"))]

    return letters


@pytest.fixture
def link(client: httpx.AsyncClient, letters: Letters) -> Link:
    """Ask for a mail at a route; the token it brings."""
    asked = 0

    async def link(route: str, to: str = ANN) -> str:
        nonlocal asked
        asked += 1
        assert (await client.post(route, json={"email": to})).status_code == 202
        return token_in((await letters(asked))[-1])

    return link


@pytest.fixture
def delivered(rows: Rows) -> Delivered:
    """Wait until no mail waits to be sent."""

    async def delivered() -> None:
        end = time.monotonic() + DEADLINE
        while await rows("SELECT FROM outbox WHERE topic = 'mail'"):
            assert time.monotonic() < end, "a mail still waits"
            await asyncio.sleep(0.02)

    return delivered


@pytest.fixture
def reset(client: httpx.AsyncClient) -> Call:
    """Use a link to set a new password."""

    async def reset(token: str, password: str = OTHER) -> httpx.Response:
        return await client.post("/auth/reset-password", json={"token": token, "password": password})

    return reset


@pytest.fixture
def verify(client: httpx.AsyncClient) -> Call:
    """Use a link to verify an address."""

    async def verify(token: str) -> httpx.Response:
        return await client.post("/auth/verify", json={"token": token})

    return verify
