"""The charts of the HTML report: plain SVG, one x axis of seconds, the phases as bands behind."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from itertools import cycle
from typing import Final

from msgspec import Struct

from devstack.drill.journal import Chapter

# In pixels; the plot lies between LEFT and EDGE, TOP and FLOOR.
WIDTH, HEIGHT = 1040, 280
LEFT, EDGE, TOP, FLOOR = 52, WIDTH - 8, 58, HEIGHT - 24
LINE = 11
TICKS: Final = 12  # labels on the axis of time, at most

Point = tuple[float, float]
Scale = Callable[[float], float]


class Series(Struct, frozen=True):
    """A named row of values, one for each second; its name is also its CSS class."""

    name: str
    values: Sequence[float]


class Frame:
    """The axis of time, and what every chart has: bands, a grid, the seconds."""

    def __init__(self, chapters: Sequence[Chapter], seconds: int) -> None:
        self.seconds = seconds
        self._chapters = chapters

    def x(self, at: float) -> float:
        """Where a time stands."""
        return LEFT + at / self.seconds * (EDGE - LEFT)

    def svg(self, title: str, marks: Iterable[str], grid: Iterable[tuple[float, str]]) -> str:
        """A whole chart; `grid` has the height and label of each line."""
        lines = "".join(_grid_line(y, label) for y, label in grid)
        ticks = "".join(_tick(self.x(at), at) for at in range(0, self.seconds + 1, _step(self.seconds)))
        return _svg(title, [*map(self._band, self._chapters, cycle((0, 1))), lines, ticks, *marks])

    def _band(self, chapter: Chapter, row: int) -> str:
        """Dark while something is away, light until all works again; labels of neighbours stand in two rows."""
        if chapter.back is None or chapter.ended is None:
            return ""
        away = _rectangle("away", self.x(chapter.began), self.x(chapter.back))
        returning = _rectangle("returning", self.x(chapter.back), self.x(chapter.ended))
        middle = (self.x(chapter.began) + self.x(chapter.ended)) / 2
        piece, _, fate = chapter.title.rpartition(" ")
        base = TOP - LINE + 4 - 2 * LINE * row
        return away + returning + _text(middle, base - LINE, piece, "band") + _text(middle, base, fate, "band")


def stacked(frame: Frame, title: str, series: Sequence[Series]) -> str:
    """What each second holds, one kind on top of the other."""
    top = nice(max((sum(values) for values in zip(*(one.values for one in series), strict=True)), default=0))
    scale = linear(top)
    below = [0.0] * frame.seconds
    marks = []
    for one in series:
        above = [low + value for low, value in zip(below, one.values, strict=True)]
        if above != below:
            marks.append(_area(frame, one.name, [scale(y) for y in below], [scale(y) for y in above]))
        below = above
    return frame.svg(title, [*marks, *_tips(frame, series)], _grid(top, scale))


def lines(frame: Frame, title: str, series: Sequence[Series], limit: float) -> str:
    """Latencies on a logarithmic axis, with the limit they are to keep; a second without any has NaN."""
    scale = logarithmic(0.001, 10.0)
    marks = [_line(frame, one.name, one.values, scale) for one in series]
    bound = f'<line class="limit" x1="{LEFT}" x2="{EDGE}" y1="{scale(limit):.1f}" y2="{scale(limit):.1f}"/>'
    labels = {0.001: "1 ms", 0.01: "10 ms", 0.1: "100 ms", 1.0: "1 s", 10.0: "10 s"}
    grid = [(scale(value), label) for value, label in labels.items()]
    return frame.svg(title, [*marks, bound], grid)


def histogram(title: str, bars: Mapping[str, int]) -> str:
    """A bar with its number for each label."""
    top = nice(max(bars.values(), default=0))
    scale = linear(top)
    width = (EDGE - LEFT) / len(bars)
    marks = []
    for place, (label, number) in enumerate(bars.items()):
        x = LEFT + place * width
        marks.append(_bar(x + width * 0.15, width * 0.7, scale(number)))
        marks.append(_text(x + width / 2, scale(number) - 5, str(number) if number else "", "number"))
        marks.append(_text(x + width / 2, FLOOR + 15, label, "tick"))
    grid = "".join(_grid_line(y, label) for y, label in _grid(top, scale))
    return _svg(title, [grid, *marks])


def linear(top: float) -> Scale:
    """From nought at the floor."""
    return lambda value: FLOOR - value / top * (FLOOR - TOP)


def logarithmic(low: float, high: float) -> Scale:
    """Decades of equal height; what lies outside is shown at the edge."""
    decades = math.log10(high / low)
    return lambda value: FLOOR - math.log10(min(max(value, low), high) / low) / decades * (FLOOR - TOP)


def nice(most: float) -> float:
    """Where an axis of four whole steps ends: the lowest round number that reaches."""
    power = 10.0 ** max(math.floor(math.log10(max(most, 1) / 4)), 0)
    steps = (power * step for step in (1, 1.5, 2, 2.5, 3, 4, 5, 10))
    return next(4 * step for step in steps if step.is_integer() and 4 * step >= most)


def _step(seconds: int) -> int:
    """Between two labels of the axis of time."""
    return next((step for step in (1, 2, 5, 10, 20, 30) if seconds / step <= TICKS), 60)


def _svg(title: str, marks: Iterable[str]) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">{"".join(marks)}</svg>'


def _grid(top: float, scale: Scale) -> list[tuple[float, str]]:
    return [(scale(top * part / 4), f"{top * part / 4:g}") for part in range(5)]


def _grid_line(y: float, label: str) -> str:
    line = f'<line class="grid" x1="{LEFT}" x2="{EDGE}" y1="{y:.1f}" y2="{y:.1f}"/>'
    return line + _text(LEFT - 6, y + 4, label, "scale")


def _tick(x: float, at: float) -> str:
    return _text(x, FLOOR + 15, f"{at:g} s", "tick")


def _text(x: float, y: float, words: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(words)}</text>'


def _rectangle(kind: str, left: float, right: float) -> str:
    return f'<rect class="{kind}" x="{left:.1f}" y="{TOP}" width="{right - left:.1f}" height="{FLOOR - TOP}"/>'


def _bar(x: float, width: float, y: float) -> str:
    return f'<rect class="bar" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{FLOOR - y:.1f}" rx="2"/>'


def _area(frame: Frame, name: str, below: Sequence[float], above: Sequence[float]) -> str:
    """Steps: a second's value holds for the second."""
    outline = _steps(frame, above) + list(reversed(_steps(frame, below)))
    return f'<path class="{name}" d="M{" ".join(f"{x:.1f},{y:.1f}" for x, y in outline)}Z"/>'


def _steps(frame: Frame, heights: Sequence[float]) -> list[Point]:
    return [(frame.x(second + end), y) for second, y in enumerate(heights) for end in (0, 1)]


def _line(frame: Frame, name: str, values: Sequence[float], scale: Scale) -> str:
    """Interrupted where there is no value."""
    pen, path = "M", []
    for second, value in enumerate(values):
        if math.isnan(value):
            pen = "M"
        else:
            path.append(f"{pen}{frame.x(second + 0.5):.1f},{scale(value):.1f}")
            pen = "L"
    return f'<path class="line {name}" d="{"".join(path)}"/>'


def _tips(frame: Frame, series: Sequence[Series]) -> Iterable[str]:
    """What the pointer tells over each second."""
    width = frame.x(1) - frame.x(0)
    for second in range(frame.seconds):
        parts = [f"{one.values[second]:g} {one.name}" for one in series if one.values[second]]
        yield (
            f'<rect class="tip" x="{frame.x(second):.1f}" y="{TOP}" width="{width:.1f}" height="{FLOOR - TOP}">'
            f"<title>{second} s: {', '.join(parts) or 'nothing'}</title></rect>"
        )
