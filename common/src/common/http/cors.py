"""CORS: a list of origins, each named; a wildcard cannot be written (Fetch standard, section 3.2)."""

from collections.abc import Iterable

from litestar.types import ASGIApp, Message, Receive, Scope, Send

from common.http.headers import HTTP, seen

ALLOWED_METHODS = b"GET, HEAD, POST, PATCH, PUT, DELETE"
ALLOWED_HEADERS = (
    b"Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, X-Request-ID, traceparent"
)
EXPOSED_HEADERS = b"ETag, Idempotency-Replayed, Retry-After, WWW-Authenticate, X-Auth-Age, X-Auth-Source, X-Request-ID"
MAX_AGE = b"600"


class Cors:
    """Answers preflights itself and marks every other answer, errors included, for the origins it knows."""

    def __init__(self, app: ASGIApp, origins: Iterable[str]) -> None:
        self.app = app
        self.origins = frozenset(origin.encode() for origin in origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Requests without an Origin pass untouched."""
        origin = seen(scope).get(b"origin") if scope["type"] == HTTP else None
        if origin is None:
            await self.app(scope, receive, send)
        elif scope.get("method") == "OPTIONS" and _header(scope, b"access-control-request-method") is not None:
            await self._preflight(origin, send)
        else:
            await self.app(scope, receive, self._marked(origin, send))

    async def _preflight(self, origin: bytes, send: Send) -> None:
        """204; without the allowing headers for a stranger, which makes the browser refuse."""
        headers = [(b"vary", b"Origin")]
        if origin in self.origins:
            headers += [
                *_allow(origin),
                (b"access-control-allow-methods", ALLOWED_METHODS),
                (b"access-control-allow-headers", ALLOWED_HEADERS),
                (b"access-control-max-age", MAX_AGE),
            ]
        await send({"type": "http.response.start", "status": 204, "headers": headers})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _marked(self, origin: bytes, send: Send) -> Send:
        async def respond(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [*message["headers"], (b"vary", b"Origin")]
                if origin in self.origins:
                    headers += [*_allow(origin), (b"access-control-expose-headers", EXPOSED_HEADERS)]
                message["headers"] = headers
            await send(message)

        return respond


def _allow(origin: bytes) -> list[tuple[bytes, bytes]]:
    return [(b"access-control-allow-origin", origin), (b"access-control-allow-credentials", b"true")]


def _header(scope: Scope, name: bytes) -> bytes | None:
    return next((value for key, value in scope["headers"] if key == name), None)
