"""What the routes of sessions take, and what can be signed."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

from common.errors import ServiceError


class Action(StrEnum):
    """What a mailed link allows."""

    VERIFY = "verify"
    RESET = "reset"


class TokenError(ServiceError):
    """A refused token request (RFC 6749 section 5.2): a 400 that also speaks OAuth2."""

    status = 400
    code = "INVALID_REQUEST"

    def __init__(self, detail: str, *, error: str = "invalid_request", code: str | None = None) -> None:
        super().__init__(detail, code=code, members={"error": error, "error_description": detail})


class Refresh(Struct, frozen=True):
    """The form of the refresh grant (RFC 6749 section 6)."""

    refresh_token: Annotated[str, Meta(min_length=1, max_length=512)]

    @classmethod
    def of(cls, form: dict[str, str]) -> "Refresh":
        """Read the form.

        Raises:
            TokenError: something is missing, or another grant is asked for.

        """
        if form.get("grant_type") != "refresh_token":
            raise TokenError("only the refresh_token grant is offered here", error="unsupported_grant_type")
        try:
            return msgspec.convert({"refresh_token": form.get("refresh_token", "")}, cls)
        except msgspec.ValidationError:
            raise TokenError("refresh_token is required") from None


class SessionInfo(Struct, frozen=True):
    """A session as its owner sees it; `current` is the one that asks."""

    id: UUID
    created_at: datetime
    last_used_at: datetime
    user_agent: str | None
    address: str | None
    current: bool


class Credentials(Struct, frozen=True):
    """The form of the password grant (RFC 6749 section 4.3.2)."""

    username: Annotated[str, Meta(min_length=1, max_length=320)]
    password: Annotated[str, Meta(min_length=1, max_length=65_536)]
    grant_type: Literal["password"] = "password"
    scope: str = ""

    @classmethod
    def of(cls, form: dict[str, str]) -> "Credentials":
        """Read the form; fields that are not known are ignored (RFC 6749 section 3.2).

        Raises:
            TokenError: something is missing, or another grant is asked for.

        """
        if form.get("grant_type") not in (None, "", "password"):
            raise TokenError("only the password grant is offered here", error="unsupported_grant_type")
        try:
            return msgspec.convert({name: value for name, value in form.items() if value}, cls)
        except msgspec.ValidationError:
            raise TokenError("username and password are required") from None
