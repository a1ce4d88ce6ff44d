"""The threads that hash: they come after everybody else."""

import os
import sys
import threading

import pytest
from argon2 import PasswordHasher

from user_svc.passwords import NICE, Passwords
from user_svc.settings import Settings


def priority() -> int:
    """Of the calling thread, where the system tells threads apart."""
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id() if sys.platform == "linux" else 0)


@pytest.mark.parametrize(("cores", "threads"), [({3}, 1), ({0, 1}, 2), ({0, 1, 2, 3}, 2)])
def test_no_more_threads_than_cores(
    unconnected: Settings, monkeypatch: pytest.MonkeyPatch, cores: set[int], threads: int
) -> None:
    """PASSWORD_THREADS is what at most there are: a process that is given one core hashes one password at a time."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: cores, raising=False)
    passwords = Passwords.of(unconnected)
    assert passwords._executor._max_workers == threads
    passwords.close()


async def test_hashing_steps_back() -> None:
    """A storm of logins leaves the processor to the event loop whenever that has something to do (on Linux)."""
    mine = priority()
    passwords = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1), threads=1, queue=1, minimum=8)
    assert await passwords._in_thread(priority) == (max(NICE, mine) if sys.platform == "linux" else mine)
    assert priority() == mine
    passwords.close()
