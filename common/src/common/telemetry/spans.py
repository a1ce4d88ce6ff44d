"""Spans of a distributed trace, where a service is told where to send them; elsewhere nothing, at no cost."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final, Protocol

import asyncpg

REDIS: Final = {"db.system.name": "redis"}


class Tracer(Protocol):
    """What makes spans; `connection_class` is asyncpg's with one for each statement."""

    connection_class: type[Any]

    def client(self, name: str, attributes: dict[str, str]) -> AbstractContextManager[Any]:
        """A span of something that another server does for us."""
        ...

    def current_id(self) -> str:
        """The id of the span we are in, as 16 hex digits; empty where there is none."""
        ...


_nothing: Final[AbstractContextManager[Any]] = nullcontext()
_tracer: Tracer | None = None


def use(tracer: Tracer | None) -> None:
    """From now on spans are made by this; None ends that."""
    global _tracer  # noqa: PLW0603 - one per process, as the log is
    _tracer = tracer


def connection_class() -> type[Any]:
    """What a connection to PostgreSQL is made of."""
    return asyncpg.Connection if _tracer is None else _tracer.connection_class


def span(name: str, attributes: dict[str, str]) -> AbstractContextManager[Any]:
    """While the block runs another server works for us."""
    return _nothing if _tracer is None else _tracer.client(name, attributes)


def current_id() -> str:
    """The id of the span we are in; empty where there is none."""
    return "" if _tracer is None else _tracer.current_id()
