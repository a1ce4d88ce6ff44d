"""Every error in one shape, with nothing of the inside, and a log line where it was our fault."""

import asyncio
import contextlib
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any

import asyncpg
import httpx
import msgspec
import pytest
from litestar import Litestar, get, post
from litestar.exceptions import (
    ClientException,
    HTTPException,
    InternalServerException,
    NotFoundException,
    TooManyRequestsException,
)
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from common.auth import PUBLIC
from common.dto import FieldError
from common.errors import Conflict, ServiceError, Unavailable, Unprocessable
from common.http.problems import MEDIA_TYPE, problem, translate
from common.http.strict import StrictBody
from common.testing import Logs, client_of

Build = Callable[..., Litestar]


class Colour(StrEnum):
    """A choice."""

    RED = "red"


def raising(error: BaseException) -> Any:
    """A route that raises it."""

    @get("/fault", opt={"auth": PUBLIC}, sync_to_thread=False)
    def fault() -> None:
        raise error

    return fault


@get("/items/{number:int}", opt={"auth": PUBLIC}, sync_to_thread=False)
def items(
    number: FromPath[int],
    limit: FromQuery[Annotated[int, QueryParameter(ge=1, le=100)]] = 50,
    colour: FromQuery[Colour | None] = None,
) -> dict[str, int]:
    """A route with parameters."""
    return {"number": number, "limit": limit, "colour": len(colour or "")}


class Body(msgspec.Struct):
    """A body."""

    title: str


@post("/items", dto=StrictBody[Body], return_dto=None, opt={"auth": PUBLIC}, sync_to_thread=False)
def create(data: JSONBody[Body]) -> dict[str, str]:
    """A route with a body."""
    return {"title": data.title}


async def ask(app: Litestar, path: str = "/fault", method: str = "GET", **body: Any) -> httpx.Response:
    """One request."""
    async with client_of(app) as client:
        return await client.request(method, path, headers={"X-Request-ID": "request-1"}, **body)


def foreign_error() -> Exception:
    """A driver's error, that says what was in the row."""
    error = asyncpg.UniqueViolationError("duplicate key value: (email)=(geheim@example.com)")
    error.detail = "Key (email)=(geheim@example.com) already exists."
    return error


def caused_by_driver() -> Exception:
    """One of ours, with the driver's behind it."""
    error = ValueError("no verdict")
    error.__cause__ = foreign_error()
    return error


@pytest.mark.parametrize(
    ("path", "method", "status", "code", "detail"),
    [
        ("/nowhere", "GET", 404, "NOT_FOUND", "there is nothing at this path"),
        ("/items", "GET", 404, "NOT_FOUND", "there is nothing at this path"),
        ("/items/x", "GET", 404, "NOT_FOUND", "there is nothing at this path"),
        ("/items/1", "DELETE", 405, "METHOD_NOT_ALLOWED", "this path does not take that method"),
        ("/items/1?limit=0", "GET", 422, "INVALID_VALUE", "a value is not acceptable"),
    ],
)
async def test_framework_faults_are_problems(
    build: Build, path: str, method: str, status: int, code: str, detail: str
) -> None:
    """What never reaches a handler looks the same as what a handler raises."""
    answer = await ask(build(items), path, method)
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, MEDIA_TYPE)
    told = answer.json()
    assert (told["status"], told["code"], told["detail"], told["type"]) == (status, code, detail, "about:blank")
    assert told["instance"] == path.partition("?")[0]
    assert answer.headers["X-Request-ID"] == "request-1"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"content": b"{"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
        ({"json": {"title": 5}}, 422, "INVALID_VALUE"),
        ({"json": {"title": "a" * 100_000}}, 413, "CONTENT_TOO_LARGE"),
        ({"data": {"title": "a"}}, 415, "UNSUPPORTED_MEDIA_TYPE"),
        ({"files": {"title": b"a"}}, 415, "UNSUPPORTED_MEDIA_TYPE"),
        ({}, 400, "MALFORMED_REQUEST"),
    ],
    ids=["no type", "wrong type", "too large", "a form", "files", "nothing"],
)
async def test_faults_of_a_body_are_problems(build: Build, body: dict[str, Any], status: int, code: str) -> None:
    """Whoever finds them, Litestar or we."""
    answer = await ask(build(create), "/items", "POST", **body)
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, MEDIA_TYPE)
    assert (answer.json()["status"], answer.json()["code"]) == (status, code)
    assert answer.headers["X-Request-ID"] == "request-1"


async def test_wrong_method_says_which_are_right(build: Build) -> None:
    """405 comes with Allow (RFC 9110 section 15.5.6)."""
    answer = await ask(build(items), "/items/1", "DELETE")
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}


@pytest.mark.parametrize(
    ("query", "location", "message"),
    [
        ("limit=geheim", "query.limit", "Expected `int`, got `str`"),
        ("limit=0", "query.limit", "Expected `int` >= 1"),
        ("limit=101", "query.limit", "Expected `int` <= 100"),
        ("colour=geheim", "query.colour", "is none of the values allowed here"),
    ],
)
async def test_wrong_parameter_is_named_and_not_shown(build: Build, query: str, location: str, message: str) -> None:
    """Where it is, what is expected, and never what was sent."""
    answer = await ask(build(items), f"/items/1?{query}")
    assert answer.json()["errors"] == [{"location": location, "message": message}]


