"""TCP ports: one that is free and stays ours, and whether somebody has one already."""

import errno
import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path

# Below Linux' ephemeral range: a client that polls a port of that range can meet, or become, its own peer.
FIRST, LAST = 20000, 32000

_claims: set[int] = set()
_claim_file: list[int] = []


def free_port() -> int:
    """A port nobody listens on, claimed until this process ends: parallel test runs choose others."""
    for port in random.sample(range(FIRST, LAST), 500):
        if port not in _claims and _claim(port) and not refusal(port):
            _claims.add(port)
            return port
    raise OSError(f"no free port between {FIRST} and {LAST}")


def refusal(port: int) -> str | None:
    """Why 127.0.0.1:port cannot be listened on; None when it can."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError as error:
            return "is taken" if error.errno == errno.EADDRINUSE else f"is refused ({error.strerror})"
    return None


def _claim(port: int) -> bool:
    """Lock the byte at offset `port` of a file all our processes share; the system lets go when we end."""
    if not _claim_file:
        path = Path(tempfile.gettempdir()) / f"gatehouse-ports-{os.getuid()}"
        _claim_file.append(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600))
    try:
        fcntl.lockf(_claim_file[0], fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    return True
