"""Kinds of settings: what a variable's text is read into. No repr, log line or error shows a secret one."""

from typing import Self
from urllib.parse import parse_qs, urlsplit


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
    """Redis or Valkey: one server, the master that its sentinels name, or a cluster, of which some nodes are named."""

    form = (
        "`redis://:password@host:6379/0`, `rediss://` for TLS, `unix://`, "
        "`redis+sentinel://:password@host:26379,host:26379/master/0`, `redis+cluster://:password@host:6379,host:6379`"
    )
    schemes = ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Check each of the hosts, and what stands behind them.

        Raises:
            ValueError: it is no address of this kind, or asks for what only one of our two clients would do.

        """
        url, (path, options) = cls(text), _path_and_options(text)
        if options - url.options:
            raise ValueError("takes nothing behind the ? but `db` of unix:// and `sentinel_password`")
        if not url.moves:
            if path and not path.isdecimal() and not text.startswith("unix"):
                raise ValueError("must end with the number of a database, such as /0, or with none")
            return super().parse(text)
        for host in url.hosts:
            super().parse(f"redis://{host}" if host else "")
        if url.is_cluster and path.strip("0"):
            raise ValueError("must name no database but 0: a cluster has no other")
        if not url.is_cluster and not path:
            raise ValueError("must name the master that its sentinels watch: redis+sentinel://host:port/master")
        return url

    @property
    def moves(self) -> bool:
        """Whether others must be asked where it is."""
        return self._scheme in self.schemes and "+" in self._scheme

    @property
    def is_cluster(self) -> bool:
        """Whether our keys are at one of many servers, and may be given to another."""
        return self._scheme.endswith("+cluster")

    @property
    def tag(self) -> str:
        """What every key begins with: in a cluster a hash tag, which keeps them all in one slot; elsewhere nothing."""
        return "{gatehouse}" if self.is_cluster else ""

    @property
    def options(self) -> set[str]:
        """What may stand behind a `?`."""
        if self._scheme == "unix":
            return {"db"}
        return {"sentinel_password"} if self.moves and not self.is_cluster else set()

    @property
    def hosts(self) -> list[str]:
        """Those to ask, each `host:port`."""
        return urlsplit(self._value).netloc.rpartition("@")[2].split(",")

    @property
    def _scheme(self) -> str:
        return self._value.partition("://")[0]


class HttpUrl(ServerUrl):
    """Where something answers over HTTP, without a trailing slash. It stands in logs and mails: no secret is in it."""

    form = "`http://host:port`, `https://`"
    schemes = ("http", "https")
    needs_host = True

    @classmethod
    def parse(cls, text: str) -> Self:
        """Check it and drop a trailing slash.

        Raises:
            ValueError: it is no address, or has credentials, a query or a fragment.

        """
        url = super().parse(text.rstrip("/"))
        if any(mark in text for mark in "@?#"):
            raise ValueError("must have no credentials, no query and no fragment")
        return url


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
        if "@" in text or not _is_bare(text):
            raise ValueError("must be origins such as https://app.example.com, without a path")
        return super().parse(text)


class Source:
    """A document that the documentation page shows: `todo-svc=/todo-svc/openapi.json`, a path of its own origin."""

    form = "`title=/path/openapi.json`"
    __slots__ = ("title", "url")

    def __init__(self, title: str, url: str) -> None:
        self.title = title
        self.url = url

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read one.

        Raises:
            ValueError: it has no title, or its address is elsewhere.

        """
        title, _, url = text.partition("=")
        if not title or not url.startswith("/") or url.startswith("//"):
            raise ValueError("must look like todo-svc=/todo-svc/openapi.json")
        return cls(title, url)

    def __repr__(self) -> str:
        return f"{self.title}={self.url}"


def _path_and_options(text: str) -> tuple[str, set[str]]:
    """Of a Redis; `urlsplit` would show a password in which some character looks like a mark of a URL's."""
    try:
        parts = urlsplit(text)
    except ValueError:
        raise ValueError("must look like redis://host:port") from None
    return parts.path.strip("/"), set(parse_qs(parts.query, keep_blank_values=True))


def _is_bare(text: str) -> bool:
    """Whether it is a scheme and a host in small letters, and nothing more."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return text == f"{parts.scheme}://{parts.netloc.lower()}"
