"""What the person asked for on the command line, checked before anything is sent."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import httpx
from msgspec import Struct

MOST_OBJECTS = 10_000_000
"""More than this in one run is a slip of the finger: at 500 a second it would take over five hours."""


BULK = {"users": 10_000, "lists": 5, "todos": 20}
"""What `--bulk` makes unless told otherwise: a million todos."""


class UsageError(Exception):
    """One line that says which option is wrong and what it takes."""


class Options(Struct, frozen=True, kw_only=True):
    """A checked command line."""

    users: int = 3
    lists: int = 3
    todos: int = 5
    seed: int = 1
    concurrency: int = 8
    user_url: str = "http://127.0.0.1:8001"
    todo_url: str = "http://127.0.0.1:8002"
    json: bool = False
    bulk: bool = False
    data: Path | None = None

    @property
    def objects(self) -> int:
        """How many users, lists and todos there will be in all."""
        return self.users * (1 + self.lists * (1 + self.todos))


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaint is one line."""

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the usage."""
        raise UsageError(f"{message} (see --help)")


def parse(argv: list[str]) -> Options:
    """Read the command line.

    Raises:
        UsageError: an option is unknown, or its value is not acceptable.

    """
    parser = _parser()
    if parser.parse_known_args(argv)[0].bulk:
        parser.set_defaults(**BULK)
    options = Options(**vars(parser.parse_args(argv)))
    if options.objects > MOST_OBJECTS:
        raise UsageError(
            f"--users, --lists and --todos come to {options.objects:,} objects; the most in one run is {MOST_OBJECTS:,}"
        )
    return options


def between(least: int, most: int) -> Callable[[str], int]:
    """The type of an option that takes a whole number within bounds."""

    def convert(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if not least <= number <= most:
            raise argparse.ArgumentTypeError(f"must be a whole number from {least} to {most}")
        return number

    return convert


def service_url(text: str) -> str:
    """The type of an option that takes the address of a service."""
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        url = httpx.URL()
    if url.scheme not in {"http", "https"} or not url.host:
        raise argparse.ArgumentTypeError("must look like http://127.0.0.1:8001")
    if url.userinfo or url.query or url.fragment:
        raise argparse.ArgumentTypeError("must be an address without credentials, query or fragment")
    return text.rstrip("/")


def _parser() -> Parser:
    parser = Parser(
        prog="seed",
        description="Fill running services with example data over HTTP. Repeating a command adds nothing.",
        epilog="With --bulk every run adds users; the defaults are then 10000 users, 5 lists, 20 todos.",
    )
    default = Options()
    for name, least, most, text in (
        ("users", 1, 1_000_000, "how many users"),
        ("lists", 0, 10_000, "lists of each user"),
        ("todos", 0, 100_000, "todos in each list"),
        ("seed", 0, 2**31 - 1, "what all content derives from"),
        ("concurrency", 1, 256, "users worked on at once"),
    ):
        value = getattr(default, name)
        parser.add_argument(
            f"--{name}", type=between(least, most), default=value, metavar="N", help=f"{text} ({value})"
        )
    for name in ("user", "todo"):
        value = getattr(default, f"{name}_url")
        help_text = f"where {name}-svc listens ({value})"
        parser.add_argument(f"--{name}-url", type=service_url, default=value, metavar="URL", help=help_text)
    parser.add_argument("--bulk", action="store_true", help="add users straight into PostgreSQL, by COPY")
    parser.add_argument("--data", type=Path, metavar="DIR", help="with --bulk: the data folder of the stack meant")
    parser.add_argument("--json", action="store_true", help="print one JSON object at the end and nothing else")
    return parser
