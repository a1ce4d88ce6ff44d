"""HEAD: every GET without its content (RFC 9110 section 9.3.2), so that no route need think of it."""

from collections.abc import Awaitable

from litestar.types import ASGIApp, Message, Receive, Scope, Send


class Head:
    """The outermost layer: behind it there is no HEAD."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Everything else passes, at the cost of a look-up."""
        if scope.get("method") != "HEAD":
            return self.app(scope, receive, send)
        return self.app({**scope, "method": "GET"}, receive, _without_content(send))  # type: ignore[arg-type]


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
