"""One service as a client reaches it: calls are repeated, within bounds, while it cannot answer."""

import time
from asyncio import sleep
from collections.abc import Callable
from typing import TypeVar

import httpx
import msgspec
from msgspec import Struct

from common.dto import Problem

ATTEMPTS = 6
LONGEST_WAIT = 60.0  # seconds a service may ask for before that is told to the person instead
LONGEST_SILENCE = 20.0  # seconds without an answer before the service counts as away
BUSY = frozenset({429, 502, 503, 504})
WRONG_PLACE = frozenset({301, 302, 307, 308, 404, 405})

T = TypeVar("T")


class SeedError(Exception):
    """One line that says what went wrong, where, and what to do."""


class LostError(SeedError):
    """A call that must not be sent twice got no answer: it may or may not have been carried out."""


class Call(Struct, frozen=True, kw_only=True):
    """A request; `expect` are the statuses its sender can handle, `body` goes out as JSON.

    One that is not `repeatable` is repeated only as long as it cannot have been carried out.
    """

    method: str
    path: str
    expect: frozenset[int]
    headers: dict[str, str] = {}
    params: dict[str, str] = {}
    form: dict[str, str] = {}
    body: Struct | None = None
    repeatable: bool = True

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class _Unanswered(Struct, frozen=True):
    """Why a call got no answer; `wait` is how many seconds the service asks for, `lost` that it may have acted."""

    reason: str
    advice: str
    wait: float | None = None
    lost: bool = False


class Service:
    """Sends calls to one service; `notice` is told in one line whenever it has to wait."""

    def __init__(self, name: str, url: str, client: httpx.AsyncClient, notice: Callable[[str], None]) -> None:
        self.requests = 0
        self._name = f"{name} at {url}"
        self._url = url
        self._client = client
        self._notice = notice

    def __str__(self) -> str:
        return self._name

    async def check(self) -> None:
        """See that it is there.

        Raises:
            SeedError: it is not, or is not healthy.

        """
        try:
            answer = await self._client.get(f"{self._url}/health/live", timeout=2)
        except httpx.RequestError as error:
            away = _away(error)
            raise SeedError(f"{self} {away.reason}: {away.advice}") from None
        if answer.status_code != httpx.codes.OK:
            raise SeedError(f"{self} is not healthy: GET /health/live answered {answer.status_code}")

    async def send(self, call: Call) -> httpx.Response:
        """Send a call until it gets an answer it expects.

        Raises:
            SeedError: the service stayed away or busy, or answered something else.
            LostError: it may or may not have carried out a call that is not repeatable.

        """
        started = time.monotonic()
        attempt = 0
        while True:
            attempt += 1
            outcome = await self._attempt(call)
            if isinstance(outcome, httpx.Response):
                return self._expected(call, outcome)
            delay = outcome.wait or min(0.25 * 2**attempt, 5.0)
            silent = time.monotonic() - started if outcome.wait is None else 0.0
            if attempt == ATTEMPTS or delay > LONGEST_WAIT or silent > LONGEST_SILENCE:
                raise SeedError(f"{self} {outcome.reason}: {outcome.advice}")
            self._notice(f"waiting: {self} {outcome.reason}")
            await sleep(delay)
            if outcome.lost and not call.repeatable:
                raise LostError(f"{self} {outcome.reason}: {outcome.advice}")

    def read(self, answer: httpx.Response, kind: type[T]) -> T:
        """Decode an answer.

        Raises:
            SeedError: it is not what the contract says.

        """
        try:
            return msgspec.json.decode(answer.content, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            path = answer.request.url.path
            raise SeedError(f"{self} answered {path} with something it should not: {error}") from None

    async def _attempt(self, call: Call) -> httpx.Response | _Unanswered:
        try:
            answer = await self._once(call)
        except httpx.RequestError as error:
            return _away(error)
        if answer.status_code in BUSY:
            reason = f"cannot answer now ({answer.status_code})"
            refused = answer.status_code == httpx.codes.TOO_MANY_REQUESTS
            return _Unanswered(reason, "run this again later", _retry_after(answer), lost=not refused)
        return answer

    async def _once(self, call: Call) -> httpx.Response:
        self.requests += 1
        headers, content = call.headers, None
        if call.body is not None:
            headers = {**headers, "Content-Type": "application/json"}
            content = msgspec.json.encode(call.body)
        return await self._client.request(
            call.method,
            self._url + call.path,
            headers=headers,
            params=call.params or None,
            data=call.form or None,
            content=content,
        )

    def _expected(self, call: Call, answer: httpx.Response) -> httpx.Response:
        if answer.status_code in call.expect:
            return answer
        reason = f"{answer.status_code} {problem_code(answer)}".rstrip()
        request_id = answer.headers.get("X-Request-ID", "none")
        hint = ": is this its address?" if answer.status_code in WRONG_PLACE else ""
        raise SeedError(f"{self} answered {call} with {reason} (request id {request_id}){hint}")


def problem_code(answer: httpx.Response) -> str:
    """The machine's word for an error (RFC 9457), or nothing when the answer is no problem document."""
    try:
        return msgspec.json.decode(answer.content, type=Problem).code
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""


def _away(error: httpx.RequestError) -> _Unanswered:
    advice = "start it with ./scripts/up, then run this again"
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return _Unanswered("does not answer (no connection)", advice)
    reason = "no answer in time" if isinstance(error, httpx.TimeoutException) else "the connection broke"
    return _Unanswered(f"does not answer ({reason})", advice, lost=True)


def _retry_after(answer: httpx.Response) -> float | None:
    """Seconds to wait (RFC 9110 section 10.2.3); the date form is not used by these services."""
    text = answer.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() else None
