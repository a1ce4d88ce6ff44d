"""Logs: one path for all, a line of JSON or one for people, and nothing secret in either."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any
from uuid import UUID

import asyncpg
import pytest
import sqlalchemy.exc
import structlog
from advanced_alchemy.exceptions import DuplicateKeyError

from common.telemetry import log, trace
from common.testing import Logs
from common.values import Secret


@pytest.fixture
def configure(logs: Logs) -> Callable[..., Any]:
    """Configure, and give a logger."""
    assert logs.text == ""

    def configured(form: str = "json", level: str = "INFO") -> Any:
        log.configure("a-service", level=level, form=form)
        return structlog.get_logger()

    return configured


def test_line_of_json(configure: Callable[..., Any], logs: Logs) -> None:
    """The event and its members, the level, the time in UTC, and which service said it."""
    configure().info("something happened", number=5, odd=UUID(int=1))
    (line,) = logs.lines
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "something happened",
        "number": 5,
        "odd": str(UUID(int=1)),
        "level": "info",
        "service": "a-service",
    }


def test_line_for_people(configure: Callable[..., Any], logs: Logs) -> None:
    """The same, readable."""
    configure("console").warning("something happened", number=5)
    assert "something happened" in logs.text
    assert "warning" in logs.text
    assert logs.text.count("\n") == 1


@pytest.mark.parametrize("text", ["a\nb", '"}', "\x1b[31m", "\u2028"])
def test_line_stays_a_line(configure: Callable[..., Any], logs: Logs, text: str) -> None:
    """Nobody forges a second line, or colours a terminal, by what they send."""
    configure().info("request", path=text)
    assert logs.text.count("\n") == 1
    assert "\x1b" not in logs.text
    assert logs.lines[0]["event"] == "request"


@pytest.mark.parametrize(
    ("level", "expected"),
    [("DEBUG", ["d", "i", "w", "e"]), ("INFO", ["i", "w", "e"]), ("WARNING", ["w", "e"]), ("ERROR", ["e"])],
)
def test_level_is_the_least_that_is_told(
    configure: Callable[..., Any], logs: Logs, level: str, expected: list[str]
) -> None:
    """For our own lines and for those of libraries."""
    logger, library = configure(level=level), logging.getLogger("a.library")
    for said in (logger, library):
        said.debug("d")
        said.info("i")
        said.warning("w")
        said.error("e")
    told = [line["event"] for line in logs.lines if line["event"] in "diwe"]
    assert told == expected * 2


def test_libraries_go_the_same_way(configure: Callable[..., Any], logs: Logs) -> None:
    """A record of the standard library is a line like any other, its arguments put in."""
    configure()
    logging.getLogger("a.library").error("lost %d of %s", 3, "them")
    line = logs.lines[0]
    assert (line["event"], line["level"], line["service"]) == ("lost 3 of them", "error", "a-service")


@pytest.mark.parametrize("name", ["httpx", "httpcore", "uvicorn.access"])
def test_chatty_libraries_are_hushed(configure: Callable[..., Any], logs: Logs, name: str) -> None:
    """The client would log each URL; faults of theirs are told."""
    configure(level="DEBUG")
    logging.getLogger(name).info("GET http://user-svc/me?token=geheim")
    logging.getLogger(name).warning("broken")
    assert [line["event"] for line in logs.lines] == ["broken"]


def test_line_names_its_request(configure: Callable[..., Any], logs: Logs) -> None:
    """By the id the client was told, and by its trace where it came with one."""
    logger = configure()

    async def request(*headers: tuple[bytes, bytes]) -> None:
        trace.begin(dict([(b"x-request-id", b"request-1"), *headers]))
        logger.info("ours")
        logging.getLogger("a.library").warning("theirs")

    async def both() -> None:
        await asyncio.create_task(request())
        await asyncio.create_task(request((b"traceparent", b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01")))

    asyncio.run(both())
    assert [(line.get("request_id"), line.get("trace_id")) for line in logs.lines] == [
        ("request-1", None),
        ("request-1", None),
        ("request-1", "a" * 32),
        ("request-1", "a" * 32),
    ]


def raised(error: Exception) -> Exception:
    """The error, with the places it passed."""
    try:
        raise error
    except Exception as caught:  # noqa: BLE001 - whatever it was given
        return caught


@pytest.mark.parametrize("how", ["given", "current", "triple"])
def test_error_is_told_with_its_places(configure: Callable[..., Any], logs: Logs, how: str) -> None:
    """However it is handed over: type, message and where."""
    logger = configure()
    try:
        raise LookupError("nothing here")
    except LookupError as error:
        exc_info: Any = {"given": error, "current": True, "triple": (type(error), error, error.__traceback__)}[how]
        logger.exception("failed", exc_info=exc_info)
    exception = logs.lines[0]["exception"]
    assert exception[0] == "LookupError: nothing here"
    assert "test_log.py" in exception[1]
    assert exception[1].endswith("test_error_is_told_with_its_places")


@pytest.mark.parametrize("exc_info", [True, None, False])
def test_no_error_is_nothing_to_tell(configure: Callable[..., Any], logs: Logs, exc_info: Any) -> None:
    """A line that asks for an error where there is none is still a line."""
    configure().error("failed", exc_info=exc_info)
    assert "exception" not in logs.lines[0]


def test_causes_are_told_first(configure: Callable[..., Any], logs: Logs) -> None:
    """The chain from the inside out, as it happened; what was raised `from None` hides what it hides."""
    logger = configure()
    inner, outer, hidden = KeyError("first"), ValueError("second"), RuntimeError("third")
    outer.__cause__ = inner
    logger.error("failed", exc_info=raised(outer))
    told = [entry for entry in logs.lines[0]["exception"] if ": " in entry]
    assert told == ["KeyError: 'first'", "ValueError: second"]
    hidden.__context__, hidden.__suppress_context__ = inner, True
    logger.error("failed", exc_info=raised(hidden))
    assert [entry for entry in logs.lines[1]["exception"] if ": " in entry] == ["RuntimeError: third"]


SECRETIVE = [
    asyncpg.UniqueViolationError("Key (email)=(geheim) already exists"),
    sqlalchemy.exc.IntegrityError("INSERT geheim", {"password": "geheim"}, Exception("geheim")),
    DuplicateKeyError(detail="geheim"),
]


@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.parametrize("error", SECRETIVE, ids=lambda error: type(error).__name__)
def test_message_of_a_database_is_kept_back(
    configure: Callable[..., Any], logs: Logs, error: Exception, form: str
) -> None:
    """It quotes the row: only its type is told, by us and by libraries, bare and as a cause."""
    logger = configure(form)
    outer = ValueError("outer")
    outer.__cause__ = error
    for found in (error, outer):
        logger.error("failed", exc_info=raised(found))
        logging.getLogger("a.library").error("failed", exc_info=raised(found))
    assert logs.text.count(type(error).__name__) == 4
    assert "geheim" not in logs.text


@pytest.mark.parametrize("form", ["json", "console"])
def test_secret_is_masked(configure: Callable[..., Any], logs: Logs, form: str) -> None:
    """Whoever logs one logs stars."""
    configure(form).info("settings", password=Secret.parse("geheim"))
    assert "***" in logs.text
    assert "geheim" not in logs.text
