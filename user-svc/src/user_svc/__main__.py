"""The command line of user-svc."""

from pathlib import Path

from common.cli import commands
from user_svc.commands import users
from user_svc.settings import Settings

main = commands("user-svc", settings=Settings, migrations=Path(__file__).parent / "migrations")
main.add_command(users)

if __name__ == "__main__":
    main()
