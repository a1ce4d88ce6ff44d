"""The settings of proof: what every service that sees tokens is told."""

from typing import Annotated

from msgspec import Meta

from common.auth.keys import KeyRing
from common.auth.tokens import TokenVerifier
from common.settings import Settings


class TokenSettings(Settings, frozen=True, kw_only=True):
    """What it takes to prove a token."""

    jwt_keys: Annotated[
        KeyRing, Meta(description="32 random bytes each, the same for all services; the first signs, all verify")
    ]
    jwt_issuer: Annotated[str, Meta(description="`iss` of every token")] = "user-svc"
    jwt_audience: Annotated[str, Meta(description="`aud` of every token")] = "gatehouse"
    jwt_max_seconds: Annotated[
        int,
        Meta(
            ge=60,
            le=86_400,
            description="the longest life of a token that is believed; not less than `ACCESS_TOKEN_SECONDS`",
        ),
    ] = 3600


def verifier(settings: TokenSettings) -> TokenVerifier:
    """The verifier these settings describe."""
    return TokenVerifier(
        settings.jwt_keys,
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
        lifetime=settings.jwt_max_seconds,
    )
