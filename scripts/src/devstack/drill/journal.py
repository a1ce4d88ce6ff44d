"""The journal: every exchange with its judgement, chapter by chapter, and the figures drawn from it."""

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct

from devstack.drill.judge import AWAY, NO_ANSWER, REFUSED, Act

SLOWEST: Final = 1.5  # seconds a guarded request may take while user-svc or Redis is away
SLOWEST_DATABASE: Final = 6.0  # seconds while PostgreSQL is
MOST: Final = 0.4  # seconds within which 95 of 100 are answered while user-svc or Redis is away
GUARDED: Final = frozenset({Act.READ, Act.WRITE, Act.FRESH})
SOURCES: Final = ("memory", "redis", "user-svc", "proof", "blind")


class Record(Struct, frozen=True):
    """One exchange, `at` seconds after the load began; `database`: PostgreSQL was surely there."""

    at: float
    act: Act
    status: int
    source: str
    seconds: float
    database: bool = True
    wrong: str | None = None

    @property
    def let_in_by(self) -> str:
        """The source, where the guard let it in."""
        return self.source if self.status not in {NO_ANSWER, REFUSED, AWAY} else ""


class Lag(Struct, frozen=True):
    """Seconds from a logout's answer until every process had refused its token; None when that was not seen.

    `told`: Redis was there to tell them; otherwise each had to ask user-svc.
    """

    seconds: float | None
    told: bool


class Figures(Struct, frozen=True):
    """What a chapter comes to; latencies in seconds, of guarded requests."""

    requests: int
    sources: dict[str, int]
    refused: int
    away: int
    unanswered: int
    wrong: int
    p50: float
    p95: float
    slowest: float
    slow: bool


class Chapter(Struct):
    """A stretch of the drill; times are seconds after the load began.

    `back` is when what was taken was told to return, `ended` when all was seen to work again (or was waited for in
    vain, and then `recovered` is False).
    """

    title: str
    began: float
    back: float | None = None
    ended: float | None = None
    recovered: bool = True
    records: list[Record] = []
    summed: Figures | None = None

    def figures(self) -> Figures:
        """Sum up, anew only where something was added: the live table asks four times a second."""
        if self.summed is None or self.summed.requests != len(self.records):
            self.summed = figures(self.records)
        return self.summed


class Journal:
    """Everything that happened, in order; its times are seconds after it was opened."""

    def __init__(self) -> None:
        self._opened = time.monotonic()
        self.chapters: list[Chapter] = []
        self.lags: list[Lag] = []
        self.notes: list[str] = []
        self.written = 0
        self.lost = 0

    def at(self, monotonic: float) -> float:
        """That time, as the journal counts."""
        return monotonic - self._opened

    @property
    def now(self) -> float:
        """The present time."""
        return self.at(time.monotonic())

    def begin(self, title: str) -> Chapter:
        """Open a chapter."""
        self.chapters.append(Chapter(title, self.now if self.chapters else 0.0))
        return self.chapters[-1]

    def enter(self, record: Record) -> None:
        """Put it into the chapter in which it was sent."""
        chapter = next((one for one in reversed(self.chapters) if one.began <= record.at), self.chapters[0])
        chapter.records.append(record)

    @property
    def records(self) -> list[Record]:
        """All of them."""
        return [record for chapter in self.chapters for record in chapter.records]

    @property
    def wrongs(self) -> list[tuple[Chapter, Record]]:
        """What was judged wrong, and where."""
        return [(chapter, record) for chapter in self.chapters for record in chapter.records if record.wrong]

    @property
    def passed(self) -> bool:
        """Nothing wrong, nothing lost, and everything came back."""
        return not self.wrongs and not self.lost and (not self.chapters or self.chapters[-1].recovered)


def figures(records: Sequence[Record]) -> Figures:
    """Sum exchanges up."""
    answered = [record for record in records if record.status != NO_ANSWER and record.act in GUARDED]
    ordered = sorted(record.seconds for record in answered)
    statuses = Counter(record.status for record in records)
    sources = Counter(record.let_in_by for record in records)
    return Figures(
        requests=len(records),
        sources={source: sources[source] for source in SOURCES},
        refused=statuses[REFUSED],
        away=statuses[AWAY],
        unanswered=statuses[NO_ANSWER],
        wrong=sum(record.wrong is not None for record in records),
        p50=share(ordered, 0.5),
        p95=share(ordered, 0.95),
        slowest=ordered[-1] if ordered else 0.0,
        slow=_is_slow(answered),
    )


def share(ordered: Sequence[float], part: float) -> float:
    """The value below which this part of an ordered sequence lies."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))] if ordered else 0.0


def _is_slow(answered: Iterable[Record]) -> bool:
    """PostgreSQL's own outages are judged apart: no answer there can come without it."""
    times: dict[bool, list[float]] = {True: [], False: []}
    for record in answered:
        times[record.database].append(record.seconds)
    own = sorted(times[True])
    return max(times[False], default=0.0) > SLOWEST_DATABASE or (own[-1:] > [SLOWEST]) or share(own, 0.95) > MOST
