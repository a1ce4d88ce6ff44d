"""Serves it exactly as todo-svc is served."""

from pathlib import Path

from common.auth.remote import GuardedSettings
from common.cli import commands

main = commands("devstack.bench.bare", settings=GuardedSettings, migrations=Path())

if __name__ == "__main__":
    main()
