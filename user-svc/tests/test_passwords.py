"""Passwords: argon2id, off the event loop, in a bounded pool."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Literal

import pytest
from argon2 import Parameters, PasswordHasher, Type, extract_parameters

from common.errors import Unavailable, Unprocessable
from devstack.processes import wait_until
from user_svc.passwords import Passwords, normalise
from user_svc.settings import Settings

DEADLINE = 5.0

Make = Callable[..., Passwords]


class GatedHasher(PasswordHasher):
    """Verifies nothing until it is opened; `most` is the largest number of calls that were inside at once."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.opened = threading.Event()
        self.inside = self.most = 0
        self._lock = threading.Lock()

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002 - argon2's name
        """Wait, then do it."""
        with self._lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        assert self.opened.wait(DEADLINE), "the gate stayed shut: the event loop is held up"
        with self._lock:
            self.inside -= 1
        return super().verify(hash, password)


def cheap(*, passes: int = 1) -> PasswordHasher:
    """As little work as argon2id can be told to do."""
    return PasswordHasher(time_cost=passes, memory_cost=8, parallelism=1)


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop run until the condition holds."""
    assert await asyncio.to_thread(wait_until, condition, DEADLINE)


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    """A factory of pools, which are closed after the test."""
    made: list[Passwords] = []

    def make(hasher: PasswordHasher | None = None, *, threads: int = 1, queue: int = 64) -> Passwords:
        passwords = Passwords(hasher or cheap(), threads=threads, queue=queue, minimum=8)
        made.append(passwords)
        return passwords

    yield make
    for passwords in made:
        passwords.close()


async def test_a_hash_is_argon2id_with_the_settings_parameters(unconnected: Settings) -> None:
    """What is stored is argon2id, with exactly the memory, passes and lanes that were set."""
    passwords = Passwords.of(unconnected)

    found = extract_parameters(await passwords.hash("correct horse"))

    passwords.close()
    assert found == Parameters(
        type=Type.ID, version=19, salt_len=16, hash_len=32, time_cost=1, memory_cost=8, parallelism=1
    )


async def test_two_hashes_of_one_password_differ(make: Make) -> None:
    """Each hash has a salt of its own."""
    passwords = make()

    assert await passwords.hash("correct horse") != await passwords.hash("correct horse")


async def test_the_right_password_keeps_its_hash(make: Make) -> None:
    """With unchanged parameters nothing is written at login."""
    passwords = make()
    stored = await passwords.hash("correct horse")

    assert await passwords.verify(stored, "correct horse") == stored


@pytest.mark.parametrize(
    "stored", ["", "no hash", "$argon2id$v=19$m=8,t=1,p=1$c2FsdA$", "$2b$12$abcdefghijklmnopqrstuu"]
)
async def test_a_hash_that_cannot_be_read_admits_nobody(make: Make, stored: str) -> None:
    """A damaged row refuses; it is no error, and nobody's password is right."""
    assert await make().verify(stored, "correct horse") is None


async def test_a_wrong_password_is_refused(make: Make) -> None:
    """One changed letter is enough, and case counts."""
    passwords = make()
    stored = await passwords.hash("correct horse")

    assert [await passwords.verify(stored, wrong) for wrong in ("correct horsf", "Correct horse", "")] == [None] * 3


@pytest.mark.parametrize("password", ["a password that nobody has", "correct horse", ""])
async def test_nobody_logs_in_with_the_decoy(make: Make, password: str) -> None:
    """Where there is no account no password is right, the decoy's own included."""
    assert await make().verify(None, password) is None


async def test_higher_parameters_give_a_new_hash(make: Make) -> None:
    """A hash of weaker parameters is replaced by one of today's that holds the same password."""
    today = make(cheap(passes=2))
    old = await make().hash("correct horse")

    new = await today.verify(old, "correct horse")

    assert new is not None
    assert extract_parameters(new).time_cost == 2
    assert await today.verify(new, "correct horse") == new


async def test_a_wrong_password_never_gives_a_new_hash(make: Make) -> None:
    """A weak hash is no way to set a password."""
    old = await make().hash("correct horse")

    assert await make(cheap(passes=2)).verify(old, "wrong horse") is None


@pytest.mark.parametrize(
    ("typed", "stored"),
    [("\ufb01sh and chips", "fish and chips"), ("caf\u00e9 creme", "cafe\u0301 creme"), ("\uff50assword", "password")],
)
async def test_what_looks_the_same_is_the_same_password(make: Make, typed: str, stored: str) -> None:
    """Another keyboard's form of the same text logs in (NFKC)."""
    passwords = make()
    assert await passwords.verify(await passwords.hash(stored), typed) is not None


async def test_no_character_of_a_long_password_is_cut_off(make: Make) -> None:
    """The last of 1024 characters counts as much as the first."""
    passwords = make()
    stored = await passwords.hash("a" * 1024)

    assert await passwords.verify(stored, "a" * 1023 + "b") is None


