"""Revision 0010: where a list ends is looked at when the turn has come, and not when the statement began."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

# VOLATILE, so that it sees what was committed while the statement that calls it waited for the owner's clock.
LAST = """
CREATE FUNCTION last_position(owner uuid, list uuid) RETURNS float8 LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    RETURN coalesce((SELECT max(position) FROM todos
                     WHERE owner_id = owner AND list_id = list AND deleted_at IS NULL), 0);
END $$
"""


def upgrade() -> None:
    """Apply it."""
    op.execute(LAST)


def downgrade() -> None:
    """Take it back."""
    op.execute("DROP FUNCTION last_position")
