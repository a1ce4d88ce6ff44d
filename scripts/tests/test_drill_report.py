"""drill, the reports: the figures, the table on the terminal, the page."""

import io
import math
from html.parser import HTMLParser

import pytest
from rich.console import Console

from devstack.drill import page, report
from devstack.drill.charts import Frame, Series, histogram, linear, lines, logarithmic, nice, stacked
from devstack.drill.journal import Chapter, Journal, Lag, Record, figures
from devstack.drill.judge import Act
from devstack.drill.screen import Lines

VOID = {"meta", "br", "line", "rect", "path"}


def record(
    at: float = 0.0,
    status: int = 200,
    source: str = "memory",
    *,
    seconds: float = 0.01,
    act: Act = Act.READ,
    database: bool = True,
    wrong: str | None = None,
) -> Record:
    """One exchange."""
    return Record(at, act, status, source, seconds, database, wrong)


@pytest.fixture
def journal() -> Journal:
    """A drill of two chapters: one wrong decision, one write lost."""
    told = Journal()
    told.chapters = [
        Chapter("all there", 0, None, 2, records=[record(number / 50) for number in range(100)]),
        Chapter("Redis <stopped>", 2, 4, 5.5, records=[record(2.5, 401, "", wrong="a good token got <401>")]),
    ]
    told.lags = [Lag(0.004, told=True), Lag(0.3, told=True), Lag(2.0, told=False), Lag(None, told=True)]
    told.written, told.lost = 1234, 1
    return told


class Page(HTMLParser):
    """Collects what a browser would fetch, and fails where elements are not closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []
        self.tags: list[str] = []
        self.words = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note it."""
        self.tags.append(tag)
        self.fetched += [value or "" for name, value in attrs if name in {"src", "href", "data", "xlink:href"}]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Nothing to close."""
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        """It must be the last one opened; a `rect` may have a title."""
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Keep what is read."""
        self.words += data


def test_figures_count_each_kind() -> None:
    """Statuses, sources and wrong decisions; a source counts only where somebody was let in."""
    told = figures(
        [
            record(),
            record(status=404, source="user-svc", act=Act.FRESH),
            record(status=401, source="redis"),
            record(status=503, source=""),
            record(status=0, source="", wrong="no answer"),
        ]
    )
    assert (told.requests, told.refused, told.away, told.unanswered, told.wrong) == (5, 1, 1, 1, 1)
    assert told.sources == {"memory": 1, "redis": 0, "user-svc": 1, "proof": 0, "blind": 0}


def test_latencies_are_of_guarded_answers() -> None:
    """A login's argon2, a logout, and what never came do not count."""
    others = [record(seconds=9, act=Act.LOGIN), record(seconds=9, act=Act.LOGOUT), record(status=0, seconds=9)]
    told = figures([record(seconds=number / 1000) for number in range(1, 101)] + others)
    assert (told.p50, told.p95, told.slowest) == (0.051, 0.096, 0.1)
    assert figures([]).slowest == 0


@pytest.mark.parametrize(
    ("seconds", "database", "slow"),
    [(1.5, True, False), (1.6, True, True), (1.6, False, False), (6.1, False, True)],
)
def test_slowness_has_two_measures(seconds: float, database: bool, slow: bool) -> None:
    """1.5 seconds while user-svc or Redis is away, 6 while PostgreSQL is."""
    assert figures([record()] * 99 + [record(seconds=seconds, database=database)]).slow is slow


def test_most_must_be_fast() -> None:
    """Six of a hundred answers over 400 ms are too many."""
    assert not figures([record()] * 96 + [record(seconds=0.5)] * 4).slow
    assert figures([record()] * 94 + [record(seconds=0.5)] * 6).slow


def test_an_exchange_belongs_to_the_chapter_it_was_sent_in() -> None:
    """Also when its answer came in the next."""
    told = Journal()
    first, second = told.begin("first"), told.begin("second")
    second.began = 10
    told.enter(record(9.9))
    told.enter(record(10.1))
    assert [len(chapter.records) for chapter in (first, second)] == [1, 1]


@pytest.mark.parametrize("flaw", ["wrong", "lost", "late"])
def test_one_flaw_is_enough(flaw: str) -> None:
    """A wrong decision, a lost write, a stack that did not come back: each fails the drill."""
    told = Journal()
    chapter = told.begin("all there")
    told.enter(record(1))
    assert told.passed
    if flaw == "wrong":
        told.enter(record(1, wrong="a good token got 401"))
    told.lost = int(flaw == "lost")
    chapter.recovered = flaw != "late"
    assert not told.passed


