"""Revision 0005: the pages of accounts and of the audit have an index each; what no statement used has none."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply it; whoever registers waits for some seconds if there are millions, and readers only for the end."""
    op.create_index("ix_accounts_created_at_id", "accounts", ["created_at", "id"])
    op.create_index("ix_audit_at_id", "audit", ["at", "id"])
    op.drop_index("ix_audit_subject_id", table_name="audit")
    op.drop_index("ix_refresh_tokens_expires_at", table_name="refresh_tokens")


def downgrade() -> None:
    """Take it back."""
    op.create_index("ix_refresh_tokens_expires_at", "refresh_tokens", ["expires_at"])
    op.create_index("ix_audit_subject_id", "audit", ["subject_id"])
    op.drop_index("ix_audit_at_id", table_name="audit")
    op.drop_index("ix_accounts_created_at_id", table_name="accounts")
