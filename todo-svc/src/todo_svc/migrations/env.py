"""What Alembic runs for todo-svc."""

from common.migrations import run
from todo_svc.models import metadata

run(metadata)
