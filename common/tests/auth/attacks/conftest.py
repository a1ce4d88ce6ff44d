"""A guarded service on a socket, for attacks as bytes."""

import json
import socket
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
import pytest
import redis
import uvicorn
from litestar import get
from litestar.types import ASGIApp, Receive, Scope, Send

from common.auth import AuthenticatedRequest, KeyRing
from common.auth.remote import GuardedSettings, remote_auth
from common.dto import User
from common.service import create_service
from common.testing import FlakyTransport
from common.values import DatabaseUrl, HttpUrl, RedisUrl
from devstack.embedded import Valkey
from devstack.ports import free_port
from devstack.processes import wait_until

# Of connections, not of decisions; what a script does counts by itself.
PLUMBING = {"auth", "client", "eval", "hello", "info", "persist", "ping", "select", "subscribe"}


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: dict[str, Any]


class Running:
    """A guarded service on a port of its own, and what it asks of others."""

    def __init__(self, server: Valkey, keys: KeyRing, user: User) -> None:
        self.port = free_port()
        self.redis = redis.Redis.from_url(server.url)
        self.user_svc = FlakyTransport(_finding(user))
        self.settings = GuardedSettings(
            database_url=DatabaseUrl.parse("postgresql://127.0.0.1:1/none"),
            redis_url=RedisUrl.parse(server.url),
            jwt_keys=keys,
            user_svc_url=HttpUrl.parse("http://user.test"),
            log_level="ERROR",
        )
        self.ran = 0

    def asked(self) -> int:
        """Commands to Redis that belong to a decision, and questions to user-svc."""
        statistics: Any = self.redis.info("commandstats")
        calls: dict[str, int] = {name.removeprefix("cmdstat_"): told["calls"] for name, told in statistics.items()}
        return sum(calls[name] for name in calls if name.split("|")[0] not in PLUMBING) + self.user_svc.asked

    def app(self) -> ASGIApp:
        """One guarded route that tells whether it ran."""

        @get("/secret", sync_to_thread=False)
        def secret(request: AuthenticatedRequest) -> str:
            self.ran += 1
            return str(request.user.id)

        guard = remote_auth(self.settings, transport=self.user_svc)
        return create_service("svc-common", settings=self.settings, routes=[secret], auth=guard)

    def send(self, *headers: bytes, target: bytes = b"/secret") -> Answer:
        """Write a request as it is, and read the answer."""
        head = [b"GET " + target + b" HTTP/1.1", b"Host: service.test", b"Connection: close", *headers, b"", b""]
        with socket.create_connection(("127.0.0.1", self.port), 5) as connection:
            connection.sendall(b"\r\n".join(head))
            with connection.makefile("rb") as stream:
                first, *lines = stream.read().partition(b"\r\n\r\n")[0::2]
        status, *fields = first.decode("latin-1").split("\r\n")
        named = (field.partition(": ")[::2] for field in fields)
        body = json.loads(lines[0]) if lines[0].startswith(b"{") else {}
        return Answer(int(status.split()[1]), {name.lower(): value for name, value in named}, body)

    def bear(self, token: bytes) -> Answer:
        """The same with this bearer token."""
        return self.send(b"Authorization: Bearer " + token)


def _finding(user: User) -> ASGIApp:
    """A user-svc that finds everybody in good standing."""

    async def me(_scope: Scope, _receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": msgspec.json.encode(user), "more_body": False})

    return me


@pytest.fixture(scope="module")
def service(valkey_server: Valkey, ring: KeyRing, user: User) -> Iterator[Running]:
    """The service, in a thread with an event loop of its own; nothing stands between it and the socket."""
    valkey_server.resume()
    if not valkey_server.alive:
        valkey_server.start()
    running = Running(valkey_server, ring, user)
    server = uvicorn.Server(uvicorn.Config(running.app(), port=running.port, log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    assert wait_until(lambda: server.started, 10)
    yield running
    server.should_exit = True
    thread.join()
    running.redis.close()
