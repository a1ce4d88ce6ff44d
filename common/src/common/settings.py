"""Settings: one frozen struct per service, read once from the environment. The only reader of `os.environ`."""

import os
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct

from common.variables import bare, element, values

S = TypeVar("S", bound="DatabaseSettings")


class SettingsError(Exception):
    """One line that names every setting that is missing or wrong; never holds a value."""


class Secret:
    """A value that no repr, log line or error shows."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    @classmethod
    def parse(cls, text: str) -> Self:
        """Take the text as it stands."""
        return cls(text)

    def reveal(self) -> str:
        """The value itself, for the one place that needs it."""
        return self._value

    def __repr__(self) -> str:
        return "***"


class ServerUrl(Secret):
    """A server's address; its repr is that without credentials."""

    schemes: tuple[str, ...] = ()
    needs_host = False  # a database may be a socket's path, or stand in the query

    @classmethod
    def parse(cls, text: str) -> Self:
        """Check the scheme and that a host is named.

        Raises:
            ValueError: it is no address of this kind.

        """
        try:
            parts = urlsplit(text)
            # `port` raises on one that is no number, and would say the value in doing so
            named = parts.hostname or (not cls.needs_host and (parts.query or parts.path))
            valid = parts.scheme in cls.schemes and parts.port != 0 and named
        except ValueError:
            valid = False
        if not valid:
            raise ValueError(f"must look like {cls.schemes[0]}://host:port")
        return cls(text)

    def __repr__(self) -> str:
        parts = urlsplit(self._value)
        _, credentials, host = parts.netloc.rpartition("@")
        return f"{parts.scheme}://{credentials and '***@'}{host}{parts.path}"  # a query may hold a password too


class DatabaseUrl(ServerUrl):
    """PostgreSQL, as libpq writes it."""

    form = "`postgresql://user:password@host:5432/database`"
    schemes = ("postgresql", "postgres")


class RedisUrl(ServerUrl):
    """Redis or Valkey: one server, or the master that its sentinels name."""

    form = (
        "`redis://:password@host:6379/0`, `rediss://` for TLS, `unix://`, "
        "`redis+sentinel://:password@host:26379,host:26379/master/0`"
    )
    schemes = ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Check each of the hosts, and that the master has a name.

        Raises:
            ValueError: it is no address of this kind.

        """
        url = cls(text)
        if not url.moves:
            return super().parse(text)
        for host in url.hosts:
            super().parse(f"redis://{host}" if host else "")
        if not urlsplit(text).path.strip("/"):
            raise ValueError("must name the master that its sentinels watch: redis+sentinel://host:port/master")
        return url

    @property
    def moves(self) -> bool:
        """Whether others must be asked where it is."""
        return "+" in self._value.partition("://")[0]

    @property
    def hosts(self) -> list[str]:
        """Those to ask, each `host:port`."""
        return urlsplit(self._value).netloc.rpartition("@")[2].split(",")


class HttpUrl(ServerUrl):
    """Another service's origin, without a trailing slash."""

    form = "`http://host:port`, `https://`"
    schemes = ("http", "https")
    needs_host = True

    @classmethod
    def parse(cls, text: str) -> Self:
        """Check it and drop a trailing slash."""
        return super().parse(text.rstrip("/"))