@pytest.mark.parametrize(
    "acceptable",
    ["kqzvwxjp", "k\u00e9zvw\u00e0jp", "ke\u0301zvwa\u0300jp", "x" * 15, " " * 15, "x" * 1024, "e\u0301" * 1024],
)
async def test_eight_to_1024_characters_are_acceptable(make: Make, acceptable: str) -> None:
    """In characters as one sees them; there are no rules of composition."""
    await make().check(acceptable, "ann@example.com")


async def test_what_is_guessed_first_is_not(make: Make) -> None:
    """The refusal has the code asked for, and the reason."""
    with pytest.raises(Unprocessable) as refusal:
        await make().check("margaret7!", "Margaret@example.com", code="OTHER")

    reason = "a password must not be made of the e-mail address"
    assert (refusal.value.code, refusal.value.members) == ("OTHER", {"reason": reason})


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("", "a password needs at least 8 characters"),
        ("1234567", "a password needs at least 8 characters"),
        ("e\u0301" * 7, "a password needs at least 8 characters"),
        ("x" * 1025, "a password has at most 1024 characters"),
        ("\ufdfa" * 57, "a password has at most 1024 characters"),
        ("e\u0301" * 1025, "a password has at most 1024 characters"),
    ],
    ids=lambda value: f"{len(value)}",
)
async def test_other_lengths_are_refused_with_the_reason(make: Make, password: str, reason: str) -> None:
    """The refusal has FastAPI-Users' code, and says which bound was missed."""
    with pytest.raises(Unprocessable) as refusal:
        await make().check(password, "ann@example.com")

    assert (refusal.value.code, refusal.value.members) == ("REGISTER_INVALID_PASSWORD", {"reason": reason})


async def test_a_hostile_text_is_not_normalised_at_length(make: Make) -> None:
    """Reordering accents takes the square of their number: 64 KiB of them would stop the process for a second."""
    passwords, hostile = make(), "a" + "\u0315\u0327" * 16_000
    stored = await passwords.hash("correct horse")
    started = time.process_time()

    with suppress(Unprocessable):
        await passwords.check(hostile, "ann@example.com")
    verdict = await passwords.verify(stored, hostile)

    assert verdict is None
    assert time.process_time() - started < 0.5


async def test_hashing_leaves_the_event_loop_free(make: Make) -> None:
    """While passwords are verified, the loop goes on: were it held up, the gate could not be opened."""
    hasher = GatedHasher()
    passwords = make(hasher, threads=2)
    logins = [asyncio.create_task(passwords.verify(None, "x")) for _ in range(10)]

    await until(lambda: hasher.inside == 2)
    hasher.opened.set()

    assert await asyncio.gather(*logins) == [None] * 10


async def test_no_more_run_at_once_than_there_are_threads(make: Make) -> None:
    """Many logins cannot take every core, or the memory of more than `threads` hashes."""
    hasher = GatedHasher()
    passwords = make(hasher, threads=2)
    logins = [asyncio.create_task(passwords.verify(None, "x")) for _ in range(20)]
    await until(lambda: hasher.inside == 2)
    hasher.opened.set()

    await asyncio.gather(*logins)

    assert hasher.most == 2


@contextmanager
def is_full() -> Iterator[None]:
    """The block must be refused at once, with a time to come back."""
    with pytest.raises(Unavailable) as refusal:
        yield
    assert (refusal.value.status, refusal.value.headers) == (503, {"Retry-After": "2"})


async def test_a_full_queue_refuses_at_once(make: Make) -> None:
    """One more than threads and queue hold is 503 with Retry-After; when there is room again, it is served."""
    hasher = GatedHasher()
    passwords = make(hasher, threads=1, queue=2)
    waiting = [asyncio.create_task(passwords.verify(None, "x")) for _ in range(3)]
    await until(lambda: hasher.inside == 1)

    with is_full():
        await passwords.verify(None, "x")
    with is_full():
        await passwords.hash("correct horse")
    hasher.opened.set()

    assert await asyncio.gather(*waiting) == [None] * 3
    assert await passwords.verify(None, "x") is None


async def test_a_caller_that_goes_away_keeps_its_place(make: Make) -> None:
    """The thread works on when its caller is gone: cancelled requests cannot pile up more work than the queue holds."""
    hasher = GatedHasher()
    passwords = make(hasher, threads=1, queue=1)
    waiting = [asyncio.create_task(passwords.verify(None, "x")) for _ in range(2)]
    await until(lambda: hasher.inside == 1)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)

    with is_full():
        await passwords.verify(None, "x")

    hasher.opened.set()
    await until(lambda: _is_free(passwords))
    assert await passwords.verify(None, "x") is None


async def test_closing_ends_the_threads(make: Make) -> None:
    """After shutdown no thread of the pool is left to hold the process up."""
    passwords = make()
    await passwords.hash("correct horse")
    before = _threads()

    passwords.close()

    assert before
    await until(lambda: not _threads())


def test_normalising_twice_changes_nothing() -> None:
    """The form that is hashed is stable."""
    text = "\ufb01\u00e9e\u0301\ufdfa"
    assert normalise(normalise(text)) == normalise(text)


def _threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("argon2")]


def _is_free(passwords: Passwords) -> bool:
    return passwords._places == 2
