"""drill, the judge: situations and what is right in them, as auth.md's state table has it."""

import pytest

from devstack.drill.availability import Availability, Certain
from devstack.drill.journal import Journal
from devstack.drill.judge import Act, Answer, Request, Token, judge
from devstack.drill.referee import LEFT_ALONE, Referee
from devstack.drill.sessions import Death
from devstack.drill.wire import reading, writing

ALL = Certain()
NO_USER = Certain(user_svc=False)
NO_REDIS = Certain(redis=False)
NEITHER = Certain(user_svc=False, redis=False)
NO_DATABASE = Certain(postgres=False)
NO_SERVICE = Certain(asked=False)

READ, WRITE, FRESH, LOGIN, LOGOUT = (Request(act) for act in (Act.READ, Act.WRITE, Act.FRESH, Act.LOGIN, Act.LOGOUT))
FORGED = Request(Act.READ, Token.FORGED)
JUST_DEAD = Request(Act.READ, Token.DEAD, dead_for=0.9)
DEAD = Request(Act.READ, Token.DEAD, dead_for=1.1)
DEAD_WRITE = Request(Act.WRITE, Token.DEAD, dead_for=1.1)
DEAD_HEARD = Request(Act.READ, Token.DEAD, dead_for=1.1, heard=True)
STRANGER = Request(Act.LOGIN, Token.NONE)

AWAY = Answer(503, retry_after=True)


def let_in(status: int, source: str, age: float = 0.0) -> Answer:
    """An answer to somebody whom the guard let through."""
    return Answer(status, source=source, age=age)


@pytest.mark.parametrize(
    ("request_", "answer", "certain"),
    [
        (READ, let_in(200, "memory"), ALL),
        (WRITE, let_in(201, "redis"), ALL),
        (FRESH, let_in(404, "user-svc", age=5), ALL),
        (LOGOUT, let_in(204, "user-svc"), ALL),
        (STRANGER, let_in(200, ""), ALL),
        (STRANGER, Answer(429, retry_after=True), ALL),
        (FORGED, Answer(401), ALL),
        (FORGED, Answer(401), NEITHER),
        (FORGED, Answer(0), NO_SERVICE),
        (DEAD, Answer(401), ALL),
        (JUST_DEAD, let_in(200, "memory"), ALL),
        (READ, let_in(200, "proof"), NO_USER),
        (WRITE, let_in(201, "proof"), NO_USER),
        (FRESH, AWAY, NO_USER),
        (STRANGER, AWAY, NO_USER),
        (READ, let_in(200, "user-svc"), NO_REDIS),
        (DEAD, Answer(401), NO_REDIS),
        (READ, let_in(200, "blind"), NEITHER),
        (WRITE, AWAY, NEITHER),
        (FRESH, AWAY, NEITHER),
        (DEAD, let_in(200, "blind"), NEITHER),
        (DEAD, let_in(200, "blind"), Certain(postgres=False, redis=False)),
        (DEAD_HEARD, Answer(401), NEITHER),
        (READ, AWAY, NO_DATABASE),
        (FRESH, AWAY, NO_DATABASE),
        (LOGOUT, AWAY, NO_DATABASE),
        (READ, Answer(0), NO_SERVICE),
        (READ, AWAY, NO_SERVICE),
    ],
)
def test_what_is_right(request_: Request, answer: Answer, certain: Certain) -> None:
    """Every cell of the table, and its one window for the dead, passes."""
    assert judge(request_, answer, certain) is None


