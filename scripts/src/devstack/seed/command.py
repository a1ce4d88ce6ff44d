"""The command: options in, the work with its progress, and at the end what was done and who can log in."""

import asyncio
import sys
import time

import httpx
import msgspec
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from devstack.processes import StackError
from devstack.seed import bulk
from devstack.seed.api import Api
from devstack.seed.content import Account, Content
from devstack.seed.options import Options, UsageError, parse
from devstack.seed.progress import Bar, Lines, Progress, Silent
from devstack.seed.seeder import KINDS, Seeder
from devstack.seed.service import SeedError

STOPPED = ("stopped; run the same command again to finish", "stopped; what is loaded so far is whole")
SHOWN = 10  # users whose credentials are shown at the end


class Report(Struct, frozen=True):
    """What a run has done; the object that `--json` prints."""

    users: list[Account]
    created: dict[str, int]
    existing: dict[str, int]
    seconds: float
    requests: int


def main(argv: list[str]) -> int:
    """Run `seed`; returns 0, 2 for a wrong option or a service that is away, 130 after Ctrl-C."""
    try:
        options = parse(argv)
    except UsageError as error:
        return _failed(str(error), 2)
    try:
        report = asyncio.run(_load(options) if options.bulk else _seed(options))
    except (SeedError, StackError) as error:
        return _failed(str(error), 2)
    except KeyboardInterrupt:
        return _failed(STOPPED[options.bulk], 130)
    if options.json:
        print(msgspec.json.encode(report).decode())
    else:
        _show(report, options)
    return 0


async def seed(options: Options, client: httpx.AsyncClient, progress: Progress) -> Report:
    """Check that both services are there, then fill them.

    Raises:
        SeedError: one is away, or answered what it should not.

    """
    started = time.monotonic()
    content = Content(options.seed)
    api = Api(client, options.user_url, options.todo_url, progress.notice)
    await api.check()
    seeder = Seeder(options, content, api, progress)
    with progress:
        await seeder.run()
    return Report(
        users=[content.account(user) for user in range(min(options.users, SHOWN))],
        created=seeder.created,
        existing=seeder.existing,
        seconds=round(time.monotonic() - started, 3),
        requests=api.requests,
    )


async def _load(options: Options) -> Report:
    return await load(options, bulk.find(options), _progress(options))


async def load(options: Options, databases: bulk.Databases, progress: Progress) -> Report:
    """Add that many users with all they have, past the services.

    Raises:
        SeedError: PostgreSQL is away, or will not have it.

    """
    started = time.monotonic()
    loader, people = bulk.Loader(databases, progress), bulk.People(options)
    with bulk.refused():
        async with databases.claimed() as first:
            with progress:
                await loader.run(people, first)
    return Report(
        users=[people.account(number) for number in range(first, first + min(options.users, SHOWN))],
        created=loader.created,
        existing=dict.fromkeys(KINDS, 0),
        seconds=round(time.monotonic() - started, 3),
        requests=0,
    )


async def _seed(options: Options) -> Report:
    limits = httpx.Limits(max_connections=options.concurrency, max_keepalive_connections=options.concurrency)
    # trust_env: a proxy set in the environment would be asked for 127.0.0.1 as well
    async with httpx.AsyncClient(limits=limits, timeout=10, trust_env=False) as client:
        return await seed(options, client, _progress(options))


def _progress(options: Options) -> Progress:
    if options.json:
        return Silent()
    if sys.stdout.isatty():
        return Bar(options.objects, Console())
    return Lines(options.objects, sys.stdout)


def _show(report: Report, options: Options) -> None:
    """Say what was done and print the credentials, which are those of development users."""
    more = options.users - len(report.users)
    table = Table(caption=f"and {more:,} more" if more else None)
    for name in ("e-mail", "password"):
        table.add_column(name, overflow="fold")
    for account in report.users:
        table.add_row(account.email, account.password)
    console = Console()
    console.print(table)
    counted = [("created", report.created), ("already there", report.existing)]
    for verb, counts in counted[:1] if options.bulk else counted:
        console.print(verb, ", ".join(f"{count:,} {kind}" for kind, count in counts.items()), highlight=False)
    done = f"{sum(report.created.values()):,} rows" if options.bulk else f"{report.requests:,} requests"
    console.print(f"{done} in {report.seconds:.1f} s", highlight=False)


def _failed(line: str, code: int) -> int:
    print(f"seed: {line}", file=sys.stderr)
    return code
