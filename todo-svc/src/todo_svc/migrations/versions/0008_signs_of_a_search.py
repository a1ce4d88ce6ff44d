"""Revision 0008: what is too short for trigrams is found by its signs, and a new todo is indexed without a question."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

# Whatever is no ASCII letter, digit or space, one by one.
MARKS = r"""
CREATE FUNCTION search_marks(text, text) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT string_to_array(translate($1 || $2, E'\x01 abcdefghijklmnopqrstuvwxyz0123456789', ''), NULL)
$$
"""
WORDS = """
CREATE INDEX ix_todo_search_words ON todo_search
USING gin (owner_id, labels, content gin_trgm_ops, description gin_trgm_ops{})
"""
# What is new waits in a list that each search goes through: a short one costs searches less, and writers no more.
PENDING = "ALTER INDEX ix_todo_search_words SET (gin_pending_list_limit = 512)"
# A new todo is in nobody's way, and need not be asked whether it is.
INDEX_NEW = """
CREATE FUNCTION index_new_todo() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO todo_search (todo_id, owner_id, created_at, content, description, labels)
    VALUES (NEW.id, NEW.owner_id, NEW.created_at, search_fold(NEW.content),
            coalesce(search_fold(NEW.description), ''), NEW.labels);
    RETURN NULL;
END $$
"""
ON_INSERT = "CREATE TRIGGER index_new_todo AFTER INSERT ON todos FOR EACH ROW EXECUTE FUNCTION {}()"
OFF_INSERT = "DROP TRIGGER index_new_todo ON todos"


def upgrade() -> None:
    """Apply it."""
    op.execute(MARKS)
    op.drop_index("ix_todo_search_words", table_name="todo_search")
    op.execute(WORDS.format(", search_marks(content, description)"))
    op.execute(PENDING)
    op.execute(INDEX_NEW)
    op.execute(OFF_INSERT)
    op.execute(ON_INSERT.format("index_new_todo"))


def downgrade() -> None:
    """Take it back."""
    op.execute(OFF_INSERT)
    op.execute(ON_INSERT.format("index_todo"))
    op.execute("DROP FUNCTION index_new_todo")
    op.drop_index("ix_todo_search_words", table_name="todo_search")
    op.execute("DROP FUNCTION search_marks")
    op.execute(WORDS.format(""))
