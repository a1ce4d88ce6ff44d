"""When each piece could surely be asked, and when that is in doubt."""

import math
from collections import defaultdict

from msgspec import Struct


class Certain(Struct, frozen=True):
    """What could be asked during the whole of one exchange; False means that it is in doubt."""

    asked: bool = True  # the service the request went to
    user_svc: bool = True
    redis: bool = True
    postgres: bool = True

    @property
    def verdict(self) -> bool:
        """Whether user-svc could judge a session: it needs PostgreSQL for that."""
        return self.user_svc and self.postgres


class Availability:
    """A doubt begins before a piece is touched and ends when the stack was seen to work again. Times are monotonic."""

    def __init__(self) -> None:
        self._doubts: dict[str, list[tuple[float, float]]] = defaultdict(list)

    def doubt(self, piece: str, since: float, until: float = math.inf) -> None:
        """It may be away in that time; without an end, until all is trusted again."""
        self._doubts[piece].append((since, until))

    def trust(self, now: float) -> None:
        """From now on everything is there."""
        for doubts in self._doubts.values():
            doubts[:] = [(began, min(ended, now)) for began, ended in doubts]

    def sure(self, piece: str, since: float, until: float) -> bool:
        """Whether it was there all the time."""
        return not any(began <= until and since <= ended for began, ended in self._doubts[piece])

    def during(self, asked: str, since: float, until: float) -> Certain:
        """What an exchange with `asked` could count on."""
        pieces = (asked, "user-svc", "redis", "postgres")
        return Certain(*(self.sure(piece, since, until) for piece in pieces))
