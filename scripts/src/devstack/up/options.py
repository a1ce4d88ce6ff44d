"""The command line of `up`."""

import argparse
from dataclasses import dataclass
from pathlib import Path

from devstack.places import DATA

EPILOG = """\
Every setting of a service that stands in the environment wins over what `up` makes up (JWT_KEYS,
CORS_ORIGINS, LOG_LEVEL...). DATABASE_URL and REDIS_URL name servers of yours to use instead of the embedded
ones; USER_DATABASE_URL and TODO_DATABASE_URL name one service's database exactly.
`./scripts/stack` steers the pieces from another terminal."""
HIGHEST_PORT = 65535


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for."""

    data: Path
    ephemeral: bool
    user_port: int
    todo_port: int
    postgres_port: int
    redis_port: int
    workers: int
    seed: bool


def parse(argv: list[str]) -> Options:
    """Read the command line; a wrong one ends the program with code 2."""
    parser = argparse.ArgumentParser(
        "./scripts/up",
        description="Start PostgreSQL, Valkey, user-svc and todo-svc; Ctrl-C stops them all.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    place = parser.add_mutually_exclusive_group()
    place.add_argument(
        "--data", type=Path, default=DATA, metavar="DIR", help="where everything is kept (default: .data)"
    )
    place.add_argument(
        "--ephemeral", action="store_true", help="keep everything in a temporary folder, gone at the end"
    )
    for name, default in (("user", 8001), ("todo", 8002), ("postgres", 15432), ("redis", 16379)):
        parser.add_argument(f"--{name}-port", type=_port, default=default, metavar="PORT", help=f"default: {default}")
    parser.add_argument("--workers", type=_count, default=1, metavar="N", help="processes per service (default: 1)")
    parser.add_argument("--no-seed", dest="seed", action="store_false", help="do not make the demo user and its list")
    chosen = vars(parser.parse_args(argv))
    return Options(**chosen | {"data": chosen["data"].absolute()})


def _port(text: str) -> int:
    if not (text.isdecimal() and 0 < int(text) <= HIGHEST_PORT):
        raise argparse.ArgumentTypeError(f"{text} is no port: give a number from 1 to {HIGHEST_PORT}")
    return int(text)


def _count(text: str) -> int:
    if not (text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text} is no number of processes: give 1 or more")
    return int(text)
