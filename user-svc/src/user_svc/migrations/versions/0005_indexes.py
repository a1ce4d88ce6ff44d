"""Revision 0005: indexes for pages of accounts and of the audit, and for the sweep of sessions; two unused ones go."""

from alembic import op
from sqlalchemy import text

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply it; registrations and logins wait for some seconds if there are millions, and readers only for the end."""
    op.create_index("ix_accounts_created_at_id", "accounts", ["created_at", "id"])
    op.create_index("ix_audit_at_id", "audit", ["at", "id"])
    op.create_index("ix_sessions_over", "sessions", [text("least(expires_at, revoked_at)")])
    op.drop_index("ix_audit_subject_id", table_name="audit")
    op.drop_index("ix_refresh_tokens_expires_at", table_name="refresh_tokens")


def downgrade() -> None:
    """Take it back."""
    op.create_index("ix_refresh_tokens_expires_at", "refresh_tokens", ["expires_at"])
    op.create_index("ix_audit_subject_id", "audit", ["subject_id"])
    op.drop_index("ix_sessions_over", table_name="sessions")
    op.drop_index("ix_audit_at_id", table_name="audit")
    op.drop_index("ix_accounts_created_at_id", table_name="accounts")
