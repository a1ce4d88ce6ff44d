"""Login, passed through to user-svc: one origin for a browser, and for the documentation page."""

from typing import Any, Final

import httpx
from litestar import Controller, Request, Response, post
from litestar.di import NamedDependency

from common.auth import PUBLIC
from common.docs.forms import LoginOperation
from common.docs.responses import problems
from common.dto import TokenResponse
from common.errors import Unavailable
from common.http.lean import transport_to
from common.telemetry.spans import span
from common.telemetry.trace import outgoing_headers

PATH: Final = "/auth/jwt/login"
TOTAL: Final = 10.0  # seconds: a password hash in a full queue takes its time
PASSED_ON: Final = ("content-type", "cache-control", "retry-after", "www-authenticate")


class LoginProxy:
    """Asks user-svc, and changes neither the form nor the answer."""

    def __init__(self, base_url: str, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._client = httpx.AsyncClient(
            base_url=base_url,
            transport=transport or transport_to(base_url),
            timeout=httpx.Timeout(TOTAL, connect=0.5),
        )

    async def login(self, body: bytes, headers: dict[str, str]) -> httpx.Response:
        """Hand the form over, as it came.

        Raises:
            Unavailable: user-svc cannot be reached; nobody was logged in.

        """
        try:
            with span(f"POST {PATH}", {"http.request.method": "POST", "server.address": "user-svc"}):
                return await self._client.post(
                    PATH,
                    content=body,
                    headers=httpx.Headers({**headers, **outgoing_headers()}, encoding="latin-1"),
                )
        except httpx.HTTPError as error:
            raise Unavailable("nobody can log in right now", retry_after=2) from error

    async def close(self) -> None:
        """Give the connections back."""
        await self._client.aclose()


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


def _sender(request: Request[Any, Any, Any]) -> dict[str, str]:
    """What user-svc would have seen of the client; it believes the address if it trusts us (TRUSTED_PROXIES)."""
    headers = request.headers
    hops = [headers.get("x-forwarded-for", ""), request.client.host if request.client else ""]
    return {
        "Content-Type": headers.get("content-type", ""),
        "User-Agent": headers.get("user-agent", ""),
        "X-Forwarded-For": ", ".join(filter(None, hops)),
    }
