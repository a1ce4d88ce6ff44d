"""Userinfo: which answers of `/me` are a verdict, and that all others, and no answer, are none."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import httpx
import msgspec
import pytest
from prometheus_client import REGISTRY

from common.auth import userinfo
from common.auth.userinfo import NoVerdict, UserInfoClient
from common.telemetry import trace
from common.testing import FlakyTransport, a_user

USER = a_user(id=UUID("0198c0f4-0000-7000-8000-000000000001"))
ME = msgspec.json.encode(USER)
PLACES = 4
TOTAL = 0.6  # seconds a question may take
NOTICEABLE = 1.0  # seconds: what a busy machine may add to a budget
Answer = Callable[[], httpx.Response]


def answer(status: int, body: bytes = ME, **headers: str) -> Answer:
    """A new answer each time, as a server gives it."""
    return lambda: httpx.Response(status, content=body, headers=headers)


@asynccontextmanager
async def asking(
    transport: httpx.AsyncBaseTransport | None, url: str = "http://user-svc.test"
) -> AsyncIterator[UserInfoClient]:
    """A client that is closed at the end."""
    client = UserInfoClient(url, transport=transport)
    yield client
    await client.close()


async def no_verdict(transport: httpx.AsyncBaseTransport | None, url: str = "http://user-svc.test") -> str:
    """The outcome of a question that must have no verdict."""
    async with asking(transport, url) as client:
        with pytest.raises(NoVerdict) as caught:
            await client.ask("token")
    return caught.value.outcome


def counted(outcome: str) -> float:
    """The metric of an outcome."""
    return REGISTRY.get_sample_value("userinfo_requests_total", {"outcome": outcome}) or 0.0


async def test_good_answer_is_the_user() -> None:
    """200 and an active user."""
    async with asking(FlakyTransport.answering(answer(200))) as client:
        assert await client.ask("token") == USER


async def test_unknown_members_do_no_harm() -> None:
    """A newer user-svc may say more than an older asker knows."""
    body = ME[:-1] + b',"name":"Ann"}'
    async with asking(FlakyTransport.answering(answer(200, body))) as client:
        assert await client.ask("token") == USER


async def test_inactive_user_is_refused() -> None:
    """user-svc knows the account and says that it is off."""
    body = msgspec.json.encode(msgspec.structs.replace(USER, is_active=False))
    async with asking(FlakyTransport.answering(answer(200, body))) as client:
        assert await client.ask("token") is None


@pytest.mark.parametrize("challenge", ["Bearer", 'Bearer error="invalid_token"', 'bearer realm="x"'])
async def test_bearer_challenge_refuses(challenge: str) -> None:
    """401 of one who judges bearer tokens (RFC 6750 section 3) is a verdict."""
    refusing = FlakyTransport.answering(answer(401, b"", **{"WWW-Authenticate": challenge}))
    async with asking(refusing) as client:
        assert await client.ask("token") is None


@pytest.mark.parametrize("headers", [{}, {"WWW-Authenticate": "Basic realm=proxy"}, {"WWW-Authenticate": "Negotiate"}])
async def test_other_401_is_no_verdict(headers: dict[str, str]) -> None:
    """A proxy in between wants something else; it knows nothing of our tokens."""
    assert await no_verdict(FlakyTransport.answering(answer(401, b"", **headers))) == "odd_401"


@pytest.mark.parametrize(
    "status", [201, 204, 301, 302, 307, 400, 403, 404, 405, 408, 418, 421, 429, 500, 502, 503, 504]
)
async def test_any_other_status_is_no_verdict(status: int) -> None:
    """Only 200 admits and only 401 refuses; a redirect is not followed with the caller's token."""
    transport = FlakyTransport.answering(answer(status, ME, Location="http://elsewhere.test/me"))
    assert await no_verdict(transport) == f"status_{status}"
    assert transport.asked == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<!doctype html><title>Maintenance</title>",
        b"null",
        b"[]",
        b"{}",
        b'"x"',
        ME[:-1],
        ME + ME,
        ME.replace(b"true", b'"true"'),
        ME.replace(b"true", b"1"),
        ME.replace(str(USER.id).encode(), b"7"),
        ME.replace(b"ann@", b"\xff@"),
        b'{"x":' + b"[" * 100_000,
        msgspec.json.encode({"user": USER}),
    ],
    ids=lambda body: repr(body)[:60],
)
async def test_odd_body_is_no_verdict(body: bytes) -> None:
    """A page of a proxy, half an answer, another shape: nobody is admitted or refused by it."""
    assert await no_verdict(FlakyTransport.answering(answer(200, body))) == "odd_body"


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (httpx.ConnectError("refused"), "unreachable"),
        (httpx.ReadError("reset"), "unreachable"),
        (httpx.RemoteProtocolError("no HTTP"), "unreachable"),
        (httpx.DecodingError("no gzip"), "unreachable"),
        (httpx.InvalidURL("no URL"), "unreachable"),
        (httpx.ConnectTimeout("slow"), "timeout"),
        (httpx.ReadTimeout("slow"), "timeout"),
        (httpx.PoolTimeout("full"), "timeout"),
    ],
)
async def test_no_answer_is_no_verdict(error: Exception, outcome: str) -> None:
    """However the question fails, it is an outage and no refusal."""
    transport = FlakyTransport()
    transport.fail = error
    assert await no_verdict(transport) == outcome


