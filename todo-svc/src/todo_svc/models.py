"""The tables of todo-svc: their shape and history. Requests read and write them in `queries` and `repository`."""

from datetime import datetime
from uuid import UUID

from advanced_alchemy.base import AdvancedDeclarativeBase, CommonTableAttributes
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from common.models import IdempotencyKeyColumns, Row, bind

metadata = bind("todo_svc")

LIVE = text("deleted_at IS NULL")
TRASHED = text("deleted_at IS NOT NULL")


class TodoList(Row):
    """A list of one owner; its title is unique among the owner's that are not in the trash."""

    __tablename__ = "lists"
    __bind_key__ = "todo_svc"
    __table_args__ = (
        UniqueConstraint("owner_id", "id"),
        Index("uq_lists_owner_id_title", "owner_id", "title", unique=True, postgresql_where=LIVE),
        Index(None, "owner_id", "created_at", "id", postgresql_where=LIVE),
        Index(None, "owner_id", "deleted_at", "id", postgresql_where=TRASHED),
    )

    owner_id: Mapped[UUID] = mapped_column(Uuid)
    title: Mapped[str] = mapped_column(String(200))
    description: Mapped[str | None] = mapped_column(Text)
    version: Mapped[int] = mapped_column(server_default=text("1"))
    deleted_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class ErasedUser(CommonTableAttributes, AdvancedDeclarativeBase):
    """The tombstone of a deleted account: a trigger on `lists` refuses its owner."""

    __tablename__ = "erased_users"
    __bind_key__ = "todo_svc"

    user_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    event: Mapped[str] = mapped_column(String(64))
    erased_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class ErasureProgress(CommonTableAttributes, AdvancedDeclarativeBase):
    """One row: the last of user-svc's deletions up to which nothing can be missing."""

    __tablename__ = "erasure_progress"
    __bind_key__ = "todo_svc"

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    sequence: Mapped[int] = mapped_column(BigInteger)


class Todo(Row):
    """A todo; the foreign key holds the owner too, so that none can stand in somebody else's list.

    `priority` is a rank (1 low, 2 medium, 3 high), so that it sorts as one. `deleted_with` is the list whose deletion
    took it into the trash.
    """

    __tablename__ = "todos"
    __bind_key__ = "todo_svc"
    __table_args__ = (
        ForeignKeyConstraint(["owner_id", "list_id"], ["lists.owner_id", "lists.id"], ondelete="CASCADE"),
        CheckConstraint("priority BETWEEN 1 AND 3", "priority"),
        Index(None, "owner_id", "list_id", "created_at", "id", postgresql_where=LIVE),
        Index(None, "owner_id", "created_at", "id", postgresql_where=LIVE),
        Index(None, "owner_id", "list_id", "position", "id", postgresql_where=LIVE),
        Index(None, "owner_id", "deleted_at", "id", postgresql_where=TRASHED),
        Index(None, "list_id"),
    )

    owner_id: Mapped[UUID] = mapped_column(Uuid)
    list_id: Mapped[UUID] = mapped_column(Uuid)
    content: Mapped[str] = mapped_column(String(1000))
    description: Mapped[str | None] = mapped_column(Text)
    priority: Mapped[int] = mapped_column(SmallInteger, server_default=text("2"))
    due_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    completed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    position: Mapped[float] = mapped_column(Double)
    version: Mapped[int] = mapped_column(server_default=text("1"))
    labels: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    deleted_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    deleted_with: Mapped[UUID | None] = mapped_column(Uuid)


class TodoSearch(CommonTableAttributes, AdvancedDeclarativeBase):
    """What a search looks through: folded text of todos that are not in the trash, kept by a trigger on `todos`.

    A table of its own, because no index serves an operator that is not leakproof on a table with row-level security.
    Nothing is answered from it but ids.
    """

    __tablename__ = "todo_search"
    __bind_key__ = "todo_svc"
    __table_args__ = (
        Index(
            "ix_todo_search_newest",
            *("owner_id", "created_at", "todo_id"),
            postgresql_where=text("created_at > '-infinity'"),
        ),
        Index(
            "ix_todo_search_words",
            "owner_id",
            "labels",
            "content",
            "description",
            text("search_marks(content, description)"),
            postgresql_using="gin",
            postgresql_ops={"content": "gin_trgm_ops", "description": "gin_trgm_ops"},
            postgresql_with={"gin_pending_list_limit": 512},
        ),
    )

    todo_id: Mapped[UUID] = mapped_column(Uuid, ForeignKey("todos.id", ondelete="CASCADE"), primary_key=True)
    owner_id: Mapped[UUID] = mapped_column(Uuid)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    content: Mapped[str] = mapped_column(Text)
    description: Mapped[str] = mapped_column(Text)
    labels: Mapped[list[str]] = mapped_column(ARRAY(Text))


class Owner(CommonTableAttributes, AdvancedDeclarativeBase):
    """An owner's clock: `seq` is the number of the last change; what was purged had numbers up to `horizon`."""

    __tablename__ = "owners"
    __bind_key__ = "todo_svc"
    __table_args__ = (Index(None, "purge_at", postgresql_where=text("purge_at IS NOT NULL")),)

    owner_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger)
    horizon: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    purge_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class Change(CommonTableAttributes, AdvancedDeclarativeBase):
    """The number of a row's last change, given by a trigger on `lists` and `todos`."""

    __tablename__ = "changes"
    __bind_key__ = "todo_svc"
    __table_args__ = (Index(None, "owner_id", "seq"),)

    owner_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    row_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    kind: Mapped[str] = mapped_column(String(4))
    seq: Mapped[int] = mapped_column(BigInteger)


class IdempotencyKey(IdempotencyKeyColumns):
    """What was answered to a request that came with a key; the scope is the owner."""

    __bind_key__ = "todo_svc"
