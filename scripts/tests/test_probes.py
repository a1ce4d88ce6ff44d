"""Does it answer: what counts, and what does not."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from devstack.probes import redis_answers


@contextmanager
def saying(answer: bytes) -> Iterator[int]:
    """A server that says the same to everybody, and its port."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(64)
            self.request.sendall(answer)

    with socketserver.TCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.mark.parametrize(
    ("answer", "awake"),
    [
        (b"+OK\r\n+PONG\r\n", True),
        (b"+OK\r\n-LOADING Valkey is loading the dataset in memory\r\n", False),
        (b"-WRONGPASS invalid\r\n-NOAUTH Authentication required.\r\n", False),
        (b"", False),
    ],
)
def test_redis_with_a_password(answer: bytes, *, awake: bool) -> None:
    """One that still loads takes the password, and no command."""
    with saying(answer) as port:
        assert redis_answers(port, "secret") is awake


@pytest.mark.parametrize(("answer", "awake"), [(b"+PONG\r\n", True), (b"-LOADING\r\n", False), (b"-NOAUTH\r\n", False)])
def test_redis_without_one(answer: bytes, *, awake: bool) -> None:
    """One that wants a password does not answer who has none."""
    with saying(answer) as port:
        assert redis_answers(port) is awake
