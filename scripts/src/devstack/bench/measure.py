"""Runs the cases in rounds, so that a drift of the machine meets all of them, and takes the medians."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from statistics import median

from msgspec import Struct, structs

from devstack.bench.cases import Case
from devstack.bench.cores import processor_seconds
from devstack.bench.load import PATIENCE, LoadError, Span, drive

SERVICE = ""  # among the stores' names


class Row(Struct, frozen=True):
    """What is known of a case; `ratio` is its rate to that of its baseline, `spread` the least and most it was.

    `strays` is the share of answers that were not what the case is about; `stores_us` what a request costs PostgreSQL
    and Redis, in microseconds of a core, as `cpu_us` is what it costs the service.
    """

    case: str
    rps: float
    p50_ms: float
    p99_ms: float
    cpu_us: float | None
    strays: float
    baseline: str | None
    ratio: float | None = None
    spread: tuple[float, float] | None = None
    stores_us: dict[str, float] = {}


async def measure(
    cases: list[Case], span: Span, rounds: int, tell: Callable[[str], None], stores: Mapping[str, int]
) -> list[Row]:
    """Every case in every round; `tell` hears which, `stores` are the processes of what stands behind all services.

    A first round, a short one, counts nothing: what is measured first would be measured cold, and that is a baseline.
    The order turns round each time, so that none is always ahead of its baseline in whatever the machine does.

    Raises:
        LoadError: a case got an answer that it is not about; names the case.

    """
    measured: list[list[Row]] = []
    for number in range(rounds + 1):
        rows: dict[str, Row] = {}
        for case in cases[:: -1 if number % 2 else 1]:
            tell(f"round {number} of {rounds}: {case.name}" if number else f"warming up: {case.name}")
            rows[case.name] = await _run(case, span if number else Span(span.warmup, span.warmup), stores)
        if number:
            measured.append(compare([rows[case.name] for case in cases]))
    return [middle(runs) for runs in zip(*measured, strict=True)]


def compare(rows: list[Row]) -> list[Row]:
    """Set each rate of a round against that of its baseline."""
    rate = {row.case: row.rps for row in rows}
    return [structs.replace(row, ratio=row.rps / rate[row.baseline]) if row.baseline else row for row in rows]


def middle(runs: Sequence[Row]) -> Row:
    """The median of each figure over the rounds."""
    costs = [run.cpu_us for run in runs if run.cpu_us is not None]
    ratios = [run.ratio for run in runs if run.ratio is not None]
    return Row(
        runs[0].case,
        median(run.rps for run in runs),
        median(run.p50_ms for run in runs),
        median(run.p99_ms for run in runs),
        median(costs) if costs else None,
        median(run.strays for run in runs),
        runs[0].baseline,
        median(ratios) if ratios else None,
        (min(ratios), max(ratios)) if ratios else None,
        {store: median(run.stores_us[store] for run in runs) for store in runs[0].stores_us},
    )


async def _run(case: Case, span: Span, stores: Mapping[str, int]) -> Row:
    requests = await case.prepare(span)
    before = _processors(case, stores)
    try:
        async with _beside(case.beside, span):
            figures = await drive(case.service.port, requests, span, expect=case.expect, connections=case.connections)
    except (LoadError, OSError) as error:
        raise LoadError(f"{case.name}: {error}") from None
    after = _processors(case, stores)
    costs = {name: (after[name] - before[name]) / figures.answers * 1e6 for name in before if name in after}
    cpu = costs.pop(SERVICE, None)
    figure = (figures.rps, figures.p50, figures.p99)
    return Row(case.name, *figure, cpu, figures.strays, case.baseline, stores_us=costs)


@asynccontextmanager
async def _beside(case: Case | None, span: Span) -> AsyncIterator[None]:
    """Keep the service busy with another case while the block runs."""
    if case is None:
        yield
        return
    requests, longer = await case.prepare(span), Span(span.warmup, span.measured + PATIENCE)
    load = asyncio.create_task(
        drive(case.service.port, requests, longer, expect=case.expect, connections=case.connections)
    )
    try:
        yield
    finally:
        load.cancel()
        await asyncio.gather(load, return_exceptions=True)
        # What the service has taken on it still does, in turn: the next case must not be measured beside that.
        await drive(case.service.port, requests, Span(0, 0), expect=case.expect, connections=1)


def _processors(case: Case, stores: Mapping[str, int]) -> dict[str, float]:
    """Seconds of a processor by now, of the service and of each store, as far as the system tells."""
    process = case.service.process
    spent = {name: processor_seconds(pid, family=True) for name, pid in stores.items()}
    spent[SERVICE] = processor_seconds(process.pid) if process else None
    return {name: seconds for name, seconds in spent.items() if seconds is not None}
