"""What crosses the wire between services, and what every service says in the same shape."""

from typing import Generic, TypeVar
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
    where a password is refused.
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
