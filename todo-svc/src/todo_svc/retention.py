"""How long the trash keeps what was deleted, and how an owner's row remembers when something of it is due."""

from datetime import timedelta
from typing import Final

KEPT: Final = timedelta(days=30)

DUE: Final = "UPDATE owners SET purge_at = least(purge_at, now() + {}::interval)"
"""For the statement that deletes, in the owner's turn."""
