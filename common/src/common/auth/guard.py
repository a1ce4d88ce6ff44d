"""The guard: an ASGI layer in front of the router. Nothing behind it runs, or is read, before the caller is known."""

import re
from typing import Any

from litestar.types import ASGIApp, Receive, Scope, Send

from common.auth.authenticator import Authenticator
from common.auth.demands import FRESH, PUBLIC, Demands
from common.auth.principal import Principal
from common.errors import MethodNotAllowed, NotFound, ServiceError, Unauthorized
from common.http.headers import HTTP, SAFE, seen
from common.http.problems import respond

_BEARER = re.compile(rb"bearer +([^\s,]+) *\Z", re.IGNORECASE)


class Guard:
    """Lets a request through with its principal in `scope["user"]`, or answers 401 or 503 itself.

    Every route is guarded unless it says `opt={"auth": PUBLIC}`; one whose work cannot be undone says FRESH.
    """

    def __init__(self, app: ASGIApp, authenticator: Authenticator, demands: Demands) -> None:
        self.app = app
        self.authenticator = authenticator
        self.demands = demands
        self._demand = demands.of
        self._recall = authenticator.recall

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Judge, then pass on; the answer says who vouched."""
        demand = self._demand(scope)
        if demand is PUBLIC:
            await self.app(scope, receive, send)
            return
        authorization = seen(scope).get(b"authorization")  # None too where it stands twice: `bearer` refuses that
        if authorization is None or demand is FRESH or (principal := self._recall(authorization)) is None:
            try:
                principal = await self._judge(scope, demand)
            except ServiceError as error:
                await _refuse(scope, send, error)
                return
        scope["user"] = principal
        added: Any = scope.get("response_headers")  # the edge's, so that no layer more has to wrap the answer
        if added is not None:
            added += principal.prebuilt or principal.headers()
        await self.app(scope, receive, send)

    async def _judge(self, scope: Scope, demand: str) -> Principal:
        safe = scope.get("method") in SAFE
        try:
            token = bearer(scope["headers"])
            return await self.authenticator.authenticate(token, safe=safe, fresh=demand is FRESH)
        except Unauthorized:
            self._refuse_elsewhere(scope)
            raise

    def _refuse_elsewhere(self, scope: Scope) -> None:
        """Who brings no good token where there is no route learns that, and not that one is needed."""
        methods = self.demands.methods(scope)
        if not methods:
            raise NotFound("there is nothing at this path")
        if scope.get("method") not in methods:
            raise MethodNotAllowed("this path does not take that method", headers={"Allow": ", ".join(sorted(methods))})


def bearer(headers: Any) -> str:
    """The one token of the one Authorization header (RFC 6750 section 2.1).

    Raises:
        Unauthorized: there is none, or more than one.

    """
    values = [value for name, value in headers if name == b"authorization"]
    match = _BEARER.match(values[0]) if len(values) == 1 else None
    if match is None:
        raise Unauthorized
    return match[1].decode("latin-1")


async def _refuse(scope: Scope, send: Send, error: ServiceError) -> None:
    if scope["type"] == HTTP:
        await respond(scope, send, error)
    else:
        await send({"type": "websocket.close", "code": 1008, "reason": error.detail})  # RFC 6455: policy violation
