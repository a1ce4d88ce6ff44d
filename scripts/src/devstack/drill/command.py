"""The command: a stack, the traffic, the phases, the report, and an exit code that says whether all was right."""

import asyncio
import sys
import time
from pathlib import Path

from rich.console import Console

from devstack.drill import page, report
from devstack.drill.availability import Availability
from devstack.drill.conductor import LAST_PATIENCE, Conductor
from devstack.drill.journal import Journal
from devstack.drill.options import Options, parse
from devstack.drill.processes import Processes
from devstack.drill.readback import lost
from devstack.drill.recovery import Recovery
from devstack.drill.referee import Referee
from devstack.drill.revocation import Revocation
from devstack.drill.screen import Growing, Lines, Screen
from devstack.drill.sessions import Sessions
from devstack.drill.stack import Stack, running
from devstack.drill.traffic import Traffic
from devstack.drill.wire import Wire
from devstack.processes import StackError
from devstack.seed.options import UsageError


def main(argv: list[str]) -> int:
    """Run the drill; 0 when all was right, 1 when not, 2 for a wrong option or a stack that will not do."""
    try:
        options = parse(argv)
        _write(options.report, "")  # it would be late to learn at the end that it cannot be
        journal = asyncio.run(drill(options))
        _write(options.report, page.render(journal))
    except (UsageError, StackError) as error:
        return _failed(str(error), 2)
    except KeyboardInterrupt:
        return _failed("stopped", 130)
    report.show(journal, Console(width=None if sys.stdout.isatty() else report.WIDE))
    print(f"report: {options.report}")
    return 0 if journal.passed else 1


async def drill(options: Options) -> Journal:
    """Run all of it.

    Raises:
        StackError: the stack could not be started or steered, or does not take the drill's users.

    """
    end = time.monotonic() + options.limit
    print("starting a stack of its own ..." if options.data is None else f"drilling {options.data} ...", flush=True)
    async with running(options.data) as stack, Wire(stack.urls) as wire:
        sessions = Sessions()
        await sessions.prepare(wire)
        stack.learn_key(next(sessions.steady))
        try:
            return await _play(options, stack, wire, sessions, end=end)
        except ExceptionGroup as failures:
            raise _first(failures) from None


async def _play(options: Options, stack: Stack, wire: Wire, sessions: Sessions, *, end: float) -> Journal:
    todo, user = (Processes(stack, wire, name) for name in ("todo-svc", "user-svc"))
    recovery = Recovery(stack, sessions, todo, user)
    if not await recovery.wait(LAST_PATIENCE):
        raise StackError("the stack does not work as a whole even before the drill: look at ./scripts/stack status")
    journal, availability = Journal(), Availability()
    referee = Referee(availability, journal)
    traffic = Traffic(stack, wire, sessions, referee, Revocation(wire, todo, referee))
    with _screen(journal) as screen:
        conductor = Conductor(stack, recovery, availability=availability, journal=journal, screen=screen)
        ended = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(traffic.run(options.rate, ended))
            await conductor.play(options.phases, end=journal.at(end), patience=options.patience)
            ended.set()
    journal.written = sum(map(len, traffic.written.values()))
    journal.lost = await lost(wire, sessions, traffic.written)
    stack.check_rotation(await sessions.open(wire, sessions.accounts[0]))
    for service in (todo, user):
        await service.close()
    return journal


def _screen(journal: Journal) -> Screen:
    return Growing(journal, Console()) if sys.stdout.isatty() else Lines(sys.stdout)


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path} cannot be written ({error.strerror}): choose another place with --report") from error


def _first(failures: ExceptionGroup[Exception]) -> Exception:
    first = failures.exceptions[0]
    return _first(first) if isinstance(first, ExceptionGroup) else first


def _failed(line: str, code: int) -> int:
    print(f"drill: {line}", file=sys.stderr)
    return code
