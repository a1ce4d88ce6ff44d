"""The settings of user-svc."""

from email.utils import parseaddr
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import parse_qs, urlsplit

from msgspec import Meta, field

from common.auth import TokenSettings
from common.http.client import Network
from common.settings import SettingsError
from common.values import HttpUrl, ServerUrl


class SmtpUrl(ServerUrl):
    """A mail server: `smtp://user:password@host:587?starttls=required`, or `smtps://` for TLS from the start.

    `starttls` is `required`, `never`, or left out: then it is used where the server offers it, and required for a
    password.
    """

    form = "`smtp://user:password@host:587`, `smtps://` for TLS from the start; `?starttls=required` or `never`"
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

    form = "`Name <address@example.com>`"
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

    form = "a folder"
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

    access_token_seconds: Annotated[int, Meta(ge=30, le=3600, description="the life of an access token")] = 600
    session_seconds: Annotated[int, Meta(ge=60, description="the life of a session; the default is 30 days")] = (
        30 * 24 * 3600
    )
    refresh_idle_seconds: Annotated[
        int,
        Meta(
            ge=60,
            description="how long a refresh token may lie unused, never past the session's end; the default is 14 days",
        ),
    ] = 14 * 24 * 3600
    refresh_grace_seconds: Annotated[
        int,
        Meta(
            ge=0,
            le=60,
            description="how long a lost answer to a refresh may be fetched again with the same token; 0 is never",
        ),
    ] = 10
    throttle_account_per_minute: Annotated[
        int, Meta(ge=0, le=60_000, description="tries a minute for one account, of each kind; 0 is no limit")
    ] = 10
    throttle_address_per_minute: Annotated[
        int,
        Meta(
            ge=0,
            le=60_000,
            description="tries a minute from one address (of IPv6, one /64), of each kind; 0 is no limit; "
            "`up` in development: 60000",
        ),
    ] = 100
    throttle_mails_per_hour: Annotated[
        int,
        Meta(
            ge=0,
            le=60_000,
            description="mails an hour to an address, of each kind, and changes of address of an account; 0: no limit",
        ),
    ] = 5
    trusted_proxies: Annotated[
        list[Network],
        Meta(
            description="whose `X-Forwarded-For` is believed: your proxy's, and todo-svc's, which passes logins on",
        ),
    ] = field(default_factory=list)
    password_minimum: Annotated[int, Meta(ge=8, le=128, description="the shortest password, in characters")] = 8
    argon2_memory_kib: Annotated[
        int,
        Meta(
            ge=8,
            le=4_194_304,
            description="argon2id's memory; raised parameters rehash each password at its next login",
        ),
    ] = 19_456
    argon2_passes: Annotated[int, Meta(ge=1, le=100, description="argon2id's passes")] = 2
    argon2_lanes: Annotated[int, Meta(ge=1, le=64, description="argon2id's lanes")] = 1
    password_threads: Annotated[
        int, Meta(ge=1, le=64, description="passwords hashed at once, and never more than there are cores")
    ] = 2
    password_queue: Annotated[
        int,
        Meta(ge=1, le=10_000, description="how many more may wait; past that logins and registrations answer 503"),
    ] = 64
    verify_token_seconds: Annotated[
        int, Meta(ge=60, le=30 * 24 * 3600, description="how long a link that verifies an address works")
    ] = 24 * 3600
    reset_token_seconds: Annotated[
        int, Meta(ge=60, le=24 * 3600, description="how long a link that sets a new password works")
    ] = 3600
    smtp_url: Annotated[
        SmtpUrl | None, Meta(description="the way out for mails; in production this or `MAIL_FOLDER` must be set")
    ] = None
    mail_folder: Annotated[
        Folder | None,
        Meta(
            description="where mails are written as `.eml` files if there is no `SMTP_URL`; without either "
            "(in development) they wait, two days at most",
        ),
    ] = None
    mail_from: Annotated[
        Mailbox | None,
        Meta(description="who mails come from, else `Gatehouse <gatehouse@localhost>`; required with `SMTP_URL`"),
    ] = None
    public_url: Annotated[
        HttpUrl | None,
        Meta(
            description="where mailed links lead: user-svc as browsers see it, else `http://127.0.0.1:8001`; "
            "required with `SMTP_URL`",
        ),
    ] = None

    def check(self) -> None:
        """Refuse settings with which no mail would leave, or no token be taken.

        Raises:
            SettingsError: in production without a mailer, with SMTP and nothing to write into a mail, or with access
                tokens that live longer than verifiers allow.

        """
        super().check()
        if self.access_token_seconds > self.jwt_max_seconds:
            raise SettingsError("ACCESS_TOKEN_SECONDS is more than JWT_MAX_SECONDS: nobody would take such tokens")
        if self.smtp_url is None and self.mail_folder is None and not self.is_development:
            raise SettingsError("SMTP_URL is not set: in production mails must leave (or set MAIL_FOLDER)")
        missing = [name for name in ("mail_from", "public_url") if getattr(self, name) is None]
        if self.smtp_url is not None and missing:
            raise SettingsError("; ".join(f"{name.upper()} is not set, which SMTP_URL needs" for name in missing))
