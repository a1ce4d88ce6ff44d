"""What this process knows of sessions: good ones for a second, dead ones for as long as their tokens could live."""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final
from uuid import UUID

from msgspec.structs import replace

from common.auth.decisions import hit
from common.auth.principal import Principal, Source, headers
from common.auth.standing import Standing

GOOD_FOR: Final = 1.0  # seconds, though the channel evicts at once
SESSIONS: Final = 10_000
TOMBSTONES: Final = 200_000
SIGNATURE: Final = 43  # characters at a header's end: they tell tokens apart, and cost a tenth of the whole to hash


class Known:
    """A good standing, until a monotonic time, with the keys of the callers that rest on it."""

    __slots__ = ("callers", "standing", "until")

    def __init__(self, standing: Standing, until: float) -> None:
        self.standing = standing
        self.until = until
        self.callers: tuple[bytes, ...] = ()  # the garbage collector stops tracking a tuple of bytes, never a set


Caller = tuple[bytes, float, Principal]
"""A whole Authorization header, until a monotonic time."""


class StandingMemory:
    """Good standings count only while `listening`: without the channel nobody would tell that one has ended.

    Tombstones always count. Both are bounded. `clock` is monotonic, `now` is seconds since the epoch.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, now: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._now = now
        self._good: OrderedDict[UUID, Known] = OrderedDict()
        self._dead: OrderedDict[UUID, float] = OrderedDict()
        self._callers: dict[bytes, Caller] = {}
        self._recall = self._callers.get
        self.listening = False

    def caller(self, authorization: bytes) -> Principal | None:
        """The principal of a whole Authorization header, and a hit: one look-up in front of everything else."""
        entry = self._recall(authorization[-SIGNATURE:])
        if entry is None or entry[0] != authorization or not self.listening:
            return None
        if entry[1] <= self._clock():
            del self._callers[authorization[-SIGNATURE:]]
            return None
        hit()
        return entry[2]

    def good(self, session: UUID) -> Standing | None:
        """The standing, if it was learnt within the last second."""
        known = self._good.get(session)
        if known is None or not self.listening or known.until <= self._clock():
            return None
        return known.standing

    def is_dead(self, session: UUID) -> bool:
        """Whether a tombstone is known."""
        until = self._dead.get(session)
        if until is None:
            return False
        if until <= self._now():
            del self._dead[session]
            return False
        return True

    def remember(self, session: UUID, standing: Standing) -> None:
        """Keep a good standing for a second; never over a tombstone, nor over a newer one."""
        known = self._good.get(session)
        if not self.listening or self.is_dead(session) or (known and known.standing.as_of > standing.as_of):
            return
        self._forget(session)
        self._good[session] = Known(standing, self._clock() + GOOD_FOR)
        if len(self._good) > SESSIONS:
            self._forget(next(iter(self._good)))

    def remember_caller(self, authorization: bytes, principal: Principal) -> None:
        """Keep whom a header stands for, as long as the standing behind it; the token must live that long.

        And no longer than what the answer says of its age, in whole seconds, is true.
        """
        known = self._good.get(principal.session)
        if known is None or known.standing is not principal.user:
            return
        if len(self._callers) >= SESSIONS:
            del self._callers[next(iter(self._callers))]
        key, age = authorization[-SIGNATURE:], max(0.0, self._now() - principal.as_of)
        until = min(known.until, self._clock() + 1.0 - age % 1.0)
        caller = replace(principal, source=Source.MEMORY, prebuilt=headers(Source.MEMORY, age))
        self._callers[key] = (authorization, until, caller)
        if key not in known.callers:
            known.callers += (key,)

    def bury(self, session: UUID, until: float) -> None:
        """Take a session for dead until then, in seconds since the epoch."""
        self._forget(session)
        self._dead[session] = max(until, self._dead.get(session, 0.0))
        if len(self._dead) > TOMBSTONES:
            self._dead.popitem(last=False)

    def replace(self, session: UUID, standing: Standing) -> None:
        """Take a changed profile over where the session is known here."""
        if session in self._good:
            self.remember(session, standing)

    def forget_good(self) -> None:
        """Drop every good standing, where something may have been missed."""
        for session in list(self._good):
            self._forget(session)
        self._callers.clear()

    def _forget(self, session: UUID) -> None:
        known = self._good.pop(session, None)
        for key in known.callers if known is not None else ():
            self._callers.pop(key, None)
