"""What the routes of administration take and give."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType


class Flags(Struct, frozen=True, forbid_unknown_fields=True):
    """A change of an account's flags; what is absent stays."""

    is_active: bool | UnsetType = UNSET
    is_superuser: bool | UnsetType = UNSET
    is_verified: bool | UnsetType = UNSET


class Actor(Struct, frozen=True):
    """Who does it: a user, or somebody at the command line."""

    kind: Literal["user", "cli"]
    id: UUID | None = None


class AuditRecord(Struct, frozen=True):
    """Who did what to whom, and when."""

    id: UUID
    at: datetime
    actor: str
    actor_id: UUID | None
    action: str
    subject_id: UUID | None
    details: dict[str, Any]
