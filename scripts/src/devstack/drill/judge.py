"""The judge: what auth.md's state table allows, as one pure function from a request and its answer to what is wrong.

It errs to the mild side only where a piece was in doubt: there it allows what either state of the piece would.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Final

from msgspec import Struct

from devstack.drill.availability import Certain

REVOKED_WITHIN: Final = 1.0  # seconds after the logout was answered
FRESH_FOR: Final = 5.0  # seconds a standing may be old where a fresh one is asked for
NO_ANSWER: Final = 0
OK, CREATED, NO_CONTENT, REFUSED, NOT_FOUND, BUSY, BROKEN, AWAY = 200, 201, 204, 401, 404, 429, 500, 503
UNPROVEN: Final = ("proof", "blind")


class Act(StrEnum):
    """What a request wants."""

    READ = "read"
    WRITE = "write"
    FRESH = "fresh"  # deleting a list that never was: 404, but only for a caller whose standing is fresh
    LOGIN = "login"
    LOGOUT = "logout"


class Token(StrEnum):
    """What a request shows."""

    NONE = "none"
    GOOD = "good"
    FORGED = "forged"
    DEAD = "dead"


WELCOME: Final = {Act.READ: OK, Act.WRITE: CREATED, Act.FRESH: NOT_FOUND, Act.LOGIN: OK, Act.LOGOUT: NO_CONTENT}


class Request(Struct, frozen=True):
    """What was asked with which token; `dead_for` seconds since its logout was answered when this was sent.

    `heard`: every process of todo-svc has had the tombstone in memory before.
    """

    act: Act
    token: Token = Token.GOOD
    dead_for: float = 0.0
    heard: bool = False


class Answer(Struct, frozen=True):
    """What came back; times are monotonic."""

    status: int
    sent: float = 0.0
    answered: float = 0.0
    source: str = ""
    age: float = 0.0
    retry_after: bool = False
    body: bytes = b""

    @property
    def let_in(self) -> bool:
        """The guard did not stand in the way."""
        return self.status not in {NO_ANSWER, REFUSED, BUSY} and self.status < BROKEN

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.answered - self.sent


Rule = Callable[[Request, Answer, Certain], str | None]


def judge(request: Request, answer: Answer, certain: Certain) -> str | None:
    """What is wrong with the answer, in words; None when nothing is."""
    return next((wrong for rule in RULES if (wrong := rule(request, answer, certain))), None)


def _no_answer(_request: Request, answer: Answer, certain: Certain) -> str | None:
    if answer.status == NO_ANSWER and certain.asked:
        return "no answer from a service that was there"
    return None


def _server_error(_request: Request, answer: Answer, _certain: Certain) -> str | None:
    if answer.status >= BROKEN and answer.status != AWAY:
        return f"an error of ours ({answer.status})"
    return None


def _unhelpful(_request: Request, answer: Answer, _certain: Certain) -> str | None:
    if answer.status in {AWAY, BUSY} and not answer.retry_after:
        return f"{answer.status} without Retry-After"
    return None


def _forged(request: Request, answer: Answer, _certain: Certain) -> str | None:
    if request.token is Token.FORGED and answer.status not in {NO_ANSWER, REFUSED}:
        return f"a forged token got {answer.status}, not 401"
    return None


def _good_refused(request: Request, answer: Answer, _certain: Certain) -> str | None:
    if request.token is Token.GOOD and answer.status == REFUSED:
        return "a good token got 401"
    return None


def _dead(request: Request, answer: Answer, certain: Certain) -> str | None:
    """The one window: nobody can be asked, and this process never heard of the logout."""
    if request.token is not Token.DEAD or not answer.let_in or request.dead_for <= REVOKED_WITHIN:
        return None
    if answer.source == "blind" and not certain.redis and not certain.verdict and not request.heard:
        return None
    known = " whose tombstone is in memory" if request.heard else ""
    return f"a dead token{known} was let in by {answer.source or 'nobody'}, {request.dead_for:.1f} s after its logout"


def _blind_change(request: Request, answer: Answer, _certain: Certain) -> str | None:
    if answer.source == "blind" and answer.let_in and request.act is not Act.READ:
        return "a change was allowed blindly"
    return None


def _stale(request: Request, answer: Answer, _certain: Certain) -> str | None:
    if request.act is not Act.FRESH or not answer.let_in:
        return None
    if answer.source in UNPROVEN or answer.age > FRESH_FOR:
        return f"what needs a fresh standing was allowed by {answer.source}, {answer.age:.0f} s old"
    return None


def _away(request: Request, answer: Answer, certain: Certain) -> str | None:
    """A 503 is right where nobody could judge, or where the work itself needs what is away."""
    blind_change = request.act is Act.WRITE and not certain.redis and not certain.verdict
    needs_verdict = request.act in {Act.FRESH, Act.LOGIN} and not certain.verdict
    if answer.status == AWAY and certain.asked and certain.postgres and not blind_change and not needs_verdict:
        return f"503 to a {request.act} that could be answered"
    return None


def _unexpected(request: Request, answer: Answer, _certain: Certain) -> str | None:
    throttled = answer.status == BUSY and request.act is Act.LOGIN
    refused = answer.status == REFUSED and request.token in {Token.FORGED, Token.DEAD}
    if answer.status in {NO_ANSWER, AWAY, WELCOME[request.act]} or throttled or refused:
        return None
    return f"{answer.status} to a {request.act}"


RULES: Final[tuple[Rule, ...]] = (
    _server_error,
    _forged,
    _good_refused,
    _dead,
    _blind_change,
    _stale,
    _unhelpful,
    _away,
    _no_answer,
    _unexpected,
)