class Origin(HttpUrl):
    """A browser origin (RFC 6454): scheme, host and port. `*` is refused: answers carry credentials."""

    form = "`https://app.example.com`"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Check that it is an origin and nothing more.

        Raises:
            ValueError: a wildcard, a path or any other part, or no origin at all.

        """
        if "*" in text:
            raise ValueError("must name each origin; * is refused because answers carry credentials")
        parts = urlsplit(text)
        if "@" in text or text != f"{parts.scheme}://{parts.netloc.lower()}":
            raise ValueError("must be origins such as https://app.example.com, without a path")
        return super().parse(text)


class DatabaseSettings(Struct, frozen=True, kw_only=True):
    """All that a migration needs; a field `database_url` is `DATABASE_URL`, or the file of `DATABASE_URL_FILE`."""

    database_url: Annotated[DatabaseUrl, Meta(description="PostgreSQL; all that `migrate` needs")]

    def check(self) -> None:
        """What no field can say alone; a program that starts calls it.

        Raises:
            SettingsError: one line that says what to set.

        """


class Settings(DatabaseSettings, frozen=True, kw_only=True):
    """What every service is told."""

    redis_url: Annotated[RedisUrl, Meta(description="Redis or Valkey, the same for all services")]
    environment: Annotated[
        Literal["production", "development"], Meta(description="what is only for developers shows in `development`")
    ] = "production"
    database_pool_size: Annotated[
        int,
        Meta(
            ge=1,
            le=200,
            description="connections per process; user-svc has two such pools, and three more for its outbox",
        ),
    ] = 10
    cors_origins: Annotated[list[Origin], Meta(description="whose pages may call; `*` is refused")] = []
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR"], Meta(description="what is logged, to standard error")
    ] = "INFO"
    log_format: Annotated[Literal["json", "console"], Meta(description="for machines, or for people")] = "json"
    access_log: Annotated[bool, Meta(description="one line per request")] = True
    otel_exporter_otlp_endpoint: Annotated[
        HttpUrl | None,
        Meta(
            description="where spans are sent, OTLP over HTTP; needs the extra `tracing`, whose SDK reads other `OTEL_`"
        ),
    ] = None
    drain_seconds: Annotated[
        int,
        Meta(
            ge=0,
            le=300,
            description="between SIGTERM and the end: readiness says 503, requests are still answered. "
            "As long as a balancer takes to notice",
        ),
    ] = 0
    docs_login: Annotated[
        Secret | None, Meta(description="`email:password` that `/docs` fills in, in development only")
    ] = None

    def check(self) -> None:
        """See `DatabaseSettings`.

        Raises:
            SettingsError: spans are wanted, and what makes them is not installed.

        """
        there = find_spec("opentelemetry") and find_spec("opentelemetry.sdk")
        if self.otel_exporter_otlp_endpoint is not None and not there:
            raise SettingsError("OTEL_EXPORTER_OTLP_ENDPOINT needs the packages of the extra `tracing`")

    @property
    def is_development(self) -> bool:
        """Whether conveniences such as a prefilled login may show."""
        return self.environment == "development"


def load(settings: type[S], environ: Mapping[str, str] | None = None) -> S:
    """Read every field of `settings` from its variable.

    Raises:
        SettingsError: one line naming each variable that is missing or wrong.

    """
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    problems: list[str] = []
    for field in msgspec.structs.fields(settings):
        try:
            text = _text(field.name.upper(), environ)
            if text is not None:
                values[field.name] = _parse(field.type, text)
            elif field.required:
                raise ValueError("is not set")
        except ValueError as error:
            problems.append(f"{field.name.upper()} {error}")
    if problems:
        raise SettingsError("; ".join(problems))
    return settings(**values)


def source(name: str, environ: Mapping[str, str] | None = None) -> str:
    """Where a setting of this name comes from: `environment`, `file` or `default`."""
    environ = os.environ if environ is None else environ
    if environ.get(name):
        return "environment"
    return "file" if environ.get(f"{name}_FILE") else "default"


def variable(name: str) -> str | None:
    """A variable that belongs to a library of ours, not to a service's settings."""
    return os.environ.get(name)


def set_for_children(name: str, value: str) -> None:
    """Set such a variable for the worker processes, unless the environment already does."""
    os.environ.setdefault(name, value)


def _text(name: str, environ: Mapping[str, str]) -> str | None:
    """The variable, or what the file of `NAME_FILE` holds; an empty one is not set."""
    text, path = environ.get(name) or None, environ.get(f"{name}_FILE")
    if not path:
        return text
    if text:
        raise ValueError(f"and {name}_FILE are both set")
    try:
        return Path(path).read_text(encoding="utf-8").strip() or None
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"cannot be read from the file of {name}_FILE: {type(error).__name__}") from None


def _parse(kind: Any, text: str) -> Any:
    """Convert one variable; lists are separated by commas."""
    if (part := element(kind)) is not None:
        return [_parse(part, each.strip()) for each in text.split(",") if each.strip()]
    try:
        return msgspec.convert(text, kind, strict=False, dec_hook=_custom)
    except msgspec.ValidationError as error:
        raise ValueError(_sentence(kind, str(error))) from None


def _custom(kind: type, text: Any) -> Any:
    """Types of our own bring a `parse`."""
    parse: Callable[[str], Any] = kind.parse  # type: ignore[attr-defined]
    return parse(text)


def _sentence(kind: Any, message: str) -> str:
    """What is allowed, or what the type itself said; never the value given."""
    own = getattr(bare(kind), "parse", None)
    return message[0].lower() + message[1:] if own else f"must be {values(kind)}"
