"""What crosses the wire between services, and what every service says in the same shape."""

from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from msgspec import Struct

T = TypeVar("T")


class User(Struct, frozen=True):
    """An account as others may see it: the answer of `/me`, and the standing kept in Redis."""

    id: UUID
    email: str
    is_active: bool
    is_superuser: bool
    is_verified: bool


class TokenResponse(Struct, frozen=True):
    """A successful access token response (RFC 6749 section 5.1); `expires_in` is in seconds."""

    access_token: str
    token_type: str
    expires_in: int
    refresh_token: str


class UserEvent(Struct, frozen=True):
    """Something happened to an account; the `sequence` of a deletion is its place among all deletions."""

    type: str
    user: UUID
    sequence: int = 0


class ErasedUser(Struct, frozen=True):
    """An account that was deleted."""

    sequence: int
    user: UUID
    erased_at: datetime


class ErasedUsers(Struct, frozen=True):
    """A stretch of the deletions, in order; an empty one is the end."""

    items: list[ErasedUser]


class Page(Struct, Generic[T], frozen=True):
    """One keyset page; `next_cursor` is null on the last."""

    items: list[T]
    next_cursor: str | None


class FieldError(Struct, frozen=True):
    """One wrong place in a request, such as `body.title` or `query.limit`."""

    location: str
    message: str


class Problem(Struct, frozen=True, omit_defaults=True):
    """An error on the wire (RFC 9457).

    `request_id` comes with a 5xx, `error` and `error_description` from token routes (RFC 6749 section 5.2), `reason`
    where a password is refused, `current` with a 412: the object as it is now.
    """

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    errors: list[FieldError] = []
    request_id: str | None = None
    error: str | None = None
    error_description: str | None = None
    reason: str | None = None
    current: Any = None
