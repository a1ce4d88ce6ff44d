"""The tables of todo-svc: their shape and history. Requests read and write them in `queries` and `repository`."""

from datetime import datetime
from uuid import UUID

from advanced_alchemy.base import AdvancedDeclarativeBase, CommonTableAttributes
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    Double,
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
from sqlalchemy.orm import Mapped, mapped_column

from common.models import Row, bind

metadata = bind("todo_svc")


class TodoList(Row):
    """A list of one owner; its title is unique among the owner's."""

    __tablename__ = "lists"
    __bind_key__ = "todo_svc"
    __table_args__ = (
        UniqueConstraint("owner_id", "title"),
        UniqueConstraint("owner_id", "id"),
    )

    owner_id: Mapped[UUID] = mapped_column(Uuid)
    title: Mapped[str] = mapped_column(String(200))
    description: Mapped[str | None] = mapped_column(Text)
    version: Mapped[int] = mapped_column(server_default=text("1"))


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

    `priority` is a rank (1 low, 2 medium, 3 high), so that it sorts as one.
    """

    __tablename__ = "todos"
    __bind_key__ = "todo_svc"
    __table_args__ = (
        ForeignKeyConstraint(["owner_id", "list_id"], ["lists.owner_id", "lists.id"], ondelete="CASCADE"),
        CheckConstraint("priority BETWEEN 1 AND 3", "priority"),
        Index(None, "owner_id", "list_id", "created_at", "id"),
        Index(None, "owner_id", "created_at", "id"),
        Index(None, "list_id", "position"),
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
