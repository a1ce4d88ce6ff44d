"""The fast path: a plain GET is answered in front of the router, which gets whatever is less plain.

What Litestar does for a request that it routes, binds and answers costs several times what PostgreSQL does for it.
A request goes on untouched where its meaning is not certain at a glance, so that a route answers alike both ways.
"""

import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final
from uuid import UUID

import msgspec
from litestar.types import ASGIApp, Receive, Scope, Send
from msgspec import Struct

from common.http.etag import NONE_MATCH, Tagged, Tags, parse
from common.http.paging import CURSOR_LENGTH, DEFAULT, MAXIMUM
from common.http.problems import respond

_ID: Final = r"([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})"
_PART: Final = re.compile(rb"(?:limit=([1-9][0-9]{0,2}))?(?:(?:^|&)cursor=([0-9A-Za-z_-]{1,%d}))?" % CURSOR_LENGTH)
_HOST: Final = re.compile(rb"[0-9A-Za-z.-]+(?::[0-9]+)?")  # a malformed one is a 400 (RFC 9112 section 3.2)
_NONE: Final = UUID(int=0)  # RFC 9562 section 5.9: of a path without an id
_JSON: Final = (b"content-type", b"application/json")
_encode = msgspec.json.Encoder().encode


class Plain(Struct, frozen=True):
    """What is asked: for whom, by which id in the path, which part of a page, and the tags the reader has (`seen`)."""

    owner: UUID
    id: UUID
    limit: int = DEFAULT
    cursor: str | None = None
    seen: Tags | None = None


class FastRoute(Struct, frozen=True):
    """A route of the router's, by its template; `paged` where it takes `limit` and `cursor`; else it takes nothing."""

    template: str
    read: Callable[[Plain], Awaitable[Tagged[Any]]]
    paged: bool = False

    @property
    def pattern(self) -> re.Pattern[str]:
        """Its paths, an id in its common form."""
        return re.compile(re.sub(r"\{\w+:uuid\}", _ID, self.template))


class FastPath:
    """The innermost layer: who comes here has passed the guard."""

    def __init__(self, app: ASGIApp, routes: Iterable[FastRoute]) -> None:
        self.app = app
        self._routes = [(route.pattern.fullmatch, route) for route in routes]

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Take the fast path where there is one."""
        if scope.get("method") == "GET" and not scope.get("root_path"):
            path = scope["path"]
            for match, route in self._routes:
                if (found := match(path)) is not None:
                    plain = _plain(scope, route, found)
                    return self.app(scope, receive, send) if plain is None else _answer(scope, send, route, plain)
        return self.app(scope, receive, send)


def _plain(scope: Any, route: FastRoute, found: re.Match[str]) -> Plain | None:
    """What is asked, if that is certain."""
    part = _PART.fullmatch(scope["query_string"])
    if part is None or not (route.paged or part[0] == b"") or (limit := int(part[1] or DEFAULT)) > MAXIMUM:
        return None
    tags: list[bytes] = []
    for name, value in scope["headers"]:
        if name == NONE_MATCH:
            tags.append(value)
        elif name == b"host" and _HOST.fullmatch(value) is None:
            return None
    seen = parse(b",".join(tags).decode("latin-1")) if tags else None
    cursor = part[2].decode() if part[2] else None
    return Plain(scope["user"].id, UUID(found[1]) if found.lastindex else _NONE, limit, cursor, seen)


async def _answer(scope: Any, send: Send, route: FastRoute, plain: Plain) -> None:
    scope["path_template"] = route.template
    try:
        found = await route.read(plain)
        body = b"" if found.content is None else _encode(found.content)
    except Exception as error:  # noqa: BLE001 - each has its answer, as it has behind the router
        await respond(scope, send, error)
        return
    headers = [(b"etag", found.tag.encode())]
    if found.content is not None:
        headers += [_JSON, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 304 if found.content is None else 200, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
