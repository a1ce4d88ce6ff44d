"""The tables of user-svc, as SQLAlchemy has them."""

import pytest

from user_svc.models import Account, Session, metadata


def test_the_tables_are_those_of_user_svc_alone() -> None:
    """Another service's models in the same process never get into our migrations."""
    assert set(metadata.tables) == {
        "accounts",
        "audit",
        "erasures",
        "idempotency_keys",
        "outbox",
        "refresh_tokens",
        "sessions",
        "tombstones",
    }


@pytest.mark.parametrize("model", [Account, Session])
def test_every_constraint_has_a_name_of_ours(model: type[Account | Session]) -> None:
    """A migration can name what it drops: no name is left to PostgreSQL."""
    names = [str(constraint.name) for constraint in model.__table__.constraints]  # type: ignore[attr-defined]

    assert all(name.split("_")[0] in {"pk", "uq", "fk", "ck", "ix"} for name in names), names


def test_times_have_a_zone() -> None:
    """No time of ours depends on a server's clock setting."""
    columns = [column for table in metadata.sorted_tables for column in table.columns if column.name.endswith("_at")]

    assert len(columns) == 13
    assert all(getattr(column.type, "timezone", False) for column in columns)
