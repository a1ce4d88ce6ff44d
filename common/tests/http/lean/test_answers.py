"""The lean transport of httpx: connections that are kept, and answers as they were sent."""

import asyncio
from typing import Any

import httpx
import pytest

from common.http import lean
from common.http.lean import LeanTransport, client_to, transport_to
from common.testing import eventually

NOTICEABLE = 0.4  # seconds: what a busy machine may add
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def test_connection_is_kept_and_used_again(serving: Any) -> None:
    """Twenty requests, one after the other, need one connection."""
    async with serving() as (client, server):
        answers = [await client.get(f"/{number}") for number in range(20)]
    assert [(answer.status_code, answer.text) for answer in answers] == [(200, "ok")] * 20
    assert len(server.connections) == 1
    assert [request.split(b" ")[1] for request in server.requests] == [b"/%d" % number for number in range(20)]


async def test_concurrent_requests_have_connections_of_their_own(serving: Any) -> None:
    """One request at a time on each; afterwards all are kept."""
    waiting: list[Any] = []

    def when_all_are_here(peer: Any) -> None:
        waiting.append(peer)
        while len(waiting) % 5 == 0 and waiting:
            for one in waiting[:]:
                one.write(OK)
            waiting.clear()

    async with serving(when_all_are_here) as (client, server):
        for _ in range(2):
            answers = await asyncio.gather(*(client.get("/") for _ in range(5)))
            assert [answer.text for answer in answers] == ["ok"] * 5
    assert len(server.connections) == 5


@pytest.mark.parametrize(
    "answer",
    [b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", OK.replace(b"1.1", b"1.0")],
    ids=["Connection: close", "HTTP/1.0"],
)
async def test_connection_the_server_will_close_is_not_kept(serving: Any, answer: bytes) -> None:
    """Where it says so, the next request has a new one."""
    async with serving(answer) as (client, server):
        for _ in range(2):
            assert (await client.get("/")).text == "ok"
    assert len(server.connections) == 2


async def test_connection_closed_while_idle_is_not_used(serving: Any) -> None:
    """A server that was restarted between two requests costs a new connection, and no error."""
    async with serving() as (client, server):
        await client.get("/")
        server.connections[0].transport.close()
        [kept] = client._transport._idle
        await eventually(lambda: not kept.reusable)
        assert (await client.get("/")).text == "ok"
    assert len(server.connections) == 2


async def test_connection_that_has_rested_is_not_used(serving: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server may be about to close it, and a request that it then does not answer must not be sent twice."""
    async with serving() as (client, server):
        await client.get("/")
        monkeypatch.setattr(lean, "IDLE", 0.0)
        assert (await client.get("/")).text == "ok"
    assert len(server.connections) == 2


async def test_second_answer_in_the_same_breath_ends_the_connection(serving: Any) -> None:
    """It must not become that of the next request."""
    async with serving(OK + OK.replace(b"ok", b"no")) as (client, server):
        for _ in range(2):
            assert (await client.get("/")).text == "ok"
    assert len(server.connections) == 2


async def test_connection_on_which_something_came_unasked_is_not_used(serving: Any) -> None:
    """An answer nobody asked for must not become that of the next request."""
    async with serving() as (client, server):
        await client.get("/")
        server.connections[0].write(OK.replace(b"ok", b"no"))
        await server.lost.wait()
        assert (await client.get("/")).text == "ok"
    assert len(server.connections) == 2


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n7;x=y\r\n, world\r\n0\r\n\r\n"
LONG = b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + b"x" * 300_000
BODIES: dict[str, tuple[bytes, bytes]] = {
    "content-length": (OK, b"ok"),
    "chunked": (CHUNKED, b"hello, world"),
    "empty": (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b""),
    "none": (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    "long": (LONG, b"x" * 300_000),
}


@pytest.mark.parametrize(("answer", "body"), BODIES.values(), ids=list(BODIES))
@pytest.mark.parametrize("size", [1 << 20, 7], ids=["at once", "in pieces"])
async def test_body(serving: Any, answer: bytes, body: bytes, size: int) -> None:
    """However it is framed and cut, it comes whole, and the connection is kept."""
    pieces = [answer[start : start + size] for start in range(0, min(len(answer), 200), size)]
    rest = answer[sum(map(len, pieces)) :]

    def speak(peer: Any) -> None:
        for number, piece in enumerate([*pieces, rest]):
            asyncio.get_running_loop().call_later(number / 5000, peer.write, piece)

    async with serving(speak) as (client, server):
        for _ in range(2):
            answered = await client.get("/")
            assert (answered.content, len(server.connections)) == (body, 1)


async def test_status_and_headers_come_as_sent(serving: Any) -> None:
    """An error page is an answer: its status, its type, and every header, repeated ones too."""
    page = (
        b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/html\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n"
        b"Retry-After: 3\r\nContent-Length: 13\r\n\r\n<h1>Sorry</h1"
    )
    async with serving(page) as (client, _):
        answer = await client.get("/")
    assert (answer.status_code, answer.text, answer.headers["retry-after"]) == (503, "<h1>Sorry</h1", "3")
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]


async def test_request_is_sent_whole(serving: Any) -> None:
    """Method, path with its query, headers and the body of a form: it works for a login as for `/me`."""
    async with serving() as (client, server):
        await client.post("/login?x=1&y=%20", data={"username": "grüße", "password": "p&=%"}, headers={"X-One": "1"})
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"POST /login?x=1&y=%20 HTTP/1.1"
    assert b"X-One: 1" in lines
    assert b"Content-Type: application/x-www-form-urlencoded" in lines
    assert [line for line in lines if line.lower().startswith(b"host:")] != []
    assert body == b"username=gr%C3%BC%C3%9Fe&password=p%26%3D%25"


async def test_large_body_is_sent_whole(serving: Any) -> None:
    """More than a socket takes at once."""
    body = b"x" * 3_000_000
    async with serving() as (client, server):
        assert (await client.put("/", content=body)).text == "ok"
    assert server.requests[0].endswith(body)


async def test_closed_client_keeps_no_connection(serving: Any) -> None:
    """At shutdown the idle ones are closed."""
    async with serving() as (client, server):
        await client.get("/")
        await client.aclose()
        async with asyncio.timeout(1):
            await server.lost.wait()


@pytest.mark.parametrize(
    ("address", "kind"), [("http://x:1", LeanTransport), ("https://x:1", httpx.AsyncHTTPTransport)]
)
def test_https_takes_httpx_own_transport(address: str, kind: type) -> None:
    """Plain http only: nobody's token goes out unencrypted where https was asked for."""
    assert type(transport_to(address)) is kind


async def test_cookie_of_one_answer_goes_with_no_other_request() -> None:
    """A client has many callers; what a proxy in between hands to one of them is not the next one's."""
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, headers={"Set-Cookie": "session=ann; Path=/"})

    async with client_to("http://user.test", timeout=1, transport=httpx.MockTransport(answer)) as client:
        for _ in range(2):
            await client.get("/me")
    assert [request.headers.get("Cookie") for request in asked] == [None, None]


def test_https_keeps_connections_no_longer() -> None:
    """What is at the other end there closes them after 5 seconds too."""
    transport: Any = transport_to("https://x:1")
    assert transport._pool._keepalive_expiry == lean.IDLE
