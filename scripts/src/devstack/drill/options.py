"""What the person asked for on the command line."""

import argparse
from pathlib import Path
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from devstack import places
from devstack.drill.phases import BY_NAME, PHASES, SHORT, Phase
from devstack.seed.options import Parser, between

REPORT: Final = places.RUN / "drill.html"
# Seconds after the command's start; then all must work once more, and what was written is read back.
LIMIT: Final = 155.0  # of three minutes
SHORT_LIMIT: Final = 52.0  # of one
# Seconds to wait after each phase until all was seen to work again.
PATIENCE: Final = 10.0
SHORT_PATIENCE: Final = 3.0

EPILOG: Final = """\
The stack of its own is gone at the end. One that is named with --data is left running as it was found, with the
drill's users in it, and after the rotation with a second key until its `up` ends; it is presumed to have
AUTH_BLIND=read. Exit code 1: an answer was wrong, or a write that was promised is lost."""


class Options(Struct, frozen=True, kw_only=True):
    """A checked command line; no phase begins that would not be over `limit` seconds after the command began."""

    phases: tuple[Phase, ...]
    limit: float
    patience: float
    report: Path
    rate: int
    data: Path | None


def parse(argv: list[str]) -> Options:
    """Read the command line.

    Raises:
        UsageError: an option is unknown, or its value is not acceptable.

    """
    given = _parser().parse_args(argv)
    phases = given.phases or (shortened() if given.short else PHASES)
    return Options(
        phases=phases,
        limit=SHORT_LIMIT if given.short else LIMIT,
        patience=SHORT_PATIENCE if given.short else PATIENCE,
        report=given.report.absolute(),
        rate=given.rate,
        data=given.data.absolute() if given.data else None,
    )


def shortened() -> tuple[Phase, ...]:
    """The phases that matter most, most of them for less than half as long."""
    return tuple(replace(BY_NAME[name], seconds=seconds) for name, seconds in SHORT.items())


def chosen(text: str) -> tuple[Phase, ...]:
    """The type of `--phases`: names with commas between, each with its own seconds if `:SECONDS` follows."""
    phases = []
    for word in text.split(","):
        name, _, seconds = word.partition(":")
        if name not in BY_NAME:
            raise argparse.ArgumentTypeError(f"{name} is no phase; there are {', '.join(BY_NAME)}")
        phase = BY_NAME[name]
        try:
            phases.append(replace(phase, seconds=float(seconds or phase.seconds)))
        except ValueError:
            raise argparse.ArgumentTypeError(f"{seconds} is no number of seconds") from None
    return tuple(phases)


def _parser() -> Parser:
    parser = Parser(
        prog="./scripts/drill",
        description=(
            "Stop, pause, kill and return user-svc, Redis and PostgreSQL in turn, flush Redis, rotate the key, all"
            " under load, and judge every answer. Takes at most 3 minutes."
        ),
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--short", action="store_true", help="what matters most, in less than a minute")
    where = "where the HTML report goes (default: .run/drill.html)"
    parser.add_argument("--report", type=Path, default=REPORT, metavar="FILE", help=where)
    parser.add_argument(
        "--rate", type=between(5, 1000), default=50, metavar="N", help="requests a second, whatever the answers (50)"
    )
    parser.add_argument("--data", type=Path, metavar="DIR", help="drill the stack that runs on this data folder")
    parser.add_argument("--phases", type=chosen, help=argparse.SUPPRESS)
    return parser
