"""The settings of user-svc."""

from typing import Annotated

from msgspec import Meta

from common.auth import TokenSettings


class Settings(TokenSettings, frozen=True, kw_only=True):
    """What user-svc is told besides; times are in seconds. The argon2id defaults are OWASP's."""

    access_token_seconds: Annotated[int, Meta(ge=30, le=3600)] = 600
    session_seconds: Annotated[int, Meta(ge=60)] = 30 * 24 * 3600
    password_minimum: Annotated[int, Meta(ge=8, le=128)] = 8
    argon2_memory_kib: Annotated[int, Meta(ge=8, le=4_194_304)] = 19_456
    argon2_passes: Annotated[int, Meta(ge=1, le=100)] = 2
    argon2_lanes: Annotated[int, Meta(ge=1, le=64)] = 1
    password_threads: Annotated[int, Meta(ge=1, le=64)] = 2
    password_queue: Annotated[int, Meta(ge=1, le=10_000)] = 64