@pytest.mark.parametrize(
    ("request_", "answer", "certain", "words"),
    [
        (READ, Answer(401), ALL, "a good token got 401"),
        (READ, Answer(401), NEITHER, "a good token got 401"),
        (LOGOUT, Answer(401), NO_DATABASE, "a good token got 401"),
        (FORGED, let_in(200, "blind"), NEITHER, "a forged token got 200"),
        (FORGED, AWAY, NO_DATABASE, "a forged token got 503"),
        (READ, Answer(500), ALL, "an error of ours (500)"),
        (READ, Answer(502), NO_DATABASE, "an error of ours (502)"),
        (READ, Answer(503), NO_DATABASE, "503 without Retry-After"),
        (STRANGER, Answer(429), ALL, "429 without Retry-After"),
        (DEAD, let_in(200, "memory"), ALL, "a dead token was let in by memory, 1.1 s"),
        (DEAD, let_in(200, "proof"), NO_USER, "a dead token was let in by proof"),
        (DEAD, let_in(200, "redis"), NEITHER, "a dead token was let in by redis"),
        (DEAD, let_in(200, "blind"), NO_USER, "a dead token was let in by blind"),
        (DEAD, let_in(200, "blind"), NO_REDIS, "a dead token was let in by blind"),
        (DEAD, let_in(404, "proof"), NO_USER, "a dead token was let in"),
        (DEAD_HEARD, let_in(200, "blind"), NEITHER, "a dead token whose tombstone is in memory"),
        (WRITE, let_in(201, "blind"), NEITHER, "a change was allowed blindly"),
        (DEAD_WRITE, let_in(201, "blind"), NEITHER, "a change was allowed blindly"),
        (FRESH, let_in(404, "proof"), NO_USER, "allowed by proof"),
        (FRESH, let_in(404, "redis", age=6), ALL, "allowed by redis, 6 s old"),
        (READ, AWAY, ALL, "503 to a read that could be answered"),
        (READ, AWAY, NEITHER, "503 to a read that could be answered"),
        (WRITE, AWAY, NO_USER, "503 to a write that could be answered"),
        (WRITE, AWAY, NO_REDIS, "503 to a write that could be answered"),
        (FRESH, AWAY, NO_REDIS, "503 to a fresh that could be answered"),
        (STRANGER, AWAY, NO_REDIS, "503 to a login that could be answered"),
        (DEAD, AWAY, NO_USER, "503 to a read that could be answered"),
        (READ, Answer(0), NEITHER, "no answer from a service that was there"),
        (READ, let_in(404, "memory"), ALL, "404 to a read"),
        (WRITE, Answer(429, retry_after=True), ALL, "429 to a write"),
        (STRANGER, Answer(401), ALL, "401 to a login"),
        (STRANGER, Answer(400), ALL, "400 to a login"),
    ],
)
def test_what_is_wrong(request_: Request, answer: Answer, certain: Certain, words: str) -> None:
    """Every way to be wrong is seen, and said in words a person understands."""
    assert words in str(judge(request_, answer, certain))


def test_doubts_have_a_beginning_and_an_end() -> None:
    """An exchange that touches a doubt in any way cannot count on the piece; before and after it can."""
    availability = Availability()
    availability.doubt("redis", 10)
    assert availability.sure("redis", 8, 9)
    assert not availability.sure("redis", 8, 10)
    assert not availability.sure("redis", 50, 60)
    assert availability.sure("user-svc", 8, 60)
    availability.trust(20)
    assert not availability.sure("redis", 5, 30)
    assert not availability.sure("redis", 19, 30)
    assert availability.sure("redis", 21, 30)


def test_a_doubt_that_was_over_stays_over() -> None:
    """Trusting again does not make an earlier doubt longer."""
    availability = Availability()
    availability.doubt("redis", 10, 12)
    availability.trust(20)
    assert availability.sure("redis", 13, 14)


def test_the_services_asked_are_told_apart() -> None:
    """What is in doubt is in doubt for those who need it."""
    availability = Availability()
    availability.doubt("todo-svc", 1)
    assert availability.during("todo-svc", 0, 2) == Certain(asked=False)
    assert availability.during("user-svc", 0, 2) == ALL


def wrongs(*exchanges: tuple[str, Answer], **doubts: float) -> list[str | None]:
    """What the referee enters for exchanges of a good token, in order."""
    availability, journal = Availability(), Journal()
    journal.begin("all")
    for piece, since in doubts.items():
        availability.doubt(piece.replace("_", "-"), since)
    referee = Referee(availability, journal)
    for kind, answer in exchanges:
        referee.see(reading("t") if kind == "read" else writing("t", "list", "text"), answer)
    return [record.wrong for record in journal.records]


def refused_at(sent: float, seconds: float) -> tuple[str, Answer]:
    """A write that got 503."""
    return "write", Answer(503, sent, sent + seconds, retry_after=True)


def test_slow_is_as_good_as_away() -> None:
    """On a machine that is too busy a blind 503 is right: Redis may have answered too late, and is then left alone."""
    assert wrongs(refused_at(10, 0.04), user_svc=1) != [None]
    assert wrongs(refused_at(10, 0.06), user_svc=1) == [None]
    assert wrongs(refused_at(10, 0.06), refused_at(10.1, 0.01), user_svc=1) == [None, None]
    assert wrongs(refused_at(10, 0.06), refused_at(10.1 + LEFT_ALONE, 0.01), user_svc=1)[1] is not None


def test_waiting_for_user_svc_is_no_slowness_of_redis() -> None:
    """Who vouches by proof has heard Redis, however long user-svc was waited for."""
    proven = ("read", Answer(200, 10, 10.65, source="proof"))
    assert wrongs(proven, refused_at(11, 0.01), user_svc=1)[1] is not None


def test_a_tombstone_is_in_memory_until_todo_svc_restarts() -> None:
    """After a restart the processes may not know the dead any more."""
    availability, journal = Availability(), Journal()
    journal.begin("all")
    referee = Referee(availability, journal)
    for piece in ("redis", "user-svc"):
        availability.doubt(piece, 5)
    death = Death("t", "list", at=1, heard_at=2)
    blind = Answer(200, 10, 10.01, source="blind")
    referee.see_dead(reading("t"), blind, death)
    availability.doubt("todo-svc", 6, 7)
    referee.see_dead(reading("t"), blind, death)
    assert [bool(record.wrong) for record in journal.records] == [True, False]
