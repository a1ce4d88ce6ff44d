"""The phases of a drill: what is taken away, for how long, and how it comes back."""

from typing import Final

from msgspec import Struct

RETURNS: Final = {"stop": "start", "kill": "start", "pause": "resume"}
RECOVERY: Final = 3.0  # seconds until all was seen to work again
RESTART: Final = 4.0  # seconds more for each service that is started


class Step(Struct, frozen=True):
    """One thing done to one piece: a verb of `stack`, or `flush` or `rotate`."""

    verb: str
    piece: str


class Phase(Struct, frozen=True):
    """The steps that take away, `seconds` of that, and the steps that bring back."""

    title: str
    seconds: float
    away: tuple[Step, ...]
    back: tuple[Step, ...] = ()

    @property
    def name(self) -> str:
        """What `--phases` calls it."""
        return self.title.lower().replace(" ", "-")

    @property
    def pieces(self) -> frozenset[str]:
        """What it touches."""
        return frozenset(step.piece for step in self.away)

    @property
    def length(self) -> float:
        """The seconds that it is likely to take, its return included."""
        restarts = [step for step in self.away if step.piece.endswith("-svc") and step.verb != "pause"]
        return self.seconds + RECOVERY + RESTART * len(restarts)


def _outage(title: str, *taken: tuple[str, str], seconds: float = 5.0) -> Phase:
    away = tuple(Step(verb, piece) for verb, piece in taken)
    # What went last comes back first.
    back = tuple(Step(RETURNS[step.verb], step.piece) for step in reversed(away))
    return Phase(title, seconds, away, back)


# Redis first: after user-svc was away, todo-svc's circuit breaker may not ask it for a while, and until it does the
# judge must be mild about what follows where Redis is away too.
PHASES: Final = (
    _outage("Redis stopped", ("stop", "redis")),
    _outage("Redis paused", ("pause", "redis")),
    _outage("Redis killed", ("kill", "redis")),
    Phase("Redis flushed", 2.0, (Step("flush", "redis"),)),
    _outage("user-svc stopped", ("stop", "user-svc")),
    _outage("user-svc paused", ("pause", "user-svc")),
    _outage("user-svc killed", ("kill", "user-svc")),
    _outage("both away", ("kill", "user-svc"), ("stop", "redis")),
    Phase("key rotated", 1.0, (Step("rotate", "todo-svc"), Step("rotate", "user-svc"))),
    _outage("PostgreSQL stopped", ("stop", "postgres")),
    _outage("PostgreSQL paused", ("pause", "postgres")),
)
BY_NAME: Final = {phase.name: phase for phase in PHASES}
# In seconds. Quickest to return first: on a slow machine it is the last that there may be no time for. user-svc paused
# has its whole length: its first five questions wait for nothing, and are not to be more than one request in twenty.
SHORT: Final = {
    "redis-stopped": 2.0,
    "redis-flushed": 0.5,
    "postgresql-stopped": 2.0,
    "user-svc-paused": 5.0,
    "both-away": 2.0,
    "key-rotated": 0.5,
}
