"""What every path takes besides its routes' methods: HEAD, and OPTIONS whole (RFC 9110 sections 9.3.2 and 9.3.7)."""

from collections.abc import Awaitable, Callable
from typing import Any

from litestar.types import ASGIApp, Message, Receive, Scope, Send

ALLOW = b"allow"


class Head:
    """Just inside the edge: behind it HEAD is GET, whose content stays here.

    `methods` tells what a path takes; Litestar's own answer to OPTIONS names only what the path's first handler takes.
    """

    def __init__(self, app: ASGIApp, methods: Callable[[Scope], frozenset[str]]) -> None:
        self.app = app
        self.methods = methods

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Everything else passes, at the cost of a look-up."""
        method = scope.get("method")
        if method == "HEAD":
            return self._as_get(scope, receive, send)
        if method == "OPTIONS":
            return self.app(scope, receive, _naming(self.methods(scope), send))
        return self.app(scope, receive, send)

    async def _as_get(self, scope: Any, receive: Receive, send: Send) -> None:
        """The edge, outside, still sees HEAD, and learns which route it was."""
        inside = {**scope, "method": "GET"}
        try:
            await self.app(inside, receive, _without_content(send))  # type: ignore[arg-type]
        finally:
            scope["path_template"] = inside.get("path_template")


def _naming(methods: frozenset[str], send: Send) -> Send:
    """Says which methods there are, where an answer says so at all."""

    async def respond(message: Message) -> None:
        if message["type"] == "http.response.start" and any(name == ALLOW for name, _ in message["headers"]):
            headers = [header for header in message["headers"] if header[0] != ALLOW]
            message["headers"] = [*headers, (ALLOW, ", ".join(sorted(methods)).encode())]
        await send(message)

    return respond


def _without_content(send: Send) -> Send:
    """Ends the answer where its content would begin, also one that would go on."""
    is_over = False

    async def respond(message: Message) -> None:
        nonlocal is_over
        if message["type"] == "http.response.start":
            await send(message)
        elif not is_over:
            is_over = True
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    return respond
