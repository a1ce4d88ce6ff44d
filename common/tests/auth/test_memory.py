"""What a process remembers: good for a second while the channel is heard, dead for as long as it matters."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from msgspec.structs import replace

from common.auth import Principal, Source, memory
from common.auth.memory import SIGNATURE, StandingMemory
from common.auth.standing import Standing, standing
from common.testing import a_user

SESSION = uuid4()
HEADER = b"Bearer a-token"


class Mind(StandingMemory):
    """A memory that listens, with both its clocks."""

    def __init__(self) -> None:
        super().__init__(clock=lambda: self.time, now=lambda: self.time)
        self.time = 1000.0
        self.listening = True

    def learn(self, session: UUID = SESSION, *, as_of: float = 1000.0, **changes: Any) -> Standing:
        """A good standing that was true then."""
        good = standing(a_user(**changes), as_of)
        self.remember(session, good)
        return good

    def meet(self, good: Standing, session: UUID = SESSION, header: bytes = HEADER) -> Principal:
        """A caller judged by this standing."""
        principal = Principal(good.id, session, Source.MEMORY, good.as_of, good)
        self.remember_caller(header, principal)
        return principal


@pytest.fixture
def mind() -> Mind:
    """It knows nobody."""
    return Mind()


def test_good_holds_for_a_second(mind: Mind) -> None:
    """Not for longer: an announcement that was lost costs a second at most."""
    good = mind.learn()
    mind.time += 0.99
    assert mind.good(SESSION) is good
    mind.time += 0.01
    assert mind.good(SESSION) is None


def test_good_counts_only_while_listening(mind: Mind) -> None:
    """Without the channel nobody would tell that a session has ended."""
    good = mind.learn()
    mind.meet(good)
    mind.listening = False
    assert (mind.good(SESSION), mind.caller(HEADER)) == (None, None)


def test_nothing_is_learnt_while_not_listening(mind: Mind) -> None:
    """What was learnt before the channel was heard may be out of date when it is."""
    mind.listening = False
    mind.learn()
    mind.listening = True
    assert mind.good(SESSION) is None


def test_tombstone_counts_whether_listening_or_not(mind: Mind) -> None:
    """That a session is dead stays true."""
    mind.bury(SESSION, 1600.0)
    mind.listening = False
    assert mind.is_dead(SESSION)


def test_tombstone_lasts_until_the_token_would_have_expired(mind: Mind) -> None:
    """Then proof refuses, and the place is free."""
    mind.bury(SESSION, 1600.0)
    mind.time = 1599.9
    assert mind.is_dead(SESSION)
    mind.time = 1600.0
    assert not mind.is_dead(SESSION)


def test_tombstone_is_never_shortened(mind: Mind) -> None:
    """A refusal of user-svc, held for 10 s, does not take the place of the tombstone of 10 minutes."""
    mind.bury(SESSION, 1600.0)
    mind.bury(SESSION, 1010.0)
    mind.time = 1599.0
    assert mind.is_dead(SESSION)


def test_tombstone_ends_what_was_good(mind: Mind) -> None:
    """A logout counts from the moment it is heard."""
    mind.meet(mind.learn())
    mind.bury(SESSION, 1600.0)
    assert (mind.good(SESSION), mind.caller(HEADER)) == (None, None)


def test_good_never_overwrites_a_tombstone(mind: Mind) -> None:
    """The slow good answer of a `/me` asked before the logout is dropped, and so is a late profile."""
    mind.bury(SESSION, 1600.0)
    good = mind.learn(as_of=1001.0)
    mind.replace(SESSION, good)
    mind.meet(good)
    assert (mind.good(SESSION), mind.caller(HEADER), mind.is_dead(SESSION)) == (None, None, True)


def test_newer_profile_wins(mind: Mind) -> None:
    """In whichever order they come."""
    newer = mind.learn(as_of=1002.0)
    mind.learn(as_of=1001.0)
    assert mind.good(SESSION) is newer
    newest = mind.learn(as_of=1003.0)
    assert mind.good(SESSION) is newest


def test_announced_profile_replaces_a_known_one(mind: Mind) -> None:
    """A demotion reaches a session that is cached."""
    mind.learn(is_superuser=True)
    demoted = standing(a_user(), 1001.0)
    mind.replace(SESSION, demoted)
    assert mind.good(SESSION) is demoted


def test_announced_profile_of_a_session_not_known_here_is_not_kept(mind: Mind) -> None:
    """A process remembers its own callers, not everybody's."""
    mind.replace(SESSION, standing(a_user(), 1001.0))
    assert mind.good(SESSION) is None


