"""What `up` says on the terminal."""

import os
import sys

from rich.console import Console
from rich.table import Table

from devstack.processes import Server
from devstack.up.pieces import Pieces
from devstack.up.settings import DEMO_EMAIL, DEMO_PASSWORD, plain_address

# One pipeline, and no token among the arguments of a process.
TRY_IT = (
    "curl -s {todo}/auth/jwt/login -d username={email} -d password={password}"
    """ | sed -E 's/.*"access_token": *"([^"]+)".*/Authorization: Bearer \\1/'"""
    " | curl -s {todo}/lists -H @-"
)


def say(line: str) -> None:
    """One line, at once, also into a pipe; when its reader has gone, the stack runs on in silence."""
    try:
        print(line, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def show(stack: Pieces) -> None:
    """The pieces, where they are and how to go on; the last line is for programs that wait."""
    Console(width=None if Console().is_terminal else 100).print(_table(stack))
    user, todo = (service.url for service in stack.services)
    say(f"docs   {user}/docs  {todo}/docs")
    if stack.options.seed:
        say(f"login  {DEMO_EMAIL} / {DEMO_PASSWORD}")
        say(f"try    {try_it(todo)}")
    if stack.mail_folder:
        say(f"mail   {stack.mail_folder}; links are shown here as mails come")
    say(f"data   {stack.folder}")
    say("Ctrl-C stops everything; ./scripts/stack steers the pieces from another terminal.")
    say("ready")


def try_it(todo_url: str) -> str:
    """A shell line that logs the demo user in and shows its lists."""
    return TRY_IT.format(todo=todo_url, email=DEMO_EMAIL, password=DEMO_PASSWORD)


def _table(stack: Pieces) -> Table:
    table = Table("piece", "address", "pid", box=None, pad_edge=False)
    for service in stack.services:
        table.add_row(service.name, service.url, _pid(service))
    table.add_row("postgres", plain_address(stack.database_server), _pid(stack.postgres))
    table.add_row("redis", plain_address(stack.redis_url), _pid(stack.redis))
    return table


def _pid(server: Server | None) -> str:
    process = server.process if server else None
    return str(process.pid) if process else "external"
