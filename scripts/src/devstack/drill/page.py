"""The HTML report: one file that asks for nothing, legible in light and in dark."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from html import escape
from typing import Final

from devstack.drill.charts import Frame, Series, histogram, lines, stacked
from devstack.drill.journal import GUARDED, SLOWEST, SOURCES, Chapter, Journal, Record, share
from devstack.drill.judge import AWAY, NO_ANSWER, REFUSED
from devstack.drill.report import milliseconds, summary
from devstack.drill.style import STYLE

# Each series by the class that colours it, and what it is called.
VOUCHERS: Final = {source: source for source in SOURCES}
ANSWERS: Final = {
    "refused": "401, rightly",
    "unavailable": "503, rightly",
    "unanswered": "none, the service itself was away",
    "wrong": "wrong",
}
LATENCIES: Final = {"p50": "p50", "p95": "p95", "slowest": "slowest"}
PARTS: Final = {"p50": 0.5, "p95": 0.95, "slowest": 1.0}
LAGS: Final = (5, 10, 25, 50, 100, 250, 1000)  # milliseconds
LISTED: Final = 100  # wrong decisions
HEADS: Final = (
    "phase", "seconds", "requests", *SOURCES, "401", "503", "no answer", "p50 ms", "p95 ms", "slowest ms", "wrong"
)  # fmt: skip


def render(journal: Journal) -> str:
    """The whole page."""
    records = journal.records
    frame = Frame(journal.chapters, math.ceil(max((record.at for record in records), default=0.0)) + 1)
    sections = [
        _verdict(journal),
        "<p>Dark bands: something is away. Light ones: it returns, until all was seen to work again.</p>",
        _section("Requests let in, each second, by who vouched for them", VOUCHERS, _by_source(frame, records)),
        _section(f"Time to answer guarded requests (limit {SLOWEST:g} s)", LATENCIES, _latency(frame, records)),
        _section("Requests not let in, each second, by the answer", ANSWERS, _errors(frame, records)),
        _section("Logouts by the time until every process refused, while Redis was there", {}, _lags(journal)),
        f"<h2>Phases</h2>{_table(journal)}",
        _wrongs(journal),
    ]
    return PAGE.format(style=STYLE, body="\n".join(filter(None, sections)))


PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Gatehouse drill</title>
<style>{style}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""


def _verdict(journal: Journal) -> str:
    kind, words = ("passed", "Every decision was right") if journal.passed else ("failed", "Not all was right")
    sentences = "".join(f"<li>{escape(line)}</li>" for line in summary(journal))
    return f'<h1>Gatehouse drill <span class="{kind}">{words}</span></h1><ul>{sentences}</ul>'


def _section(title: str, series: Mapping[str, str], chart: str) -> str:
    legend = "".join(f'<span><i class="{kind}"></i>{name}</span>' for kind, name in series.items())
    return f'<h2>{escape(title)}</h2><p class="legend">{legend}</p><figure>{chart}</figure>'


def _by_source(frame: Frame, records: Iterable[Record]) -> str:
    return stacked(frame, "requests by source", _counts(frame, records, VOUCHERS, lambda record: record.let_in_by))


def _errors(frame: Frame, records: Iterable[Record]) -> str:
    return stacked(frame, "errors", _counts(frame, records, ANSWERS, _disappointment))


def _latency(frame: Frame, records: Iterable[Record]) -> str:
    times: dict[int, list[float]] = defaultdict(list)
    for record in records:
        if record.act in GUARDED and record.status != NO_ANSWER:
            times[int(record.at)].append(record.seconds)
    series = []
    for name, part in PARTS.items():
        values = [share(sorted(times[second]), part) if times[second] else math.nan for second in range(frame.seconds)]
        series.append(Series(name, values))
    return lines(frame, "latency", series, SLOWEST)


def _lags(journal: Journal) -> str:
    numbers = Counter(_bucket(lag.seconds) for lag in journal.lags if lag.told and lag.seconds is not None)
    labels = [f"≤ {most:,} ms" for most in LAGS] + ["longer"]
    return histogram("revocation lag", {label: numbers[place] for place, label in enumerate(labels)})


def _bucket(seconds: float) -> int:
    return next((place for place, most in enumerate(LAGS) if seconds * 1000 <= most), len(LAGS))


def _disappointment(record: Record) -> str:
    if record.wrong:
        return "wrong"
    return {REFUSED: "refused", AWAY: "unavailable", NO_ANSWER: "unanswered"}.get(record.status, "")


def _counts(
    frame: Frame, records: Iterable[Record], names: Iterable[str], kind: Callable[[Record], str]
) -> list[Series]:
    numbers = Counter((kind(record), int(record.at)) for record in records)
    return [Series(name, [numbers[name, second] for second in range(frame.seconds)]) for name in names]


def _table(journal: Journal) -> str:
    heads = "".join(f"<th>{head}</th>" for head in HEADS)
    rows = "".join(_row(chapter) for chapter in journal.chapters)
    return f'<div class="wide"><table><tr>{heads}</tr>{rows}</table></div>'


def _row(chapter: Chapter) -> str:
    figures = chapter.figures()
    latencies = map(milliseconds, (figures.p50, figures.p95, figures.slowest))
    counts = (figures.requests, *figures.sources.values(), figures.refused, figures.away, figures.unanswered)
    cells = (f"{(chapter.ended or chapter.began) - chapter.began:.1f}", *(f"{count:,}" for count in counts), *latencies)
    wrong = f'<td class="{"failed" if figures.wrong else "passed"}">{figures.wrong}</td>'
    return f"<tr><th>{escape(chapter.title)}</th>{''.join(f'<td>{cell}</td>' for cell in cells)}{wrong}</tr>"


def _wrongs(journal: Journal) -> str:
    if not journal.wrongs:
        return ""
    items = (
        f"<li>{record.at:.1f} s, {escape(chapter.title)}: {escape(record.wrong or '')}</li>"
        for chapter, record in journal.wrongs[:LISTED]
    )
    return f"<h2>Wrong decisions</h2><ul>{''.join(items)}</ul>"
