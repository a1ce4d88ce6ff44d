"""What Alembic runs for user-svc."""

from common.migrations import run
from user_svc.models import metadata

run(metadata)