@pytest.mark.parametrize("width", [80, 140])
def test_the_table_fits(journal: Journal, width: int) -> None:
    """On a terminal of 80 columns too, each chapter is one line and its name whole."""
    journal.chapters[1].title = "PostgreSQL stopped"
    journal.chapters[1].records *= 9999
    output = io.StringIO()
    Console(file=output, width=width).print(report.table(journal, width))
    rows = output.getvalue().splitlines()
    assert len(rows) == 3
    assert rows[2].startswith("PostgreSQL stopped ")
    assert "9999" in rows[2]
    assert ("seconds" in rows[0]) is (width == 140)


def test_the_report_says_what_was_wrong(journal: Journal) -> None:
    """Lost writes, the revocation lag with Redis and without, and each wrong decision with its place."""
    output = io.StringIO()
    report.show(journal, Console(file=output, width=140))
    said = output.getvalue()
    assert "101 requests, 1 wrong decisions" in said
    assert "1,234 writes were promised, 1 of them lost" in said
    assert "2 logouts while Redis was there: every process refused after p50 300 ms" in said
    assert "1 logouts while it was away or slow" in said
    assert "wrong at 2.5 s, Redis <stopped>: a good token got <401>" in said


def test_lines_for_a_pipe(journal: Journal) -> None:
    """Where there is no terminal, a line tells what begins and another what came of it."""
    output = io.StringIO()
    with Lines(output).chapter(journal.chapters[0]):
        assert output.getvalue() == "  0.0 s  all there ...\n"
    assert "2.0 s  all there: 100 requests (100 memory), 0 x 401" in output.getvalue()


def test_the_page_is_whole_and_asks_for_nothing(journal: Journal) -> None:
    """Well-formed, no script, no address to fetch, four charts; what was wrong is shown, and shown as text."""
    text = page.render(journal)
    read = Page()
    read.feed(text)
    assert read.open == []
    assert read.fetched == []
    assert "script" not in read.tags
    assert "url(" not in text
    assert read.tags.count("svg") == 4
    assert "Not all was right" in read.words
    assert "2.5 s, Redis <stopped>: a good token got <401>" in read.words


def test_the_page_of_a_good_drill() -> None:
    """Says so; and a drill in which nothing happened can be shown."""
    assert "Every decision was right" in page.render(Journal())


def test_stacks_stand_on_each_other() -> None:
    """The second series begins where the first ends, and the pointer tells both."""
    chart = stacked(Frame([], 1), "t", [Series("memory", [1]), Series("proof", [3])])
    assert heights(chart, "memory") == {linear(4)(0), linear(4)(1)}
    assert heights(chart, "proof") == {linear(4)(1), linear(4)(4)}
    assert "<title>0 s: 1 memory, 3 proof</title>" in chart


def heights(chart: str, name: str) -> set[float]:
    """The heights between which an area lies."""
    outline = chart.partition(f'class="{name}" d="M')[2].partition("Z")[0]
    return {float(point.split(",")[1]) for point in outline.split()}


def test_a_line_is_broken_where_nothing_is_known() -> None:
    """A second without an answer is a gap, not a nought."""
    chart = lines(Frame([], 3), "t", [Series("p50", [0.01, math.nan, 0.1])], limit=1.5)
    path = chart.split('class="line p50" d="')[1].split('"')[0]
    assert path.count("M") == 2
    assert "nan" not in chart


def test_bars_say_their_number() -> None:
    """An empty bar has none."""
    chart = histogram("t", {"short": 12, "long": 0})
    assert ">12<" in chart
    assert chart.count('class="bar"') == 2
    assert chart.count('class="number"') == 2


@pytest.mark.parametrize(("most", "top"), [(0, 4), (4, 4), (5, 8), (9, 12), (41, 60), (61, 80), (82, 100), (900, 1000)])
def test_axes_end_at_round_numbers(most: float, top: float) -> None:
    """Four whole steps, as few as reach."""
    assert nice(most) == top


def test_decades_are_equal() -> None:
    """On a logarithmic axis; what lies outside is at its edge."""
    scale = logarithmic(0.001, 10)
    assert scale(0.01) - scale(0.1) == pytest.approx(scale(0.1) - scale(1))
    assert scale(0) == scale(0.001)
    assert scale(99) == scale(10)
