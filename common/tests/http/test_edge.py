"""The edge: every answer carries its request's id and the security headers, and is counted and logged."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import msgspec
import pytest
import uvicorn
from litestar import Litestar, Response, get, post
from litestar.params import FromPath, JSONBody
from litestar.types import Message, Receive, Scope, Send
from prometheus_client import REGISTRY

from common.auth import PUBLIC
from common.http.edge import Edge
from common.http.problems import MEDIA_TYPE
from common.shutdown import Drain
from common.telemetry import trace
from common.telemetry.access import AccessLog
from common.testing import Logs, client_of, eventually
from devstack.ports import free_port

Build = Callable[..., Litestar]


@get("/open/{number:int}", opt={"auth": PUBLIC}, sync_to_thread=False)
def opened(number: FromPath[int]) -> dict[str, str]:
    """Say which request this is."""
    found = trace.current()
    return {"number": str(number), "request_id": found.request_id if found else ""}


@get("/cached", opt={"auth": PUBLIC}, sync_to_thread=False)
def cached() -> Response[str]:
    """An answer with headers of its own."""
    return Response("x", headers={"Cache-Control": "public", "Content-Security-Policy": "default-src 'self'"})


@get("/broken", opt={"auth": PUBLIC}, sync_to_thread=False)
def broken() -> None:
    """A fault of ours."""
    raise RuntimeError("geheim")


async def ask(build: Build, path: str, method: str = "GET", **words: str) -> httpx.Response:
    """One request with these headers."""
    headers = {word.replace("_", "-"): value for word, value in words.items()}
    async with client_of(build(opened, cached, broken)) as client:
        return await client.request(method, path, headers=headers)


ANSWERS = [
    ("GET", "/open/1", 200),
    ("GET", "/nowhere", 404),
    ("DELETE", "/open/1", 405),
    ("GET", "/open/x", 404),
    ("GET", "/broken", 500),
    ("GET", "/health/live", 200),
    ("GET", "/metrics", 200),
    ("GET", "/docs", 200),
    ("OPTIONS", "/open/1", 401),
]


@pytest.mark.parametrize(("method", "path", "status"), ANSWERS)
async def test_every_answer_is_dressed(build: Build, method: str, path: str, status: int) -> None:
    """Request id, no sniffing, no referrer, a policy, no caching: on errors and on pages alike."""
    answer = await ask(build, path, method, X_Request_ID="request-1")
    assert answer.status_code == status
    assert answer.headers["X-Request-ID"] == "request-1"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Cache-Control"] == "no-store"


async def test_answers_own_headers_stand(build: Build) -> None:
    """What a route says of caching and policy is not said twice."""
    answer = await ask(build, "/cached")
    assert answer.headers.get_list("Cache-Control") == ["public"]
    assert answer.headers.get_list("Content-Security-Policy") == ["default-src 'self'"]


async def test_requests_have_ids_of_their_own(build: Build) -> None:
    """Made where none came along, and the same inside and outside."""
    first, second = await ask(build, "/open/1"), await ask(build, "/open/1")
    assert first.headers["X-Request-ID"] == first.json()["request_id"]
    assert len({first.headers["X-Request-ID"], second.headers["X-Request-ID"]}) == 2


@pytest.mark.parametrize("sent", ["short", "x" * 129, "with space1", 'quote"123', "a\tbcdefgh"])
async def test_odd_id_is_not_taken_over(build: Build, sent: str) -> None:
    """It goes into logs and headers: only what is well formed gets there."""
    answer = await ask(build, "/open/1", X_Request_ID=sent)
    assert answer.headers["X-Request-ID"] != sent
    assert len(answer.headers["X-Request-ID"]) == 36


def counted(**labels: str) -> float:
    """How many requests of this kind were answered."""
    return REGISTRY.get_sample_value("http_requests_total", labels) or 0.0


@pytest.mark.parametrize(
    ("method", "path", "labels"),
    [
        ("GET", "/open/1", {"method": "GET", "route": "/open/{number}", "status": "200"}),
        ("GET", "/nowhere-" + "x" * 50, {"method": "GET", "route": "(none)", "status": "404"}),
        ("BREW", "/nowhere", {"method": "other", "route": "(none)", "status": "404"}),
        ("GET", "/broken", {"method": "GET", "route": "/broken", "status": "500"}),
    ],
)
async def test_requests_are_counted_by_route(build: Build, method: str, path: str, labels: dict[str, str]) -> None:
    """By template and known method: a scanner cannot fill the metrics with names."""
    before = counted(**labels)
    await ask(build, path, method)
    assert counted(**labels) == before + 1
    assert REGISTRY.get_sample_value("http_request_seconds_count", {"route": labels["route"]})


async def test_requests_are_logged(build: Build, logs: Logs) -> None:
    """One line each: what, how it ended, how long it took, under its id, and neither query nor header."""
    await ask(build, "/open/1?token=geheim", Authorization="Bearer geheim", X_Request_ID="request-1")
    (line,) = logs.lines
    assert line.pop("ms") >= 0
    assert line.pop("timestamp")
    assert line == {
        "event": "request",
        "level": "info",
        "service": "svc-common",
        "request_id": "request-1",
        "method": "GET",
        "path": "/open/1",
        "route": "/open/{number}",
        "status": 200,
    }


async def test_lines_can_be_turned_off(build: Build, settings: Any, logs: Logs) -> None:
    """`ACCESS_LOG=false`: a proxy in front may write them already; faults are told all the same."""
    async with client_of(build(opened, broken, settings=msgspec.structs.replace(settings, access_log=False))) as client:
        await client.get("/open/1")
        assert logs.text == ""
        await client.get("/broken")
    assert [line["event"] for line in logs.lines] == ["request failed"]


@post("/taken", opt={"auth": PUBLIC}, sync_to_thread=False)
def taken(data: JSONBody[dict[str, str]]) -> dict[str, str]:
    """What came."""
    return data


async def test_a_client_that_leaves_in_mid_body(build: Build, logs: Logs) -> None:
    """Over a real socket: no fault of ours, in the log as in the metrics; its line says that there was no answer."""
    labels = {"method": "POST", "route": "/taken"}
    before = [counted(**labels, status=status) for status in ("0", "400", "500")]
    server = uvicorn.Server(uvicorn.Config(build(taken), port=free_port(), lifespan="off", log_config=None))
    serving = asyncio.ensure_future(server.serve())
    await eventually(lambda: server.started)
    _, writer = await asyncio.open_connection("127.0.0.1", server.config.port)
    writer.write(b"POST /taken HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{")
    await writer.drain()
    writer.close()
    await eventually(lambda: counted(**labels, status="0") == before[0] + 1)
    server.should_exit = True
    await serving
    assert [counted(**labels, status=status) for status in ("400", "500")] == before[1:]
    told = [line for line in logs.lines if line["level"] != "info" or "status" in line]  # uvicorn has a word too
    assert [(line["event"], line["status"]) for line in told] == [("request", 0)]


class Recorder:
    """Sends a request through an edge around any application, and keeps what comes out."""

    def __init__(self, app: Any) -> None:
        self.edge = Edge(app, access_log=AccessLog("test", form="json"), drain=Drain(0))
        self.messages: list[Message] = []

    async def request(self, path: str = "/päth", kind: str = "http") -> None:
        """One request."""
        scope: Any = {"type": kind, "method": "GET", "path": path, "headers": [(b"x-request-id", b"request-1")]}
        await self.edge(scope, self._receive, self._send)

    async def _receive(self) -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def _send(self, message: Message) -> None:
        self.messages.append(message)


async def fail(_scope: Scope, _receive: Receive, _send: Send) -> None:
    """An application that breaks before it answers."""
    raise RuntimeError("geheim")


async def fail_late(_scope: Scope, _receive: Receive, send: Send) -> None:
    """One that breaks in the middle of its answer."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    raise RuntimeError("geheim")


