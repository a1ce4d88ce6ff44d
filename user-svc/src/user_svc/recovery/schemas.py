"""What the routes of recovery take, and what the outbox keeps of a request until its mail has left."""

from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from user_svc.accounts.schemas import Email, NewPassword
from user_svc.sessions.schemas import Action

Token = Annotated[str, Meta(min_length=1, max_length=4096, description="From the mail's link")]


class MailRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Whom to write to."""

    email: Email


class Verification(Struct, frozen=True, forbid_unknown_fields=True):
    """The proof that a mail arrived."""

    token: Token


class Reset(Struct, frozen=True, forbid_unknown_fields=True):
    """A new password, by who has the mail."""

    token: Token
    password: NewPassword


class Posted(Struct, frozen=True):
    """The payload of an outbox entry: no token is at rest; `account` is None where nobody has the address."""

    action: Action
    account: UUID | None
