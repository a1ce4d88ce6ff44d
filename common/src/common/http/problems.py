"""Every error becomes one shape, here and nowhere else: problem+json (RFC 9457)."""

import re
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.types import Scope, Send

from common.dto import FieldError, Problem
from common.errors import (
    BadRequest,
    ContentTooLarge,
    MethodNotAllowed,
    NotFound,
    ServiceError,
    Unprocessable,
    UnsupportedMediaType,
)
from common.telemetry.trace import current

MEDIA_TYPE = "application/problem+json"

_log = structlog.get_logger()


_BY_STATUS: dict[int, type[ServiceError]] = {
    error.status: error
    for error in (BadRequest, NotFound, MethodNotAllowed, ContentTooLarge, UnsupportedMediaType, Unprocessable)
}


def render(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """The one exception handler of every service."""
    known = translate(error)
    if isinstance(known, ContentTooLarge):
        known.detail = f"the body has more than {request.route_handler.resolve_request_max_body_size()} bytes"
    _tell(known, error)
    body = problem(known, instance=request.scope["path"])
    return Response(msgspec.json.encode(body), status_code=known.status, headers=known.headers, media_type=MEDIA_TYPE)


async def respond(scope: Scope, send: Send, error: Exception) -> None:
    """The same answer from a layer in front of Litestar."""
    known = translate(error)
    _tell(known, error)
    body = msgspec.json.encode(problem(known, instance=scope["path"]))
    headers = [
        (b"content-type", MEDIA_TYPE.encode()),
        (b"content-length", b"%d" % len(body)),
        *((name.lower().encode(), value.encode()) for name, value in known.headers.items()),
    ]
    await send({"type": "http.response.start", "status": known.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def problem(error: ServiceError, *, instance: str) -> Problem:
    """An error as it goes out; a 5xx names the request and nothing of the inside."""
    trace = current() if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR else None
    title = HTTPStatus(error.status).phrase
    return Problem(
        type="about:blank",
        title=title,
        status=error.status,
        detail=error.detail or title,
        instance=quote(instance),
        code=error.code,
        errors=error.errors,
        request_id=trace.request_id if trace else None,
        **error.members,
    )


def translate(error: Exception) -> ServiceError:
    """The domain's own error for whatever was raised; the unforeseen says nothing to the client."""
    if isinstance(error, ServiceError):
        return error
    if isinstance(error, ValidationException):
        if _misses_body(error.extra):  # Litestar hands over no empty body
            return BadRequest("the body is empty")
        return Unprocessable("a value is not acceptable", errors=_fields(error.extra))
    if isinstance(error, HTTPException):
        return _of_framework(error)
    return ServiceError("something went wrong on our side")


def _misses_body(extra: Any) -> bool:
    return any(item.get("key") == "data" for item in extra or [])


def _of_framework(error: HTTPException) -> ServiceError:
    kind = _BY_STATUS.get(error.status_code)
    if kind is None:
        return ServiceError("something went wrong on our side")
    details = {404: "there is nothing at this path", 405: "this path does not take that method"}
    headers = dict(error.headers or {})
    if "GET" in headers.get("allow", ""):
        headers["allow"] += ", HEAD"  # see `common.http.head`
    return kind(details.get(error.status_code, error.detail), headers=headers)


def _fields(extra: Any) -> list[FieldError]:
    """Litestar's list of bad parameters, each as `query.limit`."""
    return [
        FieldError(f"{_source(item)}.{item.get('key', '')}".rstrip("."), _sentence(str(item.get("message", ""))))
        for item in extra or []
    ]


def _source(item: dict[str, Any]) -> str:
    source = item.get("source") or "query"
    return str(getattr(source, "value", source))


def _sentence(message: str) -> str:
    """What msgspec says, without its path and without the value."""
    if message.startswith("Invalid enum value"):
        return "is none of the values allowed here"
    return re.sub(r" - at `.*`$", "", message) or "is not acceptable"


def _tell(known: ServiceError, error: Exception) -> None:
    """A line for what is not the client's doing."""
    if known.status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return
    log = _log.error if known.status == HTTPStatus.INTERNAL_SERVER_ERROR else _log.warning
    cause = known.__cause__ or error
    log(
        "request failed",
        status=known.status,
        code=known.code,
        error=type(cause).__name__,
        exc_info=_trace(known, error),
    )


def _trace(known: ServiceError, error: Exception) -> Exception | None:
    """A traceback only for what nobody foresaw."""
    return error if known is not error and known.status == HTTPStatus.INTERNAL_SERVER_ERROR else None
