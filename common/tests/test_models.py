"""What every table has."""

from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.schema import CreateIndex, CreateTable

from common.models import NAMING, Row, bind

metadata = bind("test_models")


class Owner(Row):
    """A table to look at."""

    __tablename__ = "owners"
    __bind_key__ = "test_models"


class Thing(Row):
    """A table that points at it."""

    __tablename__ = "things"
    __bind_key__ = "test_models"
    __table_args__ = (UniqueConstraint("owner_id", "name"), Index(None, "name"))

    owner_id: Mapped[UUID] = mapped_column(ForeignKey("owners.id"))
    name: Mapped[str] = mapped_column(String(10))


def test_tables_of_a_service_are_its_own() -> None:
    """Two services in one process do not see each other's tables."""
    assert set(metadata.tables) == {"owners", "things"}
    assert bind("test_models_other").tables == {}


def test_constraints_are_named_by_what_they_are() -> None:
    """A migration can name what it drops, and an error says which rule was broken."""
    table = Thing.metadata.tables["things"]
    names = {str(constraint.name) for constraint in table.constraints} | {str(index.name) for index in table.indexes}
    assert names == {"pk_things", "fk_things_owner_id", "uq_things_owner_id_name", "ix_things_name"}
    assert metadata.naming_convention == NAMING


def test_columns_of_every_table() -> None:
    """The key first, the times last, and the database knows what time it is."""
    table = Thing.metadata.tables["things"]
    assert [column.name for column in table.columns] == ["id", "owner_id", "name", "created_at", "updated_at"]
    text = str(CreateTable(table).compile(dialect=postgresql.dialect()))  # type: ignore[no-untyped-call]
    assert "created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL" in text
    index = next(iter(table.indexes))
    assert "ix_things_name" in str(CreateIndex(index).compile(dialect=postgresql.dialect()))  # type: ignore[no-untyped-call]


def test_keys_are_in_the_order_they_were_made() -> None:
    """UUIDv7 (RFC 9562 section 5.7): new rows go to the end of the index."""
    default = Thing.metadata.tables["things"].columns["id"].default
    assert default is not None
    keys = [default.arg(None) for _ in range(100)]  # type: ignore[attr-defined]
    assert keys == sorted(keys)
    assert {key.version for key in keys} == {7}
    assert all(type(key) is UUID for key in keys)
