"""The verified caller, and how much was known when the caller was let in."""

import time
from enum import StrEnum
from typing import Any, Self
from uuid import UUID

from litestar import Request
from litestar.datastructures import State
from msgspec import Struct

from common.dto import User


class Source(StrEnum):
    """Who vouched for a request, in the words of `X-Auth-Source`; `header` is that header, ready to be sent."""

    header: tuple[bytes, bytes]

    def __new__(cls, word: str) -> Self:
        """Make the header once."""
        source = str.__new__(cls, word)
        source._value_ = word
        source.header = (b"x-auth-source", word.encode())
        return source

    MEMORY = "memory"
    REDIS = "redis"
    USER_SVC = "user-svc"
    PROOF = "proof"
    BLIND = "blind"


class Claims(Struct, frozen=True):
    """What was signed (RFC 9068 section 2.2): ids, and times in seconds since the epoch."""

    subject: UUID
    session: UUID
    token_id: str
    issued_at: float
    expires_at: float


Headers = tuple[tuple[bytes, bytes], tuple[bytes, bytes]]


def headers(source: Source, age: float) -> Headers:
    """`X-Auth-Source` and `X-Auth-Age`, the latter in whole seconds."""
    return source.header, (b"x-auth-age", b"%d" % age)


class Principal(Struct, frozen=True):
    """The caller of a request; `user` is None when only the proof is known, and then nothing is privileged.

    `as_of` is when that was true, in seconds since the epoch. `prebuilt` are `headers()`, made ready
    by whoever keeps the principal.
    """

    id: UUID
    session: UUID
    source: Source
    as_of: float
    user: User | None = None
    prebuilt: Headers | None = None

    @property
    def age(self) -> float:
        """Seconds since what is known of the caller was true."""
        return max(0.0, time.time() - self.as_of)

    def headers(self) -> Headers:
        """What an answer says of it."""
        return headers(self.source, self.age)

    @property
    def is_superuser(self) -> bool:
        """Privileges come from a standing alone, never from a token."""
        return self.user is not None and self.user.is_superuser


AuthenticatedRequest = Request[Principal, Any, State]
