"""Revision 0004: every change of an owner's gets a number, in the order in which changes become visible."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TABLES = {"lists": "list", "todos": "todo"}

# Once per statement, in its own transaction: who has the owner's row has the next numbers, and keeps it until the
# commit that makes them visible. So a reader who sees a number sees every one before it, and none is ever skipped.
FUNCTION = """
CREATE FUNCTION number_changes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    WITH counted AS (
        SELECT owner_id, count(*) AS changes FROM changed GROUP BY owner_id
    ), clock AS (
        INSERT INTO owners AS o (owner_id, seq) SELECT owner_id, changes FROM counted ORDER BY owner_id
        ON CONFLICT (owner_id) DO UPDATE SET seq = o.seq + excluded.seq
        RETURNING o.owner_id, o.seq
    )
    INSERT INTO changes (owner_id, kind, row_id, seq)
    SELECT owner_id, TG_ARGV[0], changed.id,
           clock.seq - counted.changes + row_number() OVER (PARTITION BY owner_id ORDER BY changed.id)
    FROM changed JOIN counted USING (owner_id) JOIN clock USING (owner_id)
    ON CONFLICT (owner_id, row_id) DO UPDATE SET seq = excluded.seq;
    RETURN NULL;
END $$
"""
TRIGGER = """
CREATE TRIGGER number_{event} AFTER {event} ON {table} REFERENCING NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION number_changes('{kind}')
"""
FILL = """
INSERT INTO changes (owner_id, kind, row_id, seq)
SELECT owner_id, kind, id, row_number() OVER (PARTITION BY owner_id ORDER BY updated_at, id) FROM (
    SELECT owner_id, 'list' AS kind, id, updated_at FROM lists
    UNION ALL SELECT owner_id, 'todo', id, updated_at FROM todos
) AS everything
"""
START = "INSERT INTO owners (owner_id, seq) SELECT owner_id, max(seq) FROM changes GROUP BY owner_id"


def upgrade() -> None:
    """Apply it."""
    op.create_table(
        "owners",
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("horizon", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("purge_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("owner_id", name="pk_owners"),
    )
    op.create_index("ix_owners_purge_at", "owners", ["purge_at"], postgresql_where=sa.text("purge_at IS NOT NULL"))
    op.create_table(
        "changes",
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("row_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=4), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("owner_id", "row_id", name="pk_changes"),
    )
    op.execute(FILL)
    op.create_index("ix_changes_owner_id_seq", "changes", ["owner_id", "seq"])
    op.execute(START)
    op.execute(FUNCTION)
    for table, kind in TABLES.items():
        for event in ("INSERT", "UPDATE"):
            op.execute(TRIGGER.format(table=table, kind=kind, event=event))


def downgrade() -> None:
    """Take it back."""
    for table in TABLES:
        for event in ("INSERT", "UPDATE"):
            op.execute(f"DROP TRIGGER number_{event} ON {table}")
    op.execute("DROP FUNCTION number_changes")
    op.drop_table("changes")
    op.drop_table("owners")
