"""`./scripts/stack`: looks at and steers the pieces of a running `up` from another terminal."""

import argparse
import json
import os
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from devstack import control, places
from devstack.processes import StackError
from devstack.up.settings import plain_address

NAMES = ("postgres", "redis", "user-svc", "todo-svc")
STEERING = {
    "stop": "end it cleanly; returns when it is gone",
    "start": "bring it back with the same port and settings; returns when it is ready",
    "kill": "SIGKILL to all its processes",
    "pause": "freeze all its processes (SIGSTOP)",
    "resume": "let them go on (SIGCONT)",
}
# Only the name: a value may be a secret, and has no place among a process' arguments.
ENV_HELP = "a variable of this terminal that the service gets, now and at later starts"
FOLLOW_EVERY = 0.2


def main(argv: list[str]) -> int:
    """Carry out one command; 0 when it is done."""
    options = _parser().parse_args(argv)
    folder = options.data.absolute() if options.data else running_folder()
    command: Callable[[argparse.Namespace, Path], None] = options.run
    command(options, folder)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "./scripts/stack", description="Look at and steer the pieces of a running ./scripts/up."
    )
    parser.add_argument("--data", type=Path, metavar="DIR", help="the data folder of the stack meant, when several run")
    verbs = parser.add_subparsers(required=True, metavar="COMMAND")
    status = verbs.add_parser("status", help="what runs, where, with which processes")
    status.add_argument("--json", action="store_true", help="for programs; holds the passwords")
    status.set_defaults(run=_status)
    for verb, meaning in STEERING.items():
        steering = verbs.add_parser(verb, help=meaning)
        steering.add_argument("name", choices=NAMES)
        steering.set_defaults(run=_steer, verb=verb, variables=[])
        if verb == "start":
            steering.add_argument("--env", action="append", dest="variables", metavar="NAME", help=ENV_HELP)
    pids = verbs.add_parser("pids", help="its processes, one per line")
    pids.add_argument("name", choices=NAMES)
    pids.set_defaults(run=_pids)
    logs = verbs.add_parser("logs", help="what it wrote")
    logs.add_argument("name", choices=NAMES)
    logs.add_argument("-f", "--follow", action="store_true", help="go on as it writes, until Ctrl-C")
    logs.add_argument("-n", "--lines", type=int, default=40, metavar="N", help="how many lines (default: 40)")
    logs.set_defaults(run=_logs)
    return parser


def running_folder() -> Path:
    """The data folder of the one stack that runs; notes of stacks that are gone are cleared away."""
    running = []
    for note in sorted(places.RUN.glob("*.stack")):
        folder = Path(os.fsdecode(note.read_bytes()))
        if control.listens(folder):
            running.append(folder)
        else:
            note.unlink(missing_ok=True)
    if len(running) > 1:
        raise StackError(f"several stacks run ({', '.join(map(str, running))}): choose one with --data")
    return running[0] if running else places.DATA


def _status(options: argparse.Namespace, folder: Path) -> None:
    status = control.ask(folder, "status")
    if options.json:
        print(json.dumps(status))
        return
    print(f"{'piece':<10} {'state':<9} {'address':<24} processes")
    for name in NAMES:
        piece = status[name]
        print(f"{name:<10} {piece['state']:<9} {_address(piece):<24} {' '.join(map(str, piece['pids']))}")


def _address(piece: dict[str, Any]) -> str:
    url = piece.get("url") or next(iter(piece["databases"].values())) or ""
    return url if url.startswith("http") else plain_address(url)


def _steer(options: argparse.Namespace, folder: Path) -> None:
    if missing := [name for name in options.variables if name not in os.environ]:
        raise StackError(f"{missing[0]} is not set in this terminal: set and export it first")
    variables = {name: os.environ[name] for name in options.variables}
    print(control.ask(folder, options.verb, options.name, variables))


def _pids(options: argparse.Namespace, folder: Path) -> None:
    for pid in control.ask(folder, "pids", options.name):
        print(pid)


def _logs(options: argparse.Namespace, folder: Path) -> None:
    path = folder / f"logs/{options.name}.log"
    try:
        with path.open(encoding="utf-8", errors="replace") as log:
            sys.stdout.writelines(deque(log, maxlen=max(options.lines, 0)))
            sys.stdout.flush()
            if options.follow:
                _follow(log)
    except FileNotFoundError as error:
        raise StackError(f"there is no log of {options.name} in {folder}") from error


def _follow(log: TextIO) -> None:
    while True:
        sys.stdout.write(log.read())
        sys.stdout.flush()
        time.sleep(FOLLOW_EVERY)
