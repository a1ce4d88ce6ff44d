"""Serves it exactly as todo-svc is served."""

from pathlib import Path

from common.cli import commands
from todo_svc.settings import Settings

main = commands("devstack.bench.raw", settings=Settings, migrations=Path())

if __name__ == "__main__":
    main()
