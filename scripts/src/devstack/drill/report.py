"""The report on the terminal: one line per chapter, then what was wrong, or that nothing was."""

from collections.abc import Iterator
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from devstack.drill.journal import SOURCES, Chapter, Figures, Journal, Lag, share

SHOWN: Final = 10  # wrong decisions in full
WIDE: Final = 110  # columns that all figures need
# Every figure's name, and the one it has where there is no room; some are not shown there.
COLUMNS: Final = {
    "seconds": "s",
    "requests": "n",
    "memory": "mem",
    "redis": "redis",
    "user-svc": "user",
    "proof": "proof",
    "blind": "blind",
    "401": "401",
    "503": "503",
    "none": "",
    "p50": "",
    "p95": "p95",
    "max": "max",
    "wrong": "wrong",
}


def table(journal: Journal, width: int) -> Table:
    """The figures of each chapter so far; latencies in milliseconds, of guarded requests."""
    wide = width >= WIDE
    heads = {name: name if wide else short for name, short in COLUMNS.items() if wide or short}
    rows = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    rows.add_column("phase", no_wrap=True)
    for head in heads.values():
        rows.add_column(head, justify="right", no_wrap=True)
    for chapter in journal.chapters:
        cells = _cells(chapter)
        rows.add_row(_title(chapter), *(cells[name] for name in heads))
    return rows


def show(journal: Journal, console: Console) -> None:
    """All of it."""
    console.print(table(journal, console.width))
    console.print()
    for line in summary(journal):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    for line in wrongs(journal):
        console.print(line, highlight=False, markup=False, soft_wrap=True, style="red")


def summary(journal: Journal) -> Iterator[str]:
    """What it comes to, in sentences."""
    yield from journal.notes
    yield f"{len(journal.records):,} requests, {len(journal.wrongs):,} wrong decisions"
    yield f"{journal.written:,} writes were promised, {journal.lost:,} of them lost"
    yield from _revocation(journal.lags)
    if slow := [chapter.title for chapter in journal.chapters if chapter.figures().slow]:
        yield f"slower than promised: {', '.join(slow)}"
    if late := [chapter.title for chapter in journal.chapters if not chapter.recovered]:
        yield f"slow to work again: {', '.join(late)}"


def wrongs(journal: Journal) -> Iterator[str]:
    """The first wrong decisions, and how many more there are."""
    for chapter, record in journal.wrongs[:SHOWN]:
        yield f"wrong at {record.at:.1f} s, {chapter.title}: {record.wrong}"
    if len(journal.wrongs) > SHOWN:
        yield f"and {len(journal.wrongs) - SHOWN:,} more"


def milliseconds(seconds: float) -> str:
    """Without a unit, in whole ones."""
    return f"{seconds * 1000:.0f}"


def _revocation(lags: list[Lag]) -> Iterator[str]:
    for told, when in ((True, "while Redis was there"), (False, "while it was away or slow")):
        known = sorted(lag.seconds for lag in lags if lag.told is told and lag.seconds is not None)
        parts = {"p50": 0.5, "p99": 0.99, "slowest": 1.0}
        figures = ", ".join(f"{name} {milliseconds(share(known, part))} ms" for name, part in parts.items())
        if known:
            yield f"{len(known)} logouts {when}: every process refused after {figures}"


def _title(chapter: Chapter) -> Text:
    return Text(chapter.title, style="bold" if chapter.ended is None else "")


def _cells(chapter: Chapter) -> dict[str, str | Text]:
    figures = chapter.figures()
    latest = chapter.records[-1].at if chapter.records else chapter.began
    return {
        "seconds": f"{(chapter.ended or latest) - chapter.began:.0f}",
        "requests": str(figures.requests),
        **{source: _quiet(figures.sources[source]) for source in SOURCES},
        "401": _quiet(figures.refused),
        "503": _quiet(figures.away),
        "none": _quiet(figures.unanswered),
        "p50": milliseconds(figures.p50),
        "p95": _latency(figures, figures.p95),
        "max": _latency(figures, figures.slowest),
        "wrong": Text(str(figures.wrong), style="bold red" if figures.wrong else "green"),
    }


def _quiet(number: int) -> str | Text:
    """A nought is no news."""
    return str(number) if number else Text("·", style="dim")


def _latency(figures: Figures, seconds: float) -> Text:
    return Text(milliseconds(seconds), style="yellow" if figures.slow else "")
