"""The command: build the bed, run the cases, show what came out."""

import argparse
import platform
import re
import sys
import tempfile
from pathlib import Path

import msgspec
import uvloop
from msgspec import Struct
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from devstack.bench.bed import Bed
from devstack.bench.cases import FEW, MANY, cases, chosen
from devstack.bench.cores import Cores, on, split
from devstack.bench.load import LoadError, Span
from devstack.bench.measure import Row, measure
from devstack.bench.proof import proof_us
from devstack.bench.soak import Soak, soak
from devstack.processes import StackError
from devstack.seed.options import Parser, UsageError, between

WARMUP = 0.5  # seconds
SHORTEST, LONGEST = 0.1, 60.0  # seconds
WORTH_SAYING = 0.01  # share of answers


class Options(Struct, frozen=True):
    """A checked command line."""

    seconds: float
    rounds: int
    json: bool
    only: str
    soak: int


class Result(Struct, frozen=True):
    """What was measured, where and for how long; the object that `--json` prints.

    `proof_us` is the median time to prove a token that was never seen before.
    """

    python: str
    cores: int
    pinned: bool
    seconds: float
    rounds: int
    cases: list[Row]
    proof_us: float
    soak: Soak | None = None


def main(argv: list[str]) -> int:
    """Run `bench`; returns 0, 1 when it could not measure, 2 for a wrong option, 130 after Ctrl-C."""
    try:
        options = parse(argv)
        result = run(options)
    except UsageError as error:
        return _failed(str(error), 2)
    except (StackError, LoadError) as error:
        return _failed(str(error), 1)
    except KeyboardInterrupt:
        return _failed("stopped; nothing is left running", 130)
    if options.json:
        print(msgspec.json.encode(result).decode())
    else:
        show(result)
    return 0


def parse(argv: list[str]) -> Options:
    """Read the command line.

    Raises:
        UsageError: an option is unknown, or its value is not acceptable.

    """
    parser = Parser(
        prog="bench",
        description="Measure what the guard costs: requests of todo-svc with it, against the same without.",
    )
    parser.add_argument("--seconds", type=_duration, default=3, metavar="N", help="of each run (3)")
    parser.add_argument("--rounds", type=between(1, 99), default=3, metavar="N", help="runs of each case (3)")
    parser.add_argument("--json", action="store_true", help="print one JSON object at the end and nothing else")
    parser.add_argument("--only", type=_pattern, default="", metavar="PATTERN", help="cases whose name it is found in")
    parser.add_argument(
        "--soak",
        type=between(0, 10_000_000),
        default=0,
        metavar="N",
        help="send todo-svc so many requests at the end, and tell what that does to its memory (0)",
    )
    return Options(**vars(parser.parse_args(argv)))


def _duration(text: str) -> float:
    """The type of an option that takes seconds."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not SHORTEST <= seconds <= LONGEST:
        raise argparse.ArgumentTypeError(f"must be a number from {SHORTEST:g} to {LONGEST:g}")
    return seconds


def _pattern(text: str) -> str:
    """The type of an option that takes a regular expression."""
    try:
        return re.compile(text).pattern
    except re.error as error:
        raise argparse.ArgumentTypeError(f"is no regular expression: {error}") from None


def run(options: Options) -> Result:
    """Build the bed, measure on it, and leave nothing of it.

    Raises:
        StackError: a server did not come up.
        LoadError: an answer was not what its case is about.

    """
    cores = split()
    with tempfile.TemporaryDirectory(prefix="gatehouse-bench-") as folder:
        _tell("starting PostgreSQL, Valkey and the services...")
        bed = Bed(Path(folder), cores)
        wanted = chosen(cases(bed), options.only)
        with bed.running({case.service for case in wanted}), on(cores.others):
            span = Span(min(WARMUP, options.seconds / 2), options.seconds)
            rows = uvloop.run(measure(wanted, span, options.rounds, _tell, bed.stores()))
            soaked = uvloop.run(soak(bed, options.soak)) if options.soak else None
    return _result(options, cores, rows, soaked)


def show(result: Result) -> None:
    """Print a table."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), caption=_conditions(result), caption_justify="left")
    table.add_column("case", no_wrap=True)
    for name in ("rps", "p50 ms", "p99 ms", "CPU us", "ratio", "from-to"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in result.cases:
        cost = "" if row.cpu_us is None else f"{row.cpu_us:,.0f}"
        ratio = "1" if row.ratio is None else f"{row.ratio:.2f}"
        spread = f"{row.spread[0]:.2f}-{row.spread[1]:.2f}" if row.spread else ""
        table.add_row(row.case, f"{row.rps:,.0f}", f"{row.p50_ms:.1f}", f"{row.p99_ms:.1f}", cost, ratio, spread)
    console = Console()
    console.print(table)
    for row in result.cases:
        if row.strays >= WORTH_SAYING:
            console.print(
                f"{row.case}: {row.strays:.0%} of the answers were others and do not count: the machine is busy",
                highlight=False,
            )
    if (soaked := result.soak) is not None and soaked.before is not None and soaked.after is not None:
        console.print(
            f"memory of todo-svc's worker: {soaked.before:.1f} MiB, and {soaked.after:.1f} MiB "
            f"after {soaked.requests:,} requests more",
            highlight=False,
        )


def _result(options: Options, cores: Cores, rows: list[Row], soaked: Soak | None) -> Result:
    return Result(
        python=platform.python_version(),
        cores=len(cores.measured | cores.others),
        pinned=cores.pinned,
        seconds=options.seconds,
        rounds=options.rounds,
        cases=rows,
        proof_us=proof_us(cores),
        soak=soaked,
    )


def _conditions(result: Result) -> str:
    place = "a core of its own" if result.pinned else "no core of its own"
    return (
        f"one worker on {place}, Python {result.python}, medians of {result.rounds} runs of {result.seconds:g} s; "
        f"{MANY} connections, {FEW} for what is slow; PostgreSQL without fsync; ratio of rates, to guard off "
        f"(asked, of hello: to Redis); proof of a new token {result.proof_us:.0f} us"
    )


def _tell(line: str) -> None:
    """Where we are, for a person; not among the results."""
    if sys.stderr.isatty():
        print(line, file=sys.stderr)


def _failed(line: str, code: int) -> int:
    print(f"bench: {line}", file=sys.stderr)
    return code
