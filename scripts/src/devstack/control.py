"""The way from any terminal to a running `up`: a socket in its data folder, one request per connection."""

import contextlib
import json
import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from devstack.processes import StackError

SOCKET = "control.sock"
DESCRIPTORS = Path("/proc/self/fd")  # Linux
# Above the slowest command: a clean stop that is given up, then killed.
PATIENCE = 90.0


@contextlib.contextmanager
def address(folder: Path) -> Iterator[str]:
    """A name of the folder's socket, valid inside the block, within the 100 bytes its path may have."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    before = None
    try:
        if DESCRIPTORS.exists():
            yield f"{DESCRIPTORS}/{descriptor}/{SOCKET}"
        else:
            before = Path.cwd()
            os.chdir(descriptor)
            yield SOCKET
    finally:
        os.close(descriptor)
        if before:
            os.chdir(before)


def listens(folder: Path) -> bool:
    """Whether an `up` runs on this folder."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection, address(folder) as path:
            connection.connect(path)
    except OSError:
        return False
    return True


def ask(folder: Path, verb: str, name: str | None = None, variables: Mapping[str, str] | None = None) -> Any:
    """Have the `up` of this folder do it; return its answer when it is done. `variables` are for `start`."""
    request = {"verb": verb, "name": name, "variables": dict(variables or {})}
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(PATIENCE)
            with address(folder) as path:
                connection.connect(path)
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as answers:
                answer = json.loads(answers.readline() or b'{"error": "the stack ended meanwhile"}')
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError) as error:
        raise StackError(f"no stack runs on {folder}: start one with ./scripts/up") from error
    except PermissionError as error:
        raise StackError(f"the stack on {folder} belongs to another user") from error
    except TimeoutError as error:
        raise StackError(f"the stack on {folder} did not answer within {PATIENCE:.0f} seconds") from error
    if "error" in answer:
        raise StackError(answer["error"])
    return answer["done"]
