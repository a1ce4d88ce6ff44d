"""Revision 0006: a second lock on ownership, under the owner filter of every statement.

It holds for the tables' own owner, and for everybody who is no superuser and has no BYPASSRLS. A later migration that
changes rows takes FORCE off for itself.
"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# Empty, not NULL, is what a setting has that was set for a transaction now over.
OWNER = "nullif(current_setting('gatehouse.owner', true), '')"
OWNED = {
    "lists": f"owner_id = {OWNER}::uuid",
    "todos": f"owner_id = {OWNER}::uuid",
    "changes": f"owner_id = {OWNER}::uuid",
    "idempotency_keys": f"scope = {OWNER}",
}
EXPIRED = "CREATE POLICY expired ON idempotency_keys USING (created_at < now() - interval '24 hours')"


def upgrade() -> None:
    """Apply it."""
    for table, owned in OWNED.items():
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY owner ON {table} USING ({owned})")
    op.execute(EXPIRED)  # anybody may clear those away


def downgrade() -> None:
    """Take it back."""
    op.execute("DROP POLICY expired ON idempotency_keys")
    for table in OWNED:
        op.execute(f"DROP POLICY owner ON {table}")
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
