"""Revision 0006: since when an address waits for its verification, which makes a used link void for good."""

from alembic import op
from sqlalchemy import Column, DateTime, func

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply it; the default is one value for all rows, so that none is written. Links under way become void."""
    op.add_column(
        "accounts", Column("unverified_since", DateTime(timezone=True), server_default=func.now(), nullable=False)
    )


def downgrade() -> None:
    """Take it back."""
    op.drop_column("accounts", "unverified_since")
