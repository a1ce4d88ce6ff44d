"""Idempotency-Key: a request that comes again, because its answer was lost, is answered again and not done again."""

import re
from collections import deque
from collections.abc import Awaitable
from typing import Any, Final

from litestar import Response
from litestar.enums import MediaType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from common.auth.keys import KeyRing
from common.database import Database, Transactions
from common.dto import FieldError
from common.errors import ServiceError, Unprocessable
from common.http.headers import seen
from common.http.problems import respond
from common.idempotency import Answer, Keyed, fingerprints

HEADER: Final = b"idempotency-key"
KEYED: Final = {"idempotency": True}  # `opt` of a route, for its OpenAPI page
_KEY = re.compile(rb"[!-~]{1,255}")
_TRANSACTION: Final = "transaction"


def keyed(keys: KeyRing, scope: Scope, body: bytes) -> Keyed | None:
    """The key that a request came with.

    Raises:
        Unprocessable: it cannot be one, or there are two.

    """
    if HEADER not in (headers := seen(scope)):
        return None
    given = headers[HEADER]
    if given is None or not _KEY.fullmatch(given):
        error = FieldError("header.Idempotency-Key", "must be 1 to 255 visible ASCII characters, once")
        raise Unprocessable("the Idempotency-Key is not acceptable", errors=[error])
    return Keyed(given.decode(), fingerprints(keys, str(scope.get("method")), scope["path"], body))


def replayed(answer: Answer) -> Response[Any]:
    """An answer of before, given again."""
    headers = {name.decode(): value.decode() for name, value in _headers(answer)}
    return Response(answer.body, status_code=answer.status, headers=headers, media_type=MediaType.JSON)


def statements(scope: Scope, database: Database) -> Transactions:
    """Where a handler's statements belong: into the transaction that will hold its answer, if its request has a key."""
    transaction: Transactions | None = scope.get(_TRANSACTION)  # type: ignore[assignment]  # a key of our own
    return transaction or database


class Idempotency:
    """Behind the guard: a POST with a key runs in one transaction of its caller's with the record of its answer.

    Only successes are kept. Whatever the handler asks of the database it must ask through `statements`. No route takes
    a body of more than `largest` bytes.
    """

    def __init__(self, app: ASGIApp, database: Database, keys: KeyRing, *, largest: int) -> None:
        self.app = app
        self.largest = largest
        self.database = database
        self.keys = keys

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Everything else passes, at the cost of a look-up or three."""
        if scope.get("method") == "POST" and scope.get("user") is not None and HEADER in seen(scope):
            return self._once(scope, receive, send)
        return self.app(scope, receive, send)

    async def _once(self, scope: Scope, receive: Receive, send: Send) -> None:
        read = await _read(receive, self.largest)
        if len(body := b"".join(message.get("body", b"") for message in read)) > self.largest:
            await self.app(scope, _again(read, receive), send)  # which says that it is too large
            return
        try:
            messages = await self._messages(scope, body, _again(read, receive))
        except ServiceError as error:
            await respond(scope, send, error)
            return
        for message in messages:
            await send(message)

    async def _messages(self, scope: Any, body: bytes, receive: Receive) -> list[Message]:
        """The answer of before, or the application's: nothing leaves before it is committed."""
        request, owner = keyed(self.keys, scope, body), scope["user"].id
        assert request is not None  # noqa: S101 - there is a header
        sent: list[Message] = []

        async def record(message: Message) -> None:
            sent.append(message)

        try:
            async with self.database.owned(owner) as transaction:
                known = await request.begin(transaction, str(owner))
                if known is not None:
                    return _repeat(known)
                scope[_TRANSACTION] = transaction
                await self.app(scope, receive, record)
                await request.keep(transaction, str(owner), _kept(sent))
        except _FailedError:
            pass
        return sent


class _FailedError(Exception):
    """The handler answered with an error, and what it wrote is rolled back."""


def _kept(messages: list[Any]) -> Answer:
    start, *bodies = messages
    if not 200 <= start["status"] < 300:  # noqa: PLR2004 - RFC 9110 section 15.3
        raise _FailedError
    etag = next((value.decode() for name, value in start["headers"] if name.lower() == b"etag"), None)
    return Answer(start["status"], b"".join(message.get("body", b"") for message in bodies), etag)


def _repeat(answer: Answer) -> list[Message]:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer.body)), *_headers(answer)]
    return [
        {"type": "http.response.start", "status": answer.status, "headers": headers},
        {"type": "http.response.body", "body": answer.body, "more_body": False},
    ]


def _headers(answer: Answer) -> list[tuple[bytes, bytes]]:
    tag = [(b"etag", answer.etag.encode())] if answer.etag else []
    return [(b"idempotency-replayed", b"true"), *tag]


async def _read(receive: Receive, largest: int) -> list[Any]:
    """The messages of a body, as far as it is not too large."""
    messages: list[Any] = []
    size = 0
    while size <= largest:
        messages.append(await receive())
        size += len(messages[-1].get("body", b""))
        if not messages[-1].get("more_body", False):
            break
    return messages


def _again(messages: list[Any], receive: Receive) -> Receive:
    """A `receive` that gives these first."""
    ahead = deque(messages)

    async def give() -> Any:
        return ahead.popleft() if ahead else await receive()

    return give
