"""LocalAuthenticator: in user-svc, PostgreSQL itself says whether a session still stands."""

import time
from time import perf_counter

from common.auth import Principal, Source, TokenVerifier, decisions
from common.errors import InvalidToken, Unavailable
from user_svc.sessions.repository import SessionRepository


class LocalAuthenticator:
    """Proof, then the truth; see `common.auth.Authenticator`."""

    def __init__(self, verifier: TokenVerifier, sessions: SessionRepository) -> None:
        self._verifier = verifier
        self._sessions = sessions

    def recall(self, authorization: bytes) -> Principal | None:  # noqa: ARG002 - the protocol's
        """Nothing is remembered: this is the authority."""
        return None

    async def authenticate(self, token: str, *, safe: bool, fresh: bool = False) -> Principal:  # noqa: ARG002 - always fresh
        """Judge a token; while PostgreSQL is away nobody can (`Unavailable`)."""
        started = perf_counter()
        try:
            principal = await self._judge(token)
        except InvalidToken as error:
            decisions.refused(error, token, started)
            raise
        except Unavailable as error:
            decisions.undecided(error.code, token, started)
            raise
        decisions.allowed(principal, token, started)
        return principal

    async def _judge(self, token: str) -> Principal:
        claims = self._verifier.verify(token)
        user = await self._sessions.standing(claims.session, claims.subject)
        if user is None:
            raise InvalidToken("revoked", "the session of this access token has ended", source=Source.USER_SVC)
        return Principal(user.id, claims.session, Source.USER_SVC, time.time(), user)
