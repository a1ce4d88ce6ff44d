"""`./scripts/up`: PostgreSQL, Valkey and both services in the foreground, until Ctrl-C."""

import asyncio
import os
import tempfile
from pathlib import Path

from devstack.processes import StackError
from devstack.up.options import parse
from devstack.up.supervisor import Supervisor


def main(argv: list[str]) -> int:
    """Run the stack; 0 when it was told to end, 1 when it could not start."""
    options = parse(argv)
    os.umask(0o077)  # logs, mails and data are the user's own
    try:
        if not options.ephemeral:
            return asyncio.run(Supervisor(options, options.data).run())
        with tempfile.TemporaryDirectory(prefix="gatehouse-", ignore_cleanup_errors=True) as folder:
            return asyncio.run(Supervisor(options, Path(folder)).run())
    except OSError as error:
        raise StackError(f"{error.filename or 'the system'} refuses: {error.strerror}") from error
