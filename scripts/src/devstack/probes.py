"""Does a server answer? Asked over plain sockets, so that no driver is needed and a poll costs nothing."""

import http.client
import socket
import struct

PROTOCOL = 196608  # PostgreSQL's 3.0
TIMEOUT = 1.0


def postgres_answers(port: int, host: str = "127.0.0.1") -> bool:
    """True when the server asks for a password; one that still starts up answers with an error."""
    body = struct.pack("!I", PROTOCOL) + b"user\0app\0database\0postgres\0\0"
    return _ask(host, port, struct.pack("!I", len(body) + 4) + body).startswith(b"R")


def redis_answers(port: int, password: str = "", host: str = "127.0.0.1") -> bool:
    """True when PING is answered; one that loads its data takes a password, and then says LOADING."""
    if not password:
        return _ask(host, port, b"PING\r\n").startswith(b"+PONG")
    return _ask(host, port, f"AUTH {password}\r\nPING\r\n".encode()).startswith(b"+OK\r\n+PONG")


def http_status(port: int, path: str, host: str = "127.0.0.1", timeout: float = TIMEOUT) -> int | None:
    """The status of a GET, or None when nobody answers."""
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def _ask(host: str, port: int, question: bytes) -> bytes:
    try:
        with socket.create_connection((host, port), TIMEOUT) as connection:
            connection.sendall(question)
            return connection.recv(64)
    except OSError:
        return b""
