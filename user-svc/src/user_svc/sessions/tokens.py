"""The only signing code: access tokens in the profile of RFC 9068, and the tokens of mailed links."""

import time
from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

import jwt
import msgspec
from msgspec import Struct
from uuid_utils import uuid7

from common.auth.tokens import ALGORITHM, TYPE
from common.dto import TokenResponse
from user_svc.sessions.schemas import Action
from user_svc.settings import Settings


class AccessTokens:
    """Signs with the first key of the ring; no e-mail, no role, nothing personal goes into a token."""

    def __init__(self, settings: Settings, *, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._clock = clock

    def issue(self, user: UUID, session: UUID, refresh_token: str) -> TokenResponse:
        """A token for this session, beside the one that gets the next."""
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
        return TokenResponse(token, "bearer", lifetime, refresh_token)


class ActionClaims(Struct, frozen=True):
    """What a mailed token says: whose it is, until when, and `state`, the hash of what it may change.

    The change alters that state, so that a token can be used once.
    """

    sub: UUID
    iat: int
    exp: int
    state: str


_PROOF_ONLY: Final[Any] = {"verify_exp": False, "verify_iat": False, "verify_aud": False, "verify_iss": False}


class ActionTokens:
    """Each kind has a type (RFC 8725 section 3.11) and an audience of its own; none is taken for another."""

    def __init__(self, settings: Settings, *, clock: Callable[[], float] = time.time) -> None:
        self._keys = settings.jwt_keys
        self._issuer = settings.jwt_issuer
        self._lifetimes = {
            Action.VERIFY: settings.verify_token_seconds,
            Action.RESET: settings.reset_token_seconds,
        }
        self._clock = clock

    def issue(self, action: Action, account: UUID, state: str) -> str:
        """A token for one change of this account, while its state is this one."""
        now = int(self._clock())
        claims = ActionClaims(account, now, now + self._lifetimes[action], state)
        return self._sign(action, self._keys.signing[0], claims)

    def read(self, action: Action, token: str) -> ActionClaims | None:
        """The claims, if this is to the byte a token that would have been issued for this action, and not expired.

        That leaves no room for what JWT libraries let through: padding, duplicate claims, numbers as strings.
        """
        try:
            kid = jwt.get_unverified_header(token).get("kid")
            key = self._keys.get(kid) if isinstance(kid, str) else None
            if kid is None or key is None:
                return None
            claims = msgspec.convert(jwt.decode(token, key, [ALGORITHM], options=_PROOF_ONLY), ActionClaims)
        except (jwt.PyJWTError, msgspec.ValidationError, RecursionError):
            return None
        known = self._sign(action, kid, claims) == token
        return claims if known and self._clock() < claims.exp else None

    def _sign(self, action: Action, kid: str, claims: ActionClaims) -> str:
        payload = {"iss": self._issuer, "aud": f"{self._issuer}:{action}", **msgspec.to_builtins(claims)}
        headers = {"typ": f"{action}+jwt", "kid": kid}
        return jwt.encode(payload, self._keys.get(kid) or b"", algorithm=ALGORITHM, headers=headers)
