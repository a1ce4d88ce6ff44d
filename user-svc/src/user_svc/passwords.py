"""Passwords: argon2id off the event loop, in a small pool with a short queue, so that logins slow nobody else."""

import asyncio
import os
import sys
import threading
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final, Self, TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from common.errors import Unavailable, Unprocessable
from user_svc.settings import Settings
from user_svc.weakness import weakness

T = TypeVar("T")

MAXIMUM: Final = 1024  # characters; none is ever cut off
UNREAD: Final = 2 * MAXIMUM  # characters past which none is looked at: NFKC takes the square of a run of accents
RETRY_AFTER: Final = 2  # seconds
NICE: Final = 19  # so that `/me` keeps its p99 in a storm of logins, and these still go on where it takes a whole core


class Passwords:
    """Hashes and verifies; at most `queue` calls wait for `threads` workers."""

    def __init__(self, hasher: PasswordHasher, *, threads: int, queue: int, minimum: int) -> None:
        self._hasher = hasher
        self._minimum = minimum
        self._places = threads + queue
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="argon2", initializer=_step_back)
        self._decoy = hasher.hash("a password that nobody has")

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The pool and parameters these settings describe."""
        hasher = PasswordHasher(
            time_cost=settings.argon2_passes,
            memory_cost=settings.argon2_memory_kib,
            parallelism=settings.argon2_lanes,
            type=Type.ID,
        )
        return cls(
            hasher,
            threads=min(settings.password_threads, _cores()),
            queue=settings.password_queue,
            minimum=settings.password_minimum,
        )

    async def hash(self, password: str) -> str:
        """The argon2id hash in its own text form (PHC string format).

        Raises:
            Unavailable: the queue is full.

        """
        return await self._in_thread(lambda: self._hasher.hash(normalise(password)))

    async def verify(self, password_hash: str | None, password: str) -> str | None:
        """The hash to keep: this one, or a new one where the parameters have risen since; None for a wrong password.

        Without a hash (nobody has this address) a decoy is verified, so that the time tells nothing.
        """
        if len(password) > UNREAD:
            password_hash, password = None, ""
        return await self._in_thread(lambda: self._verify(password_hash, normalise(password)))

    async def check(self, password: str, email: str, *, code: str = "REGISTER_INVALID_PASSWORD") -> None:
        """Refuse a password of a wrong length, a common one, and one made of this e-mail address (see `weakness`).

        There are no rules of composition (NIST SP 800-63B).

        Raises:
            Unprocessable: with `code` and the reason.
            Unavailable: the queue is full.

        """
        reason = self._length(password) or await self._in_thread(
            lambda: weakness(normalise(password), normalise(email), minimum=self._minimum)
        )
        if reason:
            raise Unprocessable("the password is not acceptable", code=code, members={"reason": reason})

    def close(self) -> None:
        """End the pool's threads."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _length(self, password: str) -> str | None:
        length = len(normalise(password)) if len(password) <= UNREAD else len(password)
        if length < self._minimum:
            return f"a password needs at least {self._minimum} characters"
        return f"a password has at most {MAXIMUM} characters" if length > MAXIMUM else None

    def _verify(self, password_hash: str | None, password: str) -> str | None:
        try:
            self._hasher.verify(self._decoy if password_hash is None else password_hash, password)
        except (VerificationError, InvalidHashError):
            return None
        if password_hash is not None and self._hasher.check_needs_rehash(password_hash):
            return self._hasher.hash(password)
        return password_hash

    async def _in_thread(self, work: Callable[[], T]) -> T:
        if self._places <= 0:
            raise Unavailable("too many passwords are being checked right now", retry_after=RETRY_AFTER)
        self._places -= 1
        future = asyncio.get_running_loop().run_in_executor(self._executor, work)
        future.add_done_callback(self._leave)
        return await asyncio.shield(future)

    def _leave(self, _future: asyncio.Future[T]) -> None:
        self._places += 1


def _cores() -> int:
    """How many this process may use: two that hash on one core take each other's cache, and turns of the loop's."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _step_back() -> None:
    """Let whoever has little to do, as the event loop has, go first; Linux gives each thread a priority of its own."""
    if sys.platform != "linux":
        return
    with suppress(OSError):  # a sandbox may refuse
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)


def normalise(password: str) -> str:
    """One form for what looks the same on any keyboard (NIST SP 800-63B section 5.1.1.2)."""
    return unicodedata.normalize("NFKC", password)
