"""A circuit breaker: a dependency that fails is left alone for a while, then asked by one request only."""

import random
import time
from collections import deque
from collections.abc import Callable
from enum import StrEnum
from types import TracebackType
from typing import Final

from common.telemetry.metrics import BREAKER_STATE

IN_A_ROW: Final = 5
SAMPLE: Final = 20
WINDOW: Final = 10.0  # seconds the sample may span
BUSY: Final = 0.5  # share of failures in a full sample
PATIENCE: Final = 5.0  # seconds until the next probe, at most, where nothing but an answer will do


class State(StrEnum):
    """What the breaker lets through: everything, nothing, or one probe."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class BreakerOpen(Exception):
    """No call may be made now."""


class Breaker:
    """Opens after 5 failures in a row, or when half of the last 20 calls within 10 s failed.

    It stays open for `shortest` seconds, doubled with each probe that fails up to `longest`, with full jitter, so that
    replicas do not come back in step; for a call that is `pressing` no longer than `PATIENCE`, jitter included. Times
    are seconds of a monotonic `clock`. An outcome counts only in the state in which its call was allowed, so that no
    late answer passes for the probe's.
    """

    def __init__(
        self,
        dependency: str,
        *,
        shortest: float,
        longest: float,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[float], float] = lambda upper: random.uniform(0, upper),  # noqa: S311 - no secret
    ) -> None:
        self._shortest = shortest
        self._longest = longest
        self._clock = clock
        self._jitter = jitter
        self._metric = BREAKER_STATE.labels(dependency)
        self._outcomes: deque[tuple[float, bool]] = deque(maxlen=SAMPLE)
        self._row = 0
        self._upper = shortest
        self._until = self._until_pressing = 0.0
        self._generation = 1
        self.state = State.CLOSED

    def attempt(self, *failures: type[BaseException], pressing: bool = False) -> "Attempt":
        """`with breaker.attempt(OSError):` around a call; any other exception says nothing of the dependency."""
        return Attempt(self, failures, pressing=pressing)

    def allows(self, *, pressing: bool = False) -> int:
        """The generation to name with the call's outcome, 0 if none may be made; the first after `OPEN` probes."""
        if self.state is State.OPEN and self._clock() >= self._end(pressing=pressing):
            self._enter(State.HALF_OPEN)
            return self._generation
        return self._generation if self.state is State.CLOSED else 0

    def remaining(self, *, pressing: bool = False) -> float:
        """Seconds for which it stays open; 0 in another state."""
        return max(0.0, self._end(pressing=pressing) - self._clock()) if self.state is State.OPEN else 0.0

    def succeeded(self, generation: int) -> None:
        """The dependency answered."""
        if generation != self._generation:
            return
        self._row = 0
        if self.state is State.CLOSED:
            self._outcomes.append((self._clock(), True))
        else:
            self._outcomes.clear()
            self._upper = self._shortest
            self._enter(State.CLOSED)

    def failed(self, generation: int) -> None:
        """The dependency gave no usable answer."""
        if generation != self._generation:
            return
        self._row += 1
        self._outcomes.append((self._clock(), False))
        if self.state is State.HALF_OPEN or self._row >= IN_A_ROW or self._is_busy_failing():
            self._open()

    def abandoned(self, generation: int) -> None:
        """The call was given up without an outcome; after the probe's end so, the next call may be one."""
        if generation == self._generation and self.state is State.HALF_OPEN:
            self._until = self._until_pressing = self._clock()
            self._enter(State.OPEN)

    def _end(self, *, pressing: bool) -> float:
        return self._until_pressing if pressing else self._until

    def _is_busy_failing(self) -> bool:
        since = self._clock() - WINDOW
        failures = sum(not good for when, good in self._outcomes if when >= since)
        return len(self._outcomes) == SAMPLE and self._outcomes[0][0] >= since and failures >= SAMPLE * BUSY

    def _open(self) -> None:
        upper, self._upper = self._upper, min(self._longest, self._upper * 2)
        self._row = 0
        now, wait = self._clock(), self._jitter(upper)
        self._until, self._until_pressing = now + wait, now + wait * min(1.0, PATIENCE / upper)
        self._enter(State.OPEN)

    def _enter(self, state: State) -> None:
        self.state = state
        self._generation += 1
        self._metric.set(list(State).index(state))


class Attempt:
    """A call the breaker hears of, however it ends: a probe without an outcome would be the last.

    Raises:
        BreakerOpen: at the beginning of the block, which is not entered.

    """

    __slots__ = ("_breaker", "_failures", "_generation", "_pressing")

    def __init__(self, breaker: Breaker, failures: tuple[type[BaseException], ...], *, pressing: bool) -> None:
        self._breaker = breaker
        self._failures = failures
        self._pressing = pressing
        self._generation = 0

    def __enter__(self) -> None:
        self._generation = self._breaker.allows(pressing=self._pressing)
        if not self._generation:
            raise BreakerOpen

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._breaker.succeeded(self._generation)
        elif issubclass(kind, self._failures):
            self._breaker.failed(self._generation)
        else:
            self._breaker.abandoned(self._generation)
