"""Whether a caller may still be answered, for an answer that takes long: a logout ends it within a second."""

from time import monotonic
from typing import Any, Final

from common.auth.authenticator import Authenticator
from common.auth.guard import bearer
from common.errors import ServiceError

EVERY: Final = 0.4  # seconds


class Recheck:
    """Of one request, whose token is judged again and again as if it came anew, but not more often than that."""

    def __init__(self, authenticator: Authenticator, headers: Any) -> None:
        self._authenticator = authenticator
        self._token = bearer(headers)
        self._due = monotonic() + EVERY

    @property
    def rest(self) -> float:
        """Seconds for which there is nothing to ask."""
        return max(0.0, self._due - monotonic())

    async def stands(self) -> bool:
        """Whether it would be let in now: not when the session has ended, the token expired, or nobody can tell."""
        if self.rest:
            return True
        self._due = monotonic() + EVERY
        try:
            await self._authenticator.authenticate(self._token, safe=True)
        except ServiceError:
            return False
        return True
