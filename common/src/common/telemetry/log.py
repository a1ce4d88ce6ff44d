"""Structured logs on standard error: JSON for machines, colours for people. No secret or personal data gets here."""

import logging
import sys
import traceback
from typing import Any, TextIO

import msgspec
import structlog

from common.telemetry.trace import current


def configure(service: str, *, level: str, form: str) -> None:
    """Send structlog's and the standard library's records down one path; called once per process."""
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_trace,
        _Service(service),
    ]
    render: list[Any] = (
        [_format_exception, structlog.processors.JSONRenderer(serializer=_json)]
        if form == "json"
        else [structlog.dev.ConsoleRenderer(exception_formatter=_write_exception)]
    )
    structlog.configure(
        processors=[*shared, *render],
        wrapper_class=structlog.make_filtering_bound_logger(level.lower()),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    for chatty in ("httpx", "httpcore", "uvicorn.access"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def stream() -> TextIO:
    """Where the lines go."""
    return sys.stderr


_TELLING = frozenset({"asyncpg", "sqlalchemy", "advanced_alchemy"})


class _Service:
    """Names the service on each line."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, _logger: Any, _method: str, event: dict[str, Any]) -> dict[str, Any]:
        event["service"] = self._name
        return event


def _add_trace(_logger: Any, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    trace = current()
    if trace is not None:
        event["request_id"] = trace.request_id
        if trace.trace_id:
            event["trace_id"] = trace.trace_id
    return event


def _format_exception(_logger: Any, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    """Where it happened, and what; but a database's message holds the row, so of that only the type is kept."""
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()[1]
    elif isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        event["exception"] = _lines_of(error)
    return event


def _write_exception(stream: TextIO, exc_info: structlog.typing.ExcInfo) -> None:
    """The same for people, line by line."""
    stream.write("\n".join(_lines_of(exc_info[1])))


def _lines_of(error: BaseException) -> list[str]:
    """The chain of causes, innermost first, each with the places it passed."""
    inner = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    secret = type(error).__module__.split(".")[0] in _TELLING
    message = type(error).__name__ if secret else f"{type(error).__name__}: {error}"
    places = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
    return [*(_lines_of(inner) if inner else []), message, *places]


def _json(event: dict[str, Any], **_options: Any) -> str:
    return msgspec.json.encode(event, enc_hook=str).decode()
