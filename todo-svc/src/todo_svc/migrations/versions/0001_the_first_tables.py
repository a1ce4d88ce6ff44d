"""Revision 0001: the first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply it."""
    op.create_table(
        "lists",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lists")),
        sa.UniqueConstraint("owner_id", "id", name=op.f("uq_lists_owner_id_id")),
        sa.UniqueConstraint("owner_id", "title", name=op.f("uq_lists_owner_id_title")),
    )
    op.create_table(
        "todos",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("list_id", sa.Uuid(), nullable=False),
        sa.Column("content", sa.String(length=1000), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("priority", sa.SmallInteger(), server_default=sa.text("2"), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("position", sa.Double(), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("priority BETWEEN 1 AND 3", name=op.f("ck_todos_priority")),
        sa.ForeignKeyConstraint(
            ["owner_id", "list_id"],
            ["lists.owner_id", "lists.id"],
            name=op.f("fk_todos_owner_id_list_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_todos")),
    )
    op.create_index(op.f("ix_todos_list_id_position"), "todos", ["list_id", "position"], unique=False)
    op.create_index(op.f("ix_todos_owner_id_created_at_id"), "todos", ["owner_id", "created_at", "id"], unique=False)
    op.create_index(
        op.f("ix_todos_owner_id_list_id_created_at_id"),
        "todos",
        ["owner_id", "list_id", "created_at", "id"],
        unique=False,
    )


def downgrade() -> None:
    """Take it back."""
    op.drop_index(op.f("ix_todos_owner_id_list_id_created_at_id"), table_name="todos")
    op.drop_index(op.f("ix_todos_owner_id_created_at_id"), table_name="todos")
    op.drop_index(op.f("ix_todos_list_id_position"), table_name="todos")
    op.drop_table("todos")
    op.drop_table("lists")