def test_forgets_what_is_good_and_keeps_what_is_dead(mind: Mind) -> None:
    """Where something may have been missed, only tombstones can be trusted."""
    mind.meet(mind.learn())
    other = uuid4()
    mind.bury(other, 1600.0)
    mind.forget_good()
    assert (mind.good(SESSION), mind.caller(HEADER), mind.is_dead(other)) == (None, None, True)


@pytest.mark.parametrize("limit", ["SESSIONS", "TOMBSTONES"])
def test_memory_is_bounded(mind: Mind, monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    """The oldest goes first, however many come; a session that goes takes its callers along."""
    monkeypatch.setattr(memory, limit, 3)
    sessions = [uuid4() for _ in range(5)]
    for number, session in enumerate(sessions):
        mind.meet(mind.learn(session), session, b"%d" % number)
        if limit == "TOMBSTONES":
            mind.bury(session, 1600.0)
    known = mind.is_dead if limit == "TOMBSTONES" else mind.good
    assert [bool(known(session)) for session in sessions] == [False, False, True, True, True]
    if limit == "SESSIONS":
        assert [bool(mind.caller(b"%d" % number)) for number in range(5)] == [False, False, True, True, True]


def test_callers_are_bounded(mind: Mind, monkeypatch: pytest.MonkeyPatch) -> None:
    """One session with many tokens does not fill the memory either."""
    monkeypatch.setattr(memory, "SESSIONS", 3)
    good = mind.learn()
    for number in range(5):
        mind.meet(good, header=b"%d" % number)
    assert [bool(mind.caller(b"%d" % number)) for number in range(5)] == [False, False, True, True, True]


def test_caller_is_known_by_the_whole_header(mind: Mind) -> None:
    """The look-up in front of everything else knows one header, byte by byte."""
    principal = mind.meet(mind.learn())
    found = mind.caller(HEADER)
    assert found is not None
    assert replace(found, prebuilt=None) == principal
    assert [mind.caller(other) for other in (HEADER.lower(), HEADER + b" ", HEADER[:-1], b"")] == [None] * 4


def test_tokens_that_end_alike_are_two(mind: Mind) -> None:
    """What finds a caller is the end of the header, what knows it is the whole: only one of the two is kept."""
    end, (ann, bob) = b"s" * SIGNATURE, (uuid4(), uuid4())
    mind.meet(mind.learn(ann), ann, b"Bearer ann." + end)
    mind.meet(mind.learn(bob), bob, b"Bearer bob." + end)
    found = mind.caller(b"Bearer bob." + end)
    assert found is not None
    assert found.session == bob
    assert mind.caller(b"Bearer ann." + end) is None


def test_what_is_told_of_a_callers_age_stays_true(mind: Mind) -> None:
    """The ready-made headers name the age in whole seconds, and go when it is a second more."""
    mind.meet(mind.learn(as_of=993.5))
    mind.time += 0.49
    found = mind.caller(HEADER)
    assert found is not None
    assert found.prebuilt == ((b"x-auth-source", b"memory"), (b"x-auth-age", b"6"))
    mind.time += 0.01
    assert mind.caller(HEADER) is None


def test_caller_dies_with_its_second(mind: Mind) -> None:
    """The look-up lives no longer than the standing behind it, and is not kept after."""
    mind.meet(mind.learn())
    mind.time += 1.0
    assert mind.caller(HEADER) is None
    assert mind._callers == {}


def test_caller_dies_with_the_next_standing(mind: Mind) -> None:
    """A profile that took the place of the caller's ends the look-up: whoever was a superuser is asked about anew."""
    mind.meet(mind.learn())
    mind.replace(SESSION, standing(a_user(), 1001.0))
    assert mind.caller(HEADER) is None


def test_caller_of_a_standing_that_is_not_the_known_one_is_not_kept(mind: Mind) -> None:
    """Between judging and remembering a newer profile, or nobody, may have come."""
    mind.learn(as_of=1001.0)
    mind.meet(standing(a_user(), 1000.0))
    mind.meet(standing(a_user(), 1000.0), uuid4(), b"other")
    assert (mind.caller(HEADER), mind.caller(b"other")) == (None, None)


def test_caller_known_by_proof_alone_is_not_kept(mind: Mind) -> None:
    """Proof alone is worked out anew each time."""
    mind.remember_caller(HEADER, Principal(uuid4(), SESSION, Source.PROOF, 1000.0))
    assert mind.caller(HEADER) is None


def test_remembered_caller_is_vouched_for_by_memory(mind: Mind) -> None:
    """Whoever vouched at first, what the look-up gives comes from memory and says so."""
    good = mind.learn()
    mind.remember_caller(HEADER, Principal(good.id, SESSION, Source.REDIS, good.as_of, good))
    found = mind.caller(HEADER)
    assert found is not None
    assert found.source is Source.MEMORY
