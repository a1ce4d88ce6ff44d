"""Traces: one request is one trace through both services, told to a collector, with nothing personal in it."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from uuid import uuid4

import httpx
import jwt
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from redis import Redis

from common.auth.standing import key
from devstack.fixtures import bare_environment
from devstack.ports import free_port
from devstack.processes import wait_until

pytestmark = pytest.mark.e2e

TRACE, REGISTRATION = uuid4().hex, uuid4().hex
CALLER = "00f067aa0ba902b7"
PARENT = {"traceparent": f"00-{TRACE}-{CALLER}-01"}
REGISTERING = {"traceparent": f"00-{REGISTRATION}-{CALLER}-01"}
EMAIL = "ann.trace@example.com"
PASSWORD = "correct-horse-battery"


class Collector(BaseHTTPRequestHandler):
    """Keeps what it is sent."""

    bodies: ClassVar[list[bytes]] = []

    def do_POST(self) -> None:
        """OTLP over HTTP."""
        assert self.path == "/v1/traces"
        self.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Silent."""


@pytest.fixture
def collector() -> Iterator[str]:
    """Its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def services(pair_variables: dict[str, str], user_dsn: str, collector: str) -> Iterator[tuple[str, str]]:
    """The addresses of user-svc and todo-svc, each a process that tells the collector."""
    user, todo = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    both = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector, "OTEL_BSP_SCHEDULE_DELAY": "20", "LOG_LEVEL": "WARNING"}
    own = {"ARGON2_MEMORY_KIB": "8", "ARGON2_PASSES": "1", "DATABASE_URL": user_dsn, "MAIL_FOLDER": "/nonexistent"}
    with (
        serving("user_svc", user, pair_variables | both | own),
        serving("todo_svc", todo, pair_variables | both | {"USER_SVC_URL": user}),
    ):
        assert wait_until(lambda: _is_ready(user) and _is_ready(todo), 20)
        yield user, todo


@contextmanager
def serving(module: str, url: str, variables: dict[str, str]) -> Iterator[None]:
    """A service in a process of its own."""
    command = [sys.executable, "-m", module, "serve", "--port", url.rpartition(":")[2]]
    with subprocess.Popen(command, env=bare_environment(**variables)) as process:
        try:
            yield
        finally:
            process.terminate()


def test_one_trace(services: tuple[str, str], redis_url: str) -> None:
    """From the caller through todo-svc, its Redis and its PostgreSQL, to user-svc and its own, however it asks them."""
    user, todo = services
    account = {"email": EMAIL, "password": PASSWORD}
    httpx.post(f"{user}/auth/register", json=account, headers=REGISTERING).raise_for_status()
    login = {"username": EMAIL, "password": PASSWORD}
    token = httpx.post(f"{todo}/auth/jwt/login", data=login).json()["access_token"]
    with Redis.from_url(redis_url) as redis:  # so that user-svc has to be asked
        redis.delete(key(jwt.decode(token, options={"verify_signature": False})["sid"]))
    headers = {"Authorization": f"Bearer {token}", **PARENT}
    answer = httpx.get(f"{todo}/lists", headers=headers, params={"limit": 7})
    assert (answer.status_code, answer.headers["x-auth-source"]) == (200, "user-svc")
    assert wait_until(lambda: len(spans()) >= 7, 5), [(service, span.name) for service, span in spans()]
    registration = {span.name: span for _, span in spans(REGISTRATION)}
    for name in ("EVAL", "BEGIN", "INSERT", "COMMIT"):  # the throttle, and the unit of work
        assert registration[name].parent_span_id == registration["POST /auth/register"].span_id

    found = {(service, span.name): span for service, span in spans()}
    request, asked, me = found["todo-svc", "GET /lists"], found["todo-svc", "GET /me"], found["user-svc", "GET /me"]
    assert request.parent_span_id.hex() == CALLER
    for child in (found["todo-svc", "MGET"], found["todo-svc", "SELECT"], asked):
        assert child.parent_span_id == request.span_id
    assert me.parent_span_id == asked.span_id
    assert found["user-svc", "SELECT"].parent_span_id == me.span_id
    kinds = [Span.SPAN_KIND_SERVER, Span.SPAN_KIND_CLIENT, Span.SPAN_KIND_SERVER]
    assert [span.kind for span in (request, asked, me)] == kinds
    told = {"http.request.method": "GET", "http.route": "/lists", "http.response.status_code": "200"}
    assert attributes(request) == told
    everything = b"".join(Collector.bodies)
    for secret in (token, PASSWORD, EMAIL, "limit=7"):
        assert secret.encode() not in everything


def spans(trace: str = TRACE) -> list[tuple[str, Span]]:
    """Those of a trace, each with its service."""
    requests = [ExportTraceServiceRequest.FromString(body) for body in Collector.bodies]
    return [
        (next(each.value.string_value for each in part.resource.attributes if each.key == "service.name"), span)
        for request in requests
        for part in request.resource_spans
        for scope in part.scope_spans
        for span in scope.spans
        if span.trace_id.hex() == trace
    ]


def attributes(span: Span) -> dict[str, str]:
    """Its attributes, as text."""
    return {each.key: each.value.string_value or str(each.value.int_value) for each in span.attributes}


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health/ready").is_success
    except httpx.TransportError:
        return False
