"""The tables of user-svc."""

from datetime import datetime
from uuid import UUID

from advanced_alchemy.base import AdvancedDeclarativeBase, CommonTableAttributes
from sqlalchemy import DateTime, ForeignKey, Index, String, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from common.models import Row, bind
from common.outbox import OutboxRow

metadata = bind("user_svc")


class Account(Row):
    """One person; `email_key` is the address as it is compared, `email` as it is shown."""

    __tablename__ = "accounts"
    __bind_key__ = "user_svc"

    email: Mapped[str] = mapped_column(String(320))
    email_key: Mapped[str] = mapped_column(String(320), unique=True)
    password_hash: Mapped[str] = mapped_column(String(255))
    is_active: Mapped[bool] = mapped_column(server_default=text("true"))
    is_superuser: Mapped[bool] = mapped_column(server_default=text("false"))
    is_verified: Mapped[bool] = mapped_column(server_default=text("false"))


class Session(Row):
    """One login, parent of its tokens; it ends at `expires_at`, or when it is revoked."""

    __tablename__ = "sessions"
    __bind_key__ = "user_svc"
    __table_args__ = (Index(None, "account_id"),)

    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    revoked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class Tombstone(CommonTableAttributes, AdvancedDeclarativeBase):
    """A session that ended while tokens of it may live, until `until`; it outlives the session's own row."""

    __tablename__ = "tombstones"
    __bind_key__ = "user_svc"
    __table_args__ = (Index(None, "until"),)

    session_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    until: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Outbox(OutboxRow):
    """What Redis has still to be told."""

    __bind_key__ = "user_svc"