async def test_refused_connection_is_no_verdict() -> None:
    """Nobody listens: said so at once."""
    started = time.perf_counter()
    assert await no_verdict(None, "http://127.0.0.1:1") == "unreachable"
    assert time.perf_counter() - started < TOTAL + NOTICEABLE


async def test_silent_server_costs_the_budget(silent: Any) -> None:
    """One that accepts and never answers is given 600 ms in all, and asked once."""
    started = time.perf_counter()
    assert await no_verdict(None, f"http://{silent.address}") == "timeout"
    assert TOTAL - 0.1 < time.perf_counter() - started < TOTAL + NOTICEABLE
    assert len(silent.connections) == 1


async def test_trickling_server_costs_the_budget(serve: Any) -> None:
    """A byte now and then resets a read timeout, but not the budget for the whole."""

    def trickle(transport: asyncio.Transport, _data: bytes = b"") -> None:
        if not transport.is_closing():
            transport.write(b"HTTP/1.1 200 OK\r\n" if _data else b"X-More: 1\r\n")
            asyncio.get_running_loop().call_later(0.02, trickle, transport)

    peer = await serve(trickle)
    started = time.perf_counter()
    assert await no_verdict(None, f"http://{peer.address}") == "timeout"
    assert time.perf_counter() - started < TOTAL + NOTICEABLE


async def test_question_that_arrived_is_not_asked_twice(serve: Any) -> None:
    """A connection that breaks after the question was sent is no verdict; only one never made is tried again."""
    peer = await serve(lambda transport, _data: transport.close())
    assert await no_verdict(None, f"http://{peer.address}") == "unreachable"
    assert len(peer.heard) == 1


async def test_question_carries_the_token_and_the_trace() -> None:
    """`GET /me` with the caller's own token, the request id and the trace, so that both logs tell one story."""
    asked: list[httpx.Request] = []

    def note(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return answer(200)()

    trace.begin({b"x-request-id": b"request-1", b"traceparent": b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01"})
    async with asking(httpx.MockTransport(note), "http://user-svc.test/base") as client:
        await client.ask("the-token")
    request = asked[0]
    assert (request.method, str(request.url)) == ("GET", "http://user-svc.test/base/me")
    assert request.headers["Authorization"] == "Bearer the-token"
    assert request.headers["X-Request-ID"] == "request-1"
    assert request.headers["traceparent"].startswith(f"00-{'a' * 32}-")


async def test_bulkhead_bounds_the_questions(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """More callers than places: user-svc never sees more at once than there are, and all are answered."""
    monkeypatch.setattr(userinfo, "TOTAL", 10.0)
    monkeypatch.setattr(userinfo, "BULKHEAD", PLACES)
    waiting: list[asyncio.Transport] = []
    most = 0

    def answer_when_full(transport: asyncio.Transport, _data: bytes) -> None:
        nonlocal most
        waiting.append(transport)
        most = max(most, len(waiting))
        if len(waiting) == PLACES:
            # those who come too many have the time of this to show themselves
            asyncio.get_running_loop().call_later(0.1, answer_all)

    def answer_all() -> None:
        while waiting:
            waiting.pop().write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(ME), ME))

    peer = await serve(answer_when_full)
    async with asking(None, f"http://{peer.address}") as client:
        users = await asyncio.gather(*(client.ask(f"token-{number}") for number in range(PLACES * 3)))
    assert users == [USER] * (PLACES * 3)
    assert most == PLACES


@pytest.mark.parametrize(
    ("given", "outcome"),
    [
        (answer(200), "good"),
        (answer(401, b"", **{"WWW-Authenticate": "Bearer"}), "refused"),
        (answer(503), "status_503"),
    ],
)
async def test_every_outcome_is_counted(given: Answer, outcome: str) -> None:
    """The metric tells an outage from a wave of refusals."""
    before = counted(outcome)
    async with asking(FlakyTransport.answering(given)) as client:
        await asyncio.gather(client.ask("token"), return_exceptions=True)
    assert counted(outcome) == before + 1
