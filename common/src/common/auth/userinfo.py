"""Userinfo: asking user-svc's `/me` about a caller, with the caller's own token."""

import asyncio
from typing import Final

import httpx
import msgspec

from common.auth.breaker import Breaker, BreakerOpen
from common.dto import User
from common.http.lean import client_to
from common.telemetry.metrics import USERINFO_REQUESTS
from common.telemetry.spans import span
from common.telemetry.trace import outgoing_headers

_CALL: Final = {"http.request.method": "GET", "server.address": "user-svc"}
TOTAL: Final = 0.6  # seconds, waiting for a place in the bulkhead included
BULKHEAD: Final = 64  # questions under way at once


class NoVerdict(Exception):
    """user-svc said neither yes nor no: nothing may be concluded about the token."""

    def __init__(self, outcome: str) -> None:
        super().__init__(outcome)
        self.outcome = outcome


class UserInfoClient:
    """Sorts every answer of `/me` into good, refused and no verdict, and only those."""

    def __init__(self, base_url: str, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        self._client = client_to(base_url, timeout=TOTAL, headers=headers, transport=transport)
        self._breaker = Breaker("user-svc", shortest=2.0, longest=30.0)
        self._bulkhead = asyncio.Semaphore(BULKHEAD)

    async def ask(self, token: str, *, pressing: bool = False) -> User | None:
        """The user, or None when user-svc refuses the token; `pressing` where nothing else than this answer will do.

        Raises:
            NoVerdict: the breaker is open, time ran out, or the answer is neither a user nor a bearer challenge.

        """
        try:
            user = await self._guarded(token, pressing=pressing)
        except NoVerdict as error:
            USERINFO_REQUESTS.labels(error.outcome).inc()
            raise
        USERINFO_REQUESTS.labels("good" if user else "refused").inc()
        return user

    @property
    def wait(self) -> float:
        """Seconds until a pressing question is asked again; 0 when it would be now."""
        return self._breaker.remaining(pressing=True)

    async def close(self) -> None:
        """Give the connections back."""
        await self._client.aclose()

    async def _guarded(self, token: str, *, pressing: bool) -> User | None:
        try:
            with self._breaker.attempt(NoVerdict, pressing=pressing):
                return await self._ask(token)
        except BreakerOpen:
            raise NoVerdict("breaker_open") from None

    async def _ask(self, token: str) -> User | None:
        try:
            async with asyncio.timeout(TOTAL), self._bulkhead:
                with span("GET /me", _CALL):
                    headers = {"Authorization": f"Bearer {token}", **outgoing_headers()}
                    answer = await self._client.get("/me", headers=headers)
        except (httpx.TimeoutException, TimeoutError):
            raise NoVerdict("timeout") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise NoVerdict("unreachable") from error
        return _judge(answer)


def _judge(answer: httpx.Response) -> User | None:
    """Only a bearer challenge (RFC 6750 section 3) refuses: a proxy's own 401 or an error page is no verdict."""
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        if answer.headers.get("WWW-Authenticate", "").lower().startswith("bearer"):
            return None
        raise NoVerdict("odd_401")
    if answer.status_code != httpx.codes.OK:
        raise NoVerdict(f"status_{answer.status_code}")
    try:
        user = msgspec.json.decode(answer.content, type=User)
    except (ValueError, RecursionError):
        raise NoVerdict("odd_body") from None
    return user if user.is_active else None
