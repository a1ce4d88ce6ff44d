"""Login, passed through to user-svc: one origin for a browser, and for the documentation page."""

import math
from typing import Any, Final

import httpx
from litestar import Controller, Request, Response, post
from litestar.di import NamedDependency

from common.auth import PUBLIC
from common.auth.breaker import Breaker, BreakerOpen
from common.docs.forms import LoginOperation
from common.docs.responses import problems
from common.dto import TokenResponse
from common.errors import Unavailable
from common.http.client import forwarded
from common.http.lean import client_to
from common.telemetry.spans import span
from common.telemetry.trace import outgoing_headers

PATH: Final = "/auth/jwt/login"
TOTAL: Final = 5.0  # seconds: a password hash in a full queue takes its time
RETRY_AFTER: Final = 2  # seconds
PASSED_ON: Final = ("content-type", "cache-control", "retry-after", "www-authenticate")


class LoginProxy:
    """Asks user-svc, and changes neither the form nor the answer."""

    def __init__(self, base_url: str, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._client = client_to(base_url, timeout=httpx.Timeout(TOTAL, connect=0.5), transport=transport)
        self._breaker = Breaker("login", shortest=1.0, longest=5.0)

    async def login(self, body: bytes, headers: dict[str, str]) -> httpx.Response:
        """Hand the form over, as it came.

        Raises:
            Unavailable: user-svc cannot be reached; nobody was logged in.

        """
        try:
            with self._breaker.attempt(httpx.HTTPError):
                return await self._ask(body, headers)
        except BreakerOpen:
            raise _nobody_logs_in(math.ceil(self._breaker.remaining()) or RETRY_AFTER) from None
        except httpx.HTTPError as error:
            raise _nobody_logs_in(RETRY_AFTER) from error

    async def close(self) -> None:
        """Give the connections back."""
        await self._client.aclose()

    async def _ask(self, body: bytes, headers: dict[str, str]) -> httpx.Response:
        with span(f"POST {PATH}", {"http.request.method": "POST", "server.address": "user-svc"}):
            told = httpx.Headers({**headers, **outgoing_headers()}, encoding="latin-1")
            return await self._client.post(PATH, content=body, headers=told)


class LoginController(Controller):
    """Login."""

    tags = ("sessions",)

    @post(
        PATH,
        status_code=200,
        opt={"auth": PUBLIC},
        operation_class=LoginOperation,
        responses=problems(400, 413, 415, 429),
    )
    async def login(
        self, request: Request[Any, Any, Any], login_proxy: NamedDependency[LoginProxy]
    ) -> Response[TokenResponse]:
        """OAuth2's password grant, answered by user-svc."""
        answer = await login_proxy.login(await request.body(), _sender(request))
        headers = {name: answer.headers[name] for name in PASSED_ON if name in answer.headers}
        return Response(answer.content, status_code=answer.status_code, headers=headers)  # type: ignore[arg-type]


def _nobody_logs_in(retry_after: int) -> Unavailable:
    return Unavailable("nobody can log in right now", retry_after=retry_after)


def _sender(request: Request[Any, Any, Any]) -> dict[str, str]:
    """What user-svc would have seen of the client; it believes the address if it trusts us (TRUSTED_PROXIES)."""
    headers = request.headers
    hops = [*forwarded(request.scope), request.client.host if request.client else ""]
    return {
        "Content-Type": headers.get("content-type", ""),
        "User-Agent": headers.get("user-agent", ""),
        "X-Forwarded-For": ", ".join(filter(None, hops)),
    }