async def test_error_of_ours_goes_out_whole(build: Build) -> None:
    """Status, code, sentence, places, headers and members."""
    error = Conflict("taken", code="TITLE_TAKEN", headers={"X-Told": "yes"}, members={"reason": "why"})
    error.errors.append(FieldError("body.title", "is taken"))
    answer = await ask(build(raising(error)))
    assert (answer.status_code, answer.headers["X-Told"]) == (409, "yes")
    assert answer.json() == {
        "type": "about:blank",
        "title": "Conflict",
        "status": 409,
        "detail": "taken",
        "instance": "/fault",
        "code": "TITLE_TAKEN",
        "errors": [{"location": "body.title", "message": "is taken"}],
        "reason": "why",
    }


async def test_outage_tells_when_to_come_back(build: Build, logs: Logs) -> None:
    """503: the request can be found in the logs, where it is a warning with the cause, and no traceback."""
    error = Unavailable("the database cannot be reached right now", retry_after=3)
    error.__cause__ = ConnectionRefusedError("10.0.0.7")
    answer = await ask(build(raising(error)))
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "3")
    assert answer.json()["request_id"] == "request-1"
    line = line_of(logs, "request failed")
    assert (line["level"], line["error"], line["code"]) == ("warning", "ConnectionRefusedError", "UNAVAILABLE")
    assert "exception" not in line
    assert "10.0.0.7" not in answer.text + logs.text


@pytest.mark.parametrize(
    "error", [RuntimeError("geheim"), foreign_error(), caused_by_driver(), InternalServerException("geheim")]
)
async def test_fault_of_ours_shows_nothing(build: Build, error: Exception) -> None:
    """500: one sentence and the request's id, whatever happened."""
    answer = await ask(build(raising(error)))
    assert answer.status_code == 500
    assert answer.json() == {
        "type": "about:blank",
        "title": "Internal Server Error",
        "status": 500,
        "detail": "something went wrong on our side",
        "instance": "/fault",
        "code": "INTERNAL_ERROR",
        "request_id": "request-1",
    }


async def test_fault_of_ours_is_logged_with_its_place(build: Build, logs: Logs) -> None:
    """Where it happened and what, under the id that the client was told."""
    await ask(build(raising(RuntimeError("out of cheese"))))
    line = line_of(logs, "request failed")
    assert (line["level"], line["request_id"], line["error"]) == ("error", "request-1", "RuntimeError")
    assert line["exception"][0] == "RuntimeError: out of cheese"
    assert any("test_problems.py" in place and place.endswith(" fault") for place in line["exception"])


async def test_foreseen_fault_needs_no_traceback(build: Build, logs: Logs) -> None:
    """A 500 that we raise ourselves says what it is."""
    await ask(build(raising(ServiceError("the seal is broken", code="SEAL_BROKEN"))))
    line = line_of(logs, "request failed")
    assert (line["level"], line["code"], "exception" in line) == ("error", "SEAL_BROKEN", False)


@pytest.mark.parametrize("log_format", ["json", "console"])
@pytest.mark.parametrize("error", [foreign_error(), caused_by_driver()], ids=["bare", "as a cause"])
async def test_message_of_the_database_is_not_logged(
    build: Build, settings: Any, logs: Logs, error: Exception, log_format: str
) -> None:
    """It quotes the row: an address, a hash. Its type is enough."""
    await ask(build(raising(error), settings=msgspec.structs.replace(settings, log_format=log_format)))
    assert "UniqueViolationError" in logs.text
    assert "geheim" not in logs.text


async def test_fault_of_a_client_is_not_logged(build: Build, logs: Logs) -> None:
    """A scanner must not fill the log with errors."""
    await ask(build(items), "/nowhere")
    await ask(build(items), "/items/1?limit=0")
    assert [line["event"] for line in logs.lines] == ["request", "request"]


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (ClientException("x"), 400, "MALFORMED_REQUEST"),
        (NotFoundException("x"), 404, "NOT_FOUND"),
        (HTTPException(status_code=413, detail="x"), 413, "CONTENT_TOO_LARGE"),
        (HTTPException(status_code=415, detail="x"), 415, "UNSUPPORTED_MEDIA_TYPE"),
        (TooManyRequestsException("x"), 500, "INTERNAL_ERROR"),
        (HTTPException(status_code=418, detail="x"), 500, "INTERNAL_ERROR"),
        (ZeroDivisionError("x"), 500, "INTERNAL_ERROR"),
        (Unprocessable("x"), 422, "INVALID_VALUE"),
    ],
)
def test_translation(error: Exception, status: int, code: str) -> None:
    """The framework's errors have ours; what nobody planned for is our fault."""
    known = translate(error)
    assert (known.status, known.code) == (status, code)


def test_problem_without_a_sentence_has_its_title() -> None:
    """`detail` is always there."""
    assert problem(ServiceError(), instance="/x").detail == "Internal Server Error"


@pytest.mark.parametrize(
    ("path", "instance"),
    [
        ("/a%20b", "/a%20b"),
        ("/%3Cscript%3E", "/%3Cscript%3E"),
        ("/gr%C3%BC%C3%9Fe", "/gr%C3%BC%C3%9Fe"),
        ("/a%0d%0ab", "/a%0D%0Ab"),
    ],
)
async def test_instance_is_a_uri(build: Build, path: str, instance: str) -> None:
    """RFC 9457 section 3.1.5: what a client wrote comes back encoded."""
    assert (await ask(build(items), path)).json()["instance"] == instance


async def test_cancellation_is_no_fault(build: Build, logs: Logs) -> None:
    """A client that went away is not an error of ours."""
    with contextlib.suppress(asyncio.CancelledError):
        await ask(build(raising(asyncio.CancelledError())))
    assert "request failed" not in logs.text


def line_of(logs: Logs, event: str) -> dict[str, Any]:
    """The one line of this event."""
    (line,) = (line for line in logs.lines if line["event"] == event)
    return line
