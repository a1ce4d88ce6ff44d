"""What every guard asks: a bearer token in, a principal out."""

from typing import Protocol

from common.auth.principal import Principal


class Authenticator(Protocol):
    """Local in user-svc, remote everywhere else."""

    def recall(self, authorization: bytes) -> Principal | None:
        """The principal of an Authorization header that was judged a moment ago and still holds; asks nobody."""
        ...

    async def authenticate(self, token: str, *, safe: bool, fresh: bool = False) -> Principal:
        """Judge a token.

        `safe` says that the method cannot change anything (RFC 9110 section 9.2.1), `fresh` that only a standing of the
        last 5 seconds will do.

        Raises:
            InvalidToken: the token was judged bad.
            Unavailable: nobody could judge it.

        """
        ...
