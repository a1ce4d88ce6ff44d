"""What the routes of accounts take."""

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

Email = Annotated[str, Meta(min_length=3, max_length=320, description="An e-mail address")]
NewPassword = Annotated[str, Meta(description="At least 8 characters, any of them; from 15 on it need not be uncommon")]


class Registration(Struct, frozen=True, forbid_unknown_fields=True):
    """A new account; nobody gives himself a flag."""

    email: Email
    password: NewPassword


class ProfileChange(Struct, frozen=True, forbid_unknown_fields=True):
    """What an owner changes of the account; the password has a route of its own."""

    email: Email | UnsetType = UNSET
    current_password: str | UnsetType = UNSET


class PasswordChange(Struct, frozen=True, forbid_unknown_fields=True):
    """A new password, by who knows the old one."""

    current_password: str
    new_password: NewPassword
