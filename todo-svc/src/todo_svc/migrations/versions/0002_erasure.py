"""Revision 0002: tombstones of deleted accounts, and the trigger that keeps their rows from coming back."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# plpgsql takes a new snapshot for each statement: behind the lock it sees an erasure that had the lock before.
FUNCTION = """
CREATE FUNCTION refuse_erased_owner() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtextextended(NEW.owner_id::text, 0));
    IF EXISTS (SELECT FROM erased_users WHERE user_id = NEW.owner_id) THEN
        RAISE EXCEPTION 'the account was deleted' USING ERRCODE = 'GH001';
    END IF;
    RETURN NEW;
END $$
"""
TRIGGER = """
CREATE TRIGGER refuse_erased_owner BEFORE INSERT ON lists FOR EACH ROW EXECUTE FUNCTION refuse_erased_owner()
"""


def upgrade() -> None:
    """Apply it."""
    op.create_table(
        "erased_users",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("event", sa.String(length=64), nullable=False),
        sa.Column("erased_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_erased_users")),
    )
    op.create_table(
        "erasure_progress",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_erasure_progress")),
    )
    op.execute(FUNCTION)
    op.execute(TRIGGER)


def downgrade() -> None:
    """Take it back."""
    op.execute("DROP TRIGGER refuse_erased_owner ON lists")
    op.execute("DROP FUNCTION refuse_erased_owner")
    op.drop_table("erasure_progress")
    op.drop_table("erased_users")
