"""The data folder of one `up`: made private, held by one at a time, announced to `stack`."""

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from devstack import places
from devstack.processes import StackError

LOCK = "up.lock"


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Make the folder and keep every other `up` off it, until the block ends or this process does."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (folder / LOCK).exists() and any(folder.iterdir()):
            raise StackError(f"{folder} holds other things: choose an empty folder with --data")
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StackError(f"cannot write to {folder} ({error.strerror}): choose another folder with --data") from error
    try:
        _lock(lock, folder)
        yield
    finally:
        os.close(lock)


def _lock(lock: int, folder: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.read(lock, 32).decode(errors="replace").strip()
        raise StackError(
            f"another `up` (pid {holder}) runs on {folder}: stop it, or choose another folder with --data"
        ) from error
    os.truncate(lock, 0)
    os.write(lock, str(os.getpid()).encode())


@contextlib.contextmanager
def announced(folder: Path) -> Iterator[None]:
    """Leave a note where `stack` looks; in a read-only project `--data` still finds the folder."""
    note = places.RUN / f"{hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]}.stack"
    with contextlib.suppress(OSError):
        places.RUN.mkdir(exist_ok=True)
        note.write_bytes(os.fsencode(folder))
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            note.unlink()


def rotate_logs(folder: Path) -> None:
    """Begin new logs; those of the run before stay as `.log.1`."""
    (folder / "logs").mkdir(exist_ok=True)
    for log in (folder / "logs").glob("*.log"):
        log.replace(log.with_suffix(".log.1"))
