"""What the routes of accounts take."""

from typing import Annotated

from msgspec import Meta, Struct


class Registration(Struct, frozen=True, forbid_unknown_fields=True):
    """A new account; nobody gives himself a flag."""

    email: Annotated[str, Meta(min_length=3, max_length=320, description="An e-mail address")]
    password: Annotated[str, Meta(description="From 8 to 1024 characters; any will do")]
