"""Mailers: SMTP, or a folder; and what a mail looks like."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP as WIRE
from email.utils import format_datetime
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import parse_qs, unquote, urlsplit

from aiosmtplib import SMTP
from msgspec import Struct

from user_svc.accounts.addresses import deliverable
from user_svc.recovery import templates
from user_svc.sessions.schemas import Action
from user_svc.settings import Mailbox, Settings, SmtpUrl

PATIENCE: Final = 10.0  # seconds for each answer of the mail server

Send = Callable[[EmailMessage], Awaitable[object]]


class Mailer(Protocol):
    """A way out for mails."""

    def opened(self) -> AbstractAsyncContextManager[Send]:
        """One connection for several mails."""


class SmtpMailer:
    """Hands mails to a mail server (RFC 5321)."""

    def __init__(self, url: SmtpUrl) -> None:
        parts = urlsplit(url.reveal())
        starttls = parse_qs(parts.query).get("starttls", [""])[0]
        self._host, self._port = parts.hostname, parts.port
        self._user = unquote(parts.username) if parts.username else None
        self._password = unquote(parts.password) if parts.password else None
        self._tls = parts.scheme == "smtps"
        # None: where the server offers it, which is not enough to send a password
        self._starttls = {"required": True, "never": False}.get(starttls, True if self._password else None)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Send]:
        """Connect, with TLS and a login as the settings say."""
        server = SMTP(
            hostname=self._host,
            port=self._port,
            username=self._user,
            password=self._password,
            use_tls=self._tls,
            start_tls=False if self._tls else self._starttls,
            timeout=PATIENCE,
        )
        async with server:
            yield server.send_message


class FolderMailer:
    """Writes each mail to a file of its own, which is whole as soon as it is there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Send]:
        """Nothing is to be connected to."""
        yield self._send

    async def _send(self, message: EmailMessage) -> None:
        await asyncio.to_thread(self._write, message)

    def _write(self, message: EmailMessage) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}-{message['Message-ID'].strip('<>').partition('@')[0]}"
        unfinished = self._folder / f".{name}.part"
        unfinished.touch(mode=0o600)
        unfinished.write_bytes(message.as_bytes(policy=WIRE))
        unfinished.replace(self._folder / f"{name}.eml")


def mailer(settings: Settings) -> Mailer | None:
    """What the settings name; None where mails wait until they name something."""
    if settings.smtp_url is not None:
        return SmtpMailer(settings.smtp_url)
    return FolderMailer(settings.mail_folder.path) if settings.mail_folder is not None else None


class Letters(Struct, frozen=True):
    """Writes mails; `public_url` is where links lead, `lives` how long they work, in seconds."""

    sender: Mailbox
    public_url: str
    lives: dict[Action, int]

    @classmethod
    def of(cls, settings: Settings) -> "Letters":
        """As the settings say; in development something that works on the spot."""
        return cls(
            settings.mail_from or Mailbox("Gatehouse <gatehouse@localhost>"),
            settings.public_url.reveal() if settings.public_url else "http://127.0.0.1:8001",
            {Action.VERIFY: settings.verify_token_seconds, Action.RESET: settings.reset_token_seconds},
        )

    def write(self, action: Action, *, to: str, token: str, number: int) -> EmailMessage:
        """A mail with a link; the token is its fragment, which browsers keep from servers and their logs.

        `number` makes the same Message-ID of a mail that is sent twice.

        Raises:
            ValueError: no mail can be written to this address.

        """
        words, life = templates.WORDS[action], templates.spoken(self.lives[action])
        link = f"{self.public_url}{words.path}#token={token}"
        message = EmailMessage()
        message["From"] = self.sender.text
        message["To"] = address = deliverable(to)
        if str(message["To"]) != address:
            raise ValueError("the header would name another address")
        message["Subject"] = words.subject
        message["Date"] = format_datetime(datetime.now(UTC))
        message["Message-ID"] = f"<{action}-{number}@{self.sender.host}>"
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday notes, please
        message.set_content(templates.text(words, link=link, life=life), cte="7bit")
        message.add_alternative(templates.html(words, link=link, life=life), subtype="html", cte="7bit")
        return message
