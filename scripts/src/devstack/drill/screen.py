"""What is seen while the drill runs: a table that grows on a terminal, plain lines elsewhere."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, Self, TextIO

from rich.console import Console
from rich.live import Live

from devstack.drill.journal import SOURCES, Chapter, Journal
from devstack.drill.report import milliseconds, table


class Screen(Protocol):
    """Used as a context manager around the whole drill."""

    def __enter__(self) -> Self:
        """Start showing."""
        ...

    def __exit__(self, *_failure: object) -> None:
        """Stop showing."""
        ...

    def chapter(self, chapter: Chapter) -> AbstractContextManager[Chapter]:
        """Show a chapter from its beginning to its end."""
        ...


class Growing:
    """The table of figures, four times a second."""

    def __init__(self, journal: Journal, console: Console) -> None:
        self._live = Live(
            console=console,
            get_renderable=lambda: table(journal, console.width),
            refresh_per_second=4,
            transient=True,
        )

    def __enter__(self) -> Self:
        """Begin to draw."""
        self._live.start()
        return self

    def __exit__(self, *_failure: object) -> None:
        """Make place for the report."""
        self._live.stop()

    @contextmanager
    def chapter(self, chapter: Chapter) -> Iterator[Chapter]:
        """Nothing to do: the table has it."""
        yield chapter


class Lines:
    """A line at the beginning and one at the end of each chapter."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __enter__(self) -> Self:
        """Nothing to start."""
        return self

    def __exit__(self, *_failure: object) -> None:
        """Nothing to stop."""

    @contextmanager
    def chapter(self, chapter: Chapter) -> Iterator[Chapter]:
        """Say what begins, and what came of it."""
        self._say(f"{chapter.began:5.1f} s  {chapter.title} ...")
        yield chapter
        figures = chapter.figures()
        sources = ", ".join(f"{figures.sources[source]} {source}" for source in SOURCES if figures.sources[source])
        self._say(
            f"{chapter.ended or 0:5.1f} s  {chapter.title}: {figures.requests} requests ({sources}),"
            f" {figures.refused} x 401, {figures.away} x 503, p95 {milliseconds(figures.p95)} ms,"
            f" slowest {milliseconds(figures.slowest)} ms, {figures.wrong} wrong"
        )

    def _say(self, line: str) -> None:
        """Print it at once, also into a pipe."""
        print(line, file=self._stream, flush=True)
