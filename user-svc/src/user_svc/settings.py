"""The settings of user-svc."""

from email.utils import parseaddr
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import parse_qs, urlsplit

from msgspec import Meta, field

from common.auth import TokenSettings
from common.http.client import Network
from common.settings import HttpUrl, ServerUrl, SettingsError


class SmtpUrl(ServerUrl):
    """A mail server: `smtp://user:password@host:587?starttls=required`, or `smtps://` for TLS from the start.

    `starttls` is `required`, `never`, or left out: then it is used where the server offers it, and required for a
    password.
    """

    schemes = ("smtp", "smtps")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Check it.

        Raises:
            ValueError: it is no address of a mail server, or asks for something unknown.

        """
        url = super().parse(text)
        parts = urlsplit(text)
        if not parts.hostname:
            raise ValueError(f"must look like {cls.schemes[0]}://host:port")
        query = parse_qs(parts.query, keep_blank_values=True)
        if query.keys() - {"starttls"} or query.get("starttls", ["never"]) not in (["required"], ["never"]):
            raise ValueError("takes nothing behind the ? but starttls=required or starttls=never")
        return url


class Mailbox:
    """Who mails come from: `Name <address@example.com>`, or the address alone."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read one.

        Raises:
            ValueError: it holds no address.

        """
        _, address = parseaddr(text)
        if not all(address.rpartition("@")) or not text.isprintable():
            raise ValueError("must look like Name <address@example.com>")
        return cls(text)

    @property
    def host(self) -> str:
        """The address' domain."""
        return parseaddr(self.text)[1].rpartition("@")[2]

    def __repr__(self) -> str:
        return self.text


class Folder:
    """A folder of a setting; it is made when it is needed."""

    __slots__ = ("path",)

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def parse(cls, text: str) -> Self:
        """Take the text as it stands."""
        return cls(Path(text))

    def __repr__(self) -> str:
        return str(self.path)


class Settings(TokenSettings, frozen=True, kw_only=True):
    """What user-svc is told besides; times are in seconds. The argon2id defaults are OWASP's."""

    access_token_seconds: Annotated[int, Meta(ge=30, le=3600)] = 600
    session_seconds: Annotated[int, Meta(ge=60)] = 30 * 24 * 3600
    refresh_idle_seconds: Annotated[int, Meta(ge=60)] = 14 * 24 * 3600
    refresh_grace_seconds: Annotated[int, Meta(ge=0, le=60)] = 10
    throttle_account_per_minute: Annotated[int, Meta(ge=0, le=60_000)] = 10
    throttle_address_per_minute: Annotated[int, Meta(ge=0, le=60_000)] = 100
    throttle_mails_per_hour: Annotated[int, Meta(ge=0, le=60_000)] = 5
    trusted_proxies: list[Network] = field(default_factory=list)
    password_minimum: Annotated[int, Meta(ge=8, le=128)] = 8
    argon2_memory_kib: Annotated[int, Meta(ge=8, le=4_194_304)] = 19_456
    argon2_passes: Annotated[int, Meta(ge=1, le=100)] = 2
    argon2_lanes: Annotated[int, Meta(ge=1, le=64)] = 1
    password_threads: Annotated[int, Meta(ge=1, le=64)] = 2
    password_queue: Annotated[int, Meta(ge=1, le=10_000)] = 64
    verify_token_seconds: Annotated[int, Meta(ge=60, le=30 * 24 * 3600)] = 24 * 3600
    reset_token_seconds: Annotated[int, Meta(ge=60, le=24 * 3600)] = 3600
    smtp_url: SmtpUrl | None = None
    mail_folder: Folder | None = None
    mail_from: Mailbox | None = None
    public_url: HttpUrl | None = None

    def check(self) -> None:
        """Refuse settings with which no mail would leave, or no token be taken.

        Raises:
            SettingsError: in production without a mailer, with SMTP and nothing to write into a mail, or with access
                tokens that live longer than verifiers allow.

        """
        if self.access_token_seconds > self.jwt_max_seconds:
            raise SettingsError("ACCESS_TOKEN_SECONDS is more than JWT_MAX_SECONDS: nobody would take such tokens")
        if self.smtp_url is None and self.mail_folder is None and not self.is_development:
            raise SettingsError("SMTP_URL is not set: in production mails must leave (or set MAIL_FOLDER)")
        missing = [name for name in ("mail_from", "public_url") if getattr(self, name) is None]
        if self.smtp_url is not None and missing:
            raise SettingsError("; ".join(f"{name.upper()} is not set, which SMTP_URL needs" for name in missing))
