"""The settings of proof: what every service that sees tokens is told."""

from typing import Annotated

from msgspec import Meta

from common.auth.keys import KeyRing
from common.auth.tokens import TokenVerifier
from common.settings import Settings


class TokenSettings(Settings, frozen=True, kw_only=True):
    """What it takes to prove a token."""

    jwt_keys: KeyRing
    jwt_issuer: str = "user-svc"
    jwt_audience: str = "gatehouse"
    jwt_max_seconds: Annotated[int, Meta(ge=60, le=86_400)] = 3600


def verifier(settings: TokenSettings) -> TokenVerifier:
    """The verifier these settings describe."""
    return TokenVerifier(
        settings.jwt_keys,
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
        lifetime=settings.jwt_max_seconds,
    )
