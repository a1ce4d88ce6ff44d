"""The edge: what every answer gets, whatever happened inside: request id, security headers, an access line, metrics.

It stands outside Litestar, because route middleware never sees a 404, a 405 or a path that does not parse.
"""

import asyncio
from functools import lru_cache
from time import perf_counter
from typing import Any

from litestar.types import ASGIApp, HTTPResponseStartEvent, Message, Receive, Scope, Send
from prometheus_client import Counter, Histogram

from common.errors import BadRequest
from common.http.headers import HTTP, seen
from common.http.problems import respond as respond_with
from common.shutdown import Drain
from common.telemetry import trace
from common.telemetry.access import AccessLog
from common.telemetry.metrics import HTTP_REQUESTS, HTTP_SECONDS

SECURITY_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]
PRIVATE = (b"cache-control", b"no-store")
POLICY = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
UNROUTED = "(none)"  # one label for every path that is no route: a scanner must not fill the metrics
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Edge:
    """The outermost layer of a service."""

    def __init__(self, app: ASGIApp, *, access_log: AccessLog | None, drain: Drain) -> None:
        self.app = app
        self.drain = drain
        self.access_log = access_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Number the request, let it through, account for it."""
        if scope["type"] != HTTP:
            await self.app(scope, receive, send)
            return
        started = perf_counter()
        path = scope["path"]
        request_id = trace.begin(seen(scope)).request_id.encode()
        status, is_left = 0, False
        added: list[tuple[bytes, bytes]] = [(trace.REQUEST_ID, request_id), *SECURITY_HEADERS, *self.drain.headers]
        scope["response_headers"] = added  # type: ignore[typeddict-unknown-key]  # for the layers inside

        async def hear() -> Any:
            nonlocal is_left
            message = await receive()
            if message["type"] == "http.disconnect" and not status:
                is_left = True
                raise BadRequest("the body breaks off")  # Litestar's own would be a fault of ours
            return message

        async def respond(message: Message) -> None:
            nonlocal status
            if is_left:
                return
            if message["type"] == "http.response.start":
                status = message["status"]
                _dress(message, added)
            await send(message)

        try:
            await self.app(scope, hear, respond)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            if status:
                raise
            await respond_with(scope, respond, error)
        finally:
            self._account(scope, path, status, perf_counter() - started)

    def _account(self, scope: Scope, path: str, status: int, seconds: float) -> None:
        """`status` 0 is a client that went away before an answer began."""
        route = scope.get("path_template") or UNROUTED
        given = str(scope.get("method"))
        method = given if given in METHODS else "other"
        _count(method, route, status).inc()
        _time(route).observe(seconds)
        if self.access_log is not None:
            self.access_log.write(method, path, route, status, round(seconds * 1000, 2))


def _dress(message: HTTPResponseStartEvent, added: list[tuple[bytes, bytes]]) -> None:
    own = message["headers"]
    present = {name for name, _ in own}
    message["headers"] = [*own, *added, *(header for header in (PRIVATE, POLICY) if header[0] not in present)]


@lru_cache(maxsize=4096)
def _count(method: str, route: str, status: int) -> Counter:
    return HTTP_REQUESTS.labels(method, route, status)


@lru_cache(maxsize=1024)
def _time(route: str) -> Histogram:
    return HTTP_SECONDS.labels(route)
