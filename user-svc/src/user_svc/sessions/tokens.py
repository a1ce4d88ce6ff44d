"""The only signing code: access tokens in the profile of RFC 9068."""

import time
from collections.abc import Callable
from uuid import UUID

import jwt
from uuid_utils import uuid7

from common.auth.tokens import ALGORITHM, TYPE
from common.dto import TokenResponse
from user_svc.settings import Settings


class AccessTokens:
    """Signs with the first key of the ring; no e-mail, no role, nothing personal goes into a token."""

    def __init__(self, settings: Settings, *, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._clock = clock

    def issue(self, user: UUID, session: UUID) -> TokenResponse:
        """A token for this session."""
        now, lifetime = int(self._clock()), self._settings.access_token_seconds
        kid, key = self._settings.jwt_keys.signing
        claims = {
            "iss": self._settings.jwt_issuer,
            "aud": self._settings.jwt_audience,
            "sub": str(user),
            "sid": str(session),
            "jti": str(uuid7()),
            "iat": now,
            "exp": now + lifetime,
        }
        token = jwt.encode(claims, key, algorithm=ALGORITHM, headers={"typ": TYPE, "kid": kid})
        return TokenResponse(access_token=token, token_type="bearer", expires_in=lifetime)  # noqa: S106 - a scheme
