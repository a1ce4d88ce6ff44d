"""What every table has: a UUIDv7 key, and names for its constraints that do not depend on chance."""

from datetime import datetime
from uuid import UUID

from advanced_alchemy.base import AdvancedDeclarativeBase, CommonTableAttributes
from sqlalchemy import DateTime, LargeBinary, MetaData, SmallInteger, String, Uuid, func
from sqlalchemy.orm import Mapped, mapped_column
from uuid_utils.compat import uuid7

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Row(CommonTableAttributes, AdvancedDeclarativeBase):
    """A table's row; each service sets `__bind_key__`, so that its tables are its own."""

    __abstract__ = True

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True, default=uuid7, sort_order=-100)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now(), sort_order=100)
    updated_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.now(), onupdate=func.now(), sort_order=101
    )


class IdempotencyKeyColumns(CommonTableAttributes, AdvancedDeclarativeBase):
    """The table that `common.idempotency` reads and writes; each service makes one of its own."""

    __abstract__ = True
    __tablename__ = "idempotency_keys"

    scope: Mapped[str] = mapped_column(String(320), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary)
    status: Mapped[int] = mapped_column(SmallInteger)
    etag: Mapped[str | None] = mapped_column(String(64))
    body: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now(), index=True)


def bind(key: str) -> MetaData:
    """The metadata of one service's tables, with our names for constraints."""
    metadata = AdvancedDeclarativeBase.__metadata_registry__.get(key)
    metadata.naming_convention = NAMING
    return metadata
