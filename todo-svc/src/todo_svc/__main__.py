"""The command line of todo-svc."""

from pathlib import Path

from common.auth import explain
from common.cli import commands
from todo_svc.commands import users
from todo_svc.settings import Settings

main = commands("todo-svc", settings=Settings, migrations=Path(__file__).parent / "migrations")
main.add_command(explain.commands("todo-svc", Settings))
main.add_command(users)

if __name__ == "__main__":
    main()
