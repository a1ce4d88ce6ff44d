"""Revision 0003: a trash, labels, and a table to search in."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

LIVE = sa.text("deleted_at IS NULL")
EXTENSIONS = ("pg_trgm", "btree_gin", "unaccent")

# `unaccent` is only STABLE because its dictionary could be changed; ours is named, and never is.
FOLD = """
CREATE FUNCTION search_fold(text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT lower(unaccent('unaccent'::regdictionary, $1))
$$
"""
# Escaped after folding: folding makes an ASCII wildcard of a full-width one.
PATTERN = r"""
CREATE FUNCTION search_pattern(text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT replace(replace(replace(search_fold($1), '\', '\\'), '%', '\%'), '_', '\_')
$$
"""
FILL = """
INSERT INTO todo_search (todo_id, owner_id, created_at, content, description, labels)
SELECT id, owner_id, created_at, search_fold(content), search_fold(coalesce(description, '')), labels FROM todos
"""
FUNCTION = """
CREATE FUNCTION index_todo() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.deleted_at IS NOT NULL THEN
        DELETE FROM todo_search WHERE todo_id = NEW.id;
    ELSE
        INSERT INTO todo_search (todo_id, owner_id, created_at, content, description, labels)
        VALUES (NEW.id, NEW.owner_id, NEW.created_at, search_fold(NEW.content),
                search_fold(coalesce(NEW.description, '')), NEW.labels)
        ON CONFLICT (todo_id) DO UPDATE
        SET content = excluded.content, description = excluded.description, labels = excluded.labels;
    END IF;
    RETURN NULL;
END $$
"""
ON_INSERT = "CREATE TRIGGER index_new_todo AFTER INSERT ON todos FOR EACH ROW EXECUTE FUNCTION index_todo()"
ON_UPDATE = """
CREATE TRIGGER index_changed_todo AFTER UPDATE ON todos FOR EACH ROW WHEN (
    (OLD.content, OLD.description, OLD.labels, OLD.deleted_at)
    IS DISTINCT FROM (NEW.content, NEW.description, NEW.labels, NEW.deleted_at)
) EXECUTE FUNCTION index_todo()
"""


def upgrade() -> None:
    """Apply it."""
    for extension in EXTENSIONS:  # trusted ones: the database's owner may
        op.execute(f"CREATE EXTENSION IF NOT EXISTS {extension}")
    op.execute(FOLD)
    op.execute(PATTERN)
    _columns()
    _indexes()
    _search()


def downgrade() -> None:
    """Take it back; what is in the trash is gone."""
    for table in ("todos", "lists"):
        op.execute(f"DELETE FROM {table} WHERE deleted_at IS NOT NULL")  # noqa: S608 - our own names
    for trigger in ("index_new_todo", "index_changed_todo"):
        op.execute(f"DROP TRIGGER {trigger} ON todos")
    op.execute("DROP FUNCTION index_todo")
    op.drop_table("todo_search")
    _indexes_back()
    for column in ("labels", "deleted_at", "deleted_with"):
        op.drop_column("todos", column)
    op.drop_column("lists", "deleted_at")
    op.execute("DROP FUNCTION search_pattern")
    op.execute("DROP FUNCTION search_fold")
    for extension in EXTENSIONS:
        op.execute(f"DROP EXTENSION {extension}")


def _columns() -> None:
    op.add_column("lists", sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("todos", sa.Column("labels", ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False))
    op.add_column("todos", sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("todos", sa.Column("deleted_with", sa.Uuid(), nullable=True))


def _indexes() -> None:
    op.drop_constraint("uq_lists_owner_id_title", "lists")
    op.create_index("uq_lists_owner_id_title", "lists", ["owner_id", "title"], unique=True, postgresql_where=LIVE)
    op.create_index("ix_lists_owner_id_created_at_id", "lists", ["owner_id", "created_at", "id"], postgresql_where=LIVE)
    for name in (
        "ix_todos_list_id_position",
        "ix_todos_owner_id_created_at_id",
        "ix_todos_owner_id_list_id_created_at_id",
    ):
        op.drop_index(name, table_name="todos")
    for columns in (
        ["owner_id", "list_id", "created_at", "id"],
        ["owner_id", "created_at", "id"],
        ["owner_id", "list_id", "position", "id"],
    ):
        op.create_index(f"ix_todos_{'_'.join(columns)}", "todos", columns, postgresql_where=LIVE)
    op.create_index("ix_todos_list_id", "todos", ["list_id"])  # of the foreign key
    gone = sa.text("deleted_at IS NOT NULL")
    op.create_index("ix_todos_owner_id_deleted_at_id", "todos", ["owner_id", "deleted_at", "id"], postgresql_where=gone)
    op.create_index("ix_lists_owner_id_deleted_at_id", "lists", ["owner_id", "deleted_at", "id"], postgresql_where=gone)


def _indexes_back() -> None:
    for table, name in (
        ("todos", "ix_todos_owner_id_deleted_at_id"),
        ("lists", "ix_lists_owner_id_deleted_at_id"),
        ("todos", "ix_todos_list_id"),
        ("todos", "ix_todos_owner_id_list_id_position_id"),
        ("todos", "ix_todos_owner_id_created_at_id"),
        ("todos", "ix_todos_owner_id_list_id_created_at_id"),
        ("lists", "ix_lists_owner_id_created_at_id"),
        ("lists", "uq_lists_owner_id_title"),
    ):
        op.drop_index(name, table_name=table)
    op.create_index("ix_todos_list_id_position", "todos", ["list_id", "position"])
    op.create_index("ix_todos_owner_id_created_at_id", "todos", ["owner_id", "created_at", "id"])
    op.create_index("ix_todos_owner_id_list_id_created_at_id", "todos", ["owner_id", "list_id", "created_at", "id"])
    op.create_unique_constraint("uq_lists_owner_id_title", "lists", ["owner_id", "title"])


def _search() -> None:
    op.create_table(
        "todo_search",
        sa.Column("todo_id", sa.Uuid(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("labels", ARRAY(sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(["todo_id"], ["todos.id"], name="fk_todo_search_todo_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("todo_id", name="pk_todo_search"),
    )
    op.execute(FILL)
    op.create_index("ix_todo_search_owner_id_created_at_todo_id", "todo_search", ["owner_id", "created_at", "todo_id"])
    op.create_index(
        "ix_todo_search_words",
        "todo_search",
        ["owner_id", "labels", "content", "description"],
        postgresql_using="gin",
        postgresql_ops={"content": "gin_trgm_ops", "description": "gin_trgm_ops"},
    )
    op.execute(FUNCTION)
    op.execute(ON_INSERT)
    op.execute(ON_UPDATE)
