"""How far the work is: a bar on a terminal, plain lines elsewhere, nothing beside JSON."""

import time
from typing import Protocol, Self, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress
from rich.text import Text


class Progress(Protocol):
    """What the seeder reports to; used as a context manager around the work."""

    def __enter__(self) -> Self:
        """Start showing."""
        ...

    def __exit__(self, *_failure: object) -> None:
        """Stop showing."""
        ...

    def advance(self, count: int = 1) -> None:
        """So many more objects are as they should be."""
        ...

    def notice(self, line: str) -> None:
        """Tell why nothing moves."""
        ...


class Silent:
    """Shows nothing."""

    def __enter__(self) -> Self:
        """Nothing to start."""
        return self

    def __exit__(self, *_failure: object) -> None:
        """Nothing to stop."""

    def advance(self, count: int = 1) -> None:
        """Nothing to show."""

    def notice(self, line: str) -> None:
        """Nothing to tell."""


class Lines(Silent):
    """A line at every tenth of the work, and at least every ten seconds."""

    SILENCE = 10.0  # seconds

    def __init__(self, total: int, stream: TextIO) -> None:
        self._total = total
        self._stream = stream
        self._done = 0
        self._started = self._last = time.monotonic()
        self._told = ""

    def advance(self, count: int = 1) -> None:
        """Count, and print where a line is due."""
        self._done += count
        now = time.monotonic()
        tenth = self._done * 10 // self._total > (self._done - count) * 10 // self._total
        if tenth or now - self._last >= self.SILENCE:
            self._last = now
            rate = self._done / max(now - self._started, 0.001)
            left = (self._total - self._done) / rate
            self._print(f"{self._done:,} of {self._total:,}, {rate:,.0f}/s, {left:.0f} s left")

    def notice(self, line: str) -> None:
        """Print it, once in a row."""
        if line != self._told:
            self._told = line
            self._print(line)

    def _print(self, line: str) -> None:
        print(line, file=self._stream, flush=True)


class Bar:
    """A bar with the rate and the time left."""

    def __init__(self, total: int, console: Console) -> None:
        self._bar = RichProgress(
            TextColumn("seeding"),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            TimeRemainingColumn(),
            console=console,
        )
        self._task = self._bar.add_task("seeding", total=total)
        self._told = ""

    def __enter__(self) -> Self:
        """Draw it."""
        self._bar.start()
        return self

    def __exit__(self, *_failure: object) -> None:
        """Leave it as it stands."""
        self._bar.stop()

    def advance(self, count: int = 1) -> None:
        """Move on."""
        self._bar.advance(self._task, count)

    def notice(self, line: str) -> None:
        """Print it above the bar, once in a row."""
        if line != self._told:
            self._told = line
            self._bar.console.print(line, markup=False, highlight=False)


class _Rate(ProgressColumn):
    """Objects a second."""

    def render(self, task: Task) -> Text:
        """Nothing before there is anything to divide."""
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f}/s" if speed else "")
