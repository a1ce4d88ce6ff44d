"""Settings: one frozen struct per service, read once from the environment. The only reader of `os.environ`."""

import os
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from common.values import DatabaseUrl, HttpUrl, Origin, RedisUrl, Secret, Source
from common.variables import bare, element, values

S = TypeVar("S", bound="DatabaseSettings")


class SettingsError(Exception):
    """One line that names every setting that is missing or wrong; never holds a value."""


class DatabaseSettings(Struct, frozen=True, kw_only=True):
    """All that a migration needs; a field `database_url` is `DATABASE_URL`, or the file of `DATABASE_URL_FILE`."""

    database_url: Annotated[DatabaseUrl, Meta(description="PostgreSQL; all that `migrate` needs")]
    database_pooler: Annotated[
        Literal["none", "transaction"],
        Meta(description="`transaction`: `DATABASE_URL` leads to PgBouncer or its like in transaction mode"),
    ] = "none"
    database_direct_url: Annotated[
        DatabaseUrl | None,
        Meta(description="past that pooler to PostgreSQL, for `migrate` and for user-svc's outbox; required with it"),
    ] = None

    def check(self) -> None:
        """What no field can say alone; a program that starts calls it.

        Raises:
            SettingsError: one line that says what to set.

        """
        if self.is_pooled and self.database_direct_url is None:
            raise SettingsError("DATABASE_DIRECT_URL is not set: some work has to go past DATABASE_POOLER")
        if self.is_pooled and self.session_url.reveal() == self.database_url.reveal():
            raise SettingsError("DATABASE_DIRECT_URL is DATABASE_URL: it has to lead past DATABASE_POOLER")

    @property
    def is_pooled(self) -> bool:
        """Whether each transaction at `database_url` may be in another session."""
        return self.database_pooler == "transaction"

    @property
    def session_url(self) -> DatabaseUrl:
        """Where a session is one's own for as long as it lasts."""
        return self.database_direct_url or self.database_url


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
    docs_sources: Annotated[
        list[Source], Meta(description="what `/docs` lets choose from, where a gateway has all services at one origin")
    ] = []
    docs_login: Annotated[
        Secret | None, Meta(description="`email:password` that `/docs` fills in, in development only")
    ] = None

    def check(self) -> None:
        """See `DatabaseSettings`.

        Raises:
            SettingsError: spans are wanted, and what makes them is not installed; or a login is no login.

        """
        super().check()
        if self.docs_login is not None and not all(self.docs_login.reveal().partition(":")):
            raise SettingsError("DOCS_LOGIN must look like email:password")
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