async def test_fault_outside_every_route_is_a_problem_too(logs: Logs, build: Build) -> None:
    """The last resort: a 500 like any other, and the fault in the log."""
    build()
    recorder = Recorder(fail)
    await recorder.request()
    await asyncio.sleep(0)  # the access line leaves at the end of the turn
    start: Any = recorder.messages[0]
    body: Any = recorder.messages[1]
    headers = dict(start["headers"])
    assert (start["status"], headers[b"content-type"].decode()) == (500, MEDIA_TYPE)
    assert headers[b"x-request-id"] == b"request-1"
    assert int(headers[b"content-length"]) == len(body["body"])
    assert msgspec.json.decode(body["body"]) == {
        "type": "about:blank",
        "title": "Internal Server Error",
        "status": 500,
        "detail": "something went wrong on our side",
        "instance": "/p%C3%A4th",
        "code": "INTERNAL_ERROR",
        "request_id": "request-1",
    }
    assert [line["event"] for line in logs.lines] == ["request failed", "request"]
    assert logs.lines[0]["exception"][0] == "RuntimeError: geheim"
    assert logs.lines[1]["status"] == 500


async def test_fault_in_the_middle_is_the_servers(logs: Logs, build: Build) -> None:
    """An answer that has begun cannot be taken back: the server is told, and breaks the connection."""
    build()
    recorder = Recorder(fail_late)
    with pytest.raises(RuntimeError):
        await recorder.request()
    assert [message["type"] for message in recorder.messages] == ["http.response.start"]
    await asyncio.sleep(0)
    assert [(line["event"], line["status"]) for line in logs.lines] == [("request", 200)]


async def test_client_that_goes_away_is_counted_as_such(logs: Logs, build: Build) -> None:
    """Its request ends without an answer: status 0, and no fault."""
    build()

    async def never(_scope: Scope, _receive: Receive, _send: Send) -> None:
        await asyncio.Event().wait()

    asking = asyncio.create_task(Recorder(never).request())
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.wait({asking})
    assert asking.cancelled()
    await asyncio.sleep(0)
    assert [(line["event"], line["status"]) for line in logs.lines] == [("request", 0)]


async def test_other_than_http_passes_untouched() -> None:
    """The lifespan is no request."""
    kinds: list[str] = []

    async def note(scope: Scope, _receive: Receive, _send: Send) -> None:
        kinds.append(scope["type"])

    await Recorder(note).request(kind="lifespan")
    assert kinds == ["lifespan"]
