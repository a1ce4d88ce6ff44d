"""The tables of user-svc."""

from datetime import datetime
from typing import Any
from uuid import UUID

from advanced_alchemy.base import AdvancedDeclarativeBase, CommonTableAttributes
from sqlalchemy import BigInteger, DateTime, ForeignKey, Identity, Index, LargeBinary, String, Uuid, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column
from uuid_utils.compat import uuid7

from common.models import IdempotencyKeyColumns, Row, bind
from common.outbox import OutboxRow

metadata = bind("user_svc")


class Account(Row):
    """One person; `email_key` is the address as it is compared, `email` as it is shown.

    `unverified_since` is when the address last came to be unverified.
    """

    __tablename__ = "accounts"
    __bind_key__ = "user_svc"
    __table_args__ = (Index(None, "created_at", "id"),)

    email: Mapped[str] = mapped_column(String(320))
    email_key: Mapped[str] = mapped_column(String(320), unique=True)
    password_hash: Mapped[str] = mapped_column(String(255))
    is_active: Mapped[bool] = mapped_column(server_default=text("true"))
    is_superuser: Mapped[bool] = mapped_column(server_default=text("false"))
    is_verified: Mapped[bool] = mapped_column(server_default=text("false"))
    unverified_since: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class Session(Row):
    """One login, parent of its tokens; it ends at `expires_at`, or when it is revoked."""

    __tablename__ = "sessions"
    __bind_key__ = "user_svc"
    __table_args__ = (Index(None, "account_id"), Index("ix_sessions_over", text("least(expires_at, revoked_at)")))

    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    revoked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    last_used_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    user_agent: Mapped[str | None] = mapped_column(String(256))
    address: Mapped[str | None] = mapped_column(String(64))


class RefreshToken(CommonTableAttributes, AdvancedDeclarativeBase):
    """One refresh token, known by its SHA-256 alone.

    Once used it names its successor, sealed with the token itself: only who presents it again can read that.
    """

    __tablename__ = "refresh_tokens"
    __bind_key__ = "user_svc"
    __table_args__ = (Index(None, "session_id"),)

    token_hash: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    session_id: Mapped[UUID] = mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    used_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    successor_hash: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    sealed_successor: Mapped[bytes | None] = mapped_column(LargeBinary(32))


class AuditEntry(CommonTableAttributes, AdvancedDeclarativeBase):
    """Who did what to whom; `actor` is `user` or `cli`."""

    __tablename__ = "audit"
    __bind_key__ = "user_svc"
    __table_args__ = (Index(None, "at", "id"),)

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True, default=uuid7)
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    actor: Mapped[str] = mapped_column(String(16))
    actor_id: Mapped[UUID | None] = mapped_column(Uuid)
    action: Mapped[str] = mapped_column(String(64))
    subject_id: Mapped[UUID | None] = mapped_column(Uuid)
    details: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'"))


class Erasure(CommonTableAttributes, AdvancedDeclarativeBase):
    """An account that was deleted; others catch up by `sequence`."""

    __tablename__ = "erasures"
    __bind_key__ = "user_svc"

    sequence: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    account_id: Mapped[UUID] = mapped_column(Uuid, unique=True)
    erased_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class Tombstone(CommonTableAttributes, AdvancedDeclarativeBase):
    """A session that ended while tokens of it may live, until `until`; it outlives the session's own row."""

    __tablename__ = "tombstones"
    __bind_key__ = "user_svc"
    __table_args__ = (Index(None, "until"),)

    session_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    until: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Outbox(OutboxRow):
    """What is still to be done elsewhere: standings and events for Redis, mails."""

    __bind_key__ = "user_svc"


class IdempotencyKey(IdempotencyKeyColumns):
    """What was answered to a registration that came with a key; the scope is the address."""

    __bind_key__ = "user_svc"
