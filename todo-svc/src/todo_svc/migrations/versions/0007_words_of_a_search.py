"""Revision 0007: what is searched in says where its words begin, and has one sigma."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# A control character stands in front of each word: no index of trigrams knows it, and all know that a word begins.
FOLD = r"""
CREATE OR REPLACE FUNCTION search_fold(text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT regexp_replace(translate(lower(unaccent('unaccent'::regdictionary, $1)), U&'\03C2', U&'\03C3'),
                          '([[:alnum:]]+)', E'\x01\\1', 'g')
$$
"""
FOLD_BEFORE = """
CREATE OR REPLACE FUNCTION search_fold(text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT lower(unaccent('unaccent'::regdictionary, $1))
$$
"""
REFILL = "UPDATE todo_search SET content = search_fold(content), description = search_fold(description)"
REFILL_BEFORE = r"""
UPDATE todo_search SET content = translate(content, E'\x01', ''), description = translate(description, E'\x01', '')
"""


def upgrade() -> None:
    """Apply it."""
    op.execute(FOLD)
    op.execute(REFILL)  # folding what is folded only adds to it


def downgrade() -> None:
    """Take it back."""
    op.execute(FOLD_BEFORE)
    op.execute(REFILL_BEFORE)
