"""The circuit breaker, on a clock that passes when told."""

from collections.abc import Callable

import pytest
from prometheus_client import REGISTRY

from common.auth.breaker import IN_A_ROW, PATIENCE, SAMPLE, WINDOW, Breaker, State


class Bench:
    """A breaker with its clock, and the limits that the jitter was asked to stay under."""

    def __init__(self, jitter: Callable[[float], float]) -> None:
        self.now = 1000.0
        self.limits: list[float] = []
        self._jitter = jitter
        self._call = 0
        self.breaker = Breaker("bench", shortest=2.0, longest=30.0, clock=lambda: self.now, jitter=self._waits)

    def _waits(self, upper: float) -> float:
        self.limits.append(upper)
        return self._jitter(upper)

    def call(self) -> int:
        """Be allowed to; where that is refused, the last one that was is still under way."""
        self._call = self.breaker.allows() or self._call
        return self._call

    def fail(self, times: int) -> None:
        """So many failures, one after the other."""
        for _ in range(times):
            self.breaker.failed(self.call())

    def succeed(self) -> None:
        """A call that is answered."""
        self.breaker.succeeded(self.call())

    def probe(self) -> None:
        """Wait until a probe may be made, and be it."""
        self.now += self.limits[-1]
        self._call = self.breaker.allows()
        assert self._call


@pytest.fixture
def bench() -> Bench:
    """A breaker that stays open as long as it may."""
    return Bench(lambda upper: upper)


def test_fifth_failure_in_a_row_opens(bench: Bench) -> None:
    """Four are bad luck, the fifth is an outage."""
    bench.fail(IN_A_ROW - 1)
    assert bench.breaker.allows()
    bench.fail(1)
    assert not bench.breaker.allows()


def test_success_ends_the_row(bench: Bench) -> None:
    """Failures count as a row only while nothing succeeds between them."""
    bench.fail(IN_A_ROW - 1)
    bench.succeed()
    bench.fail(IN_A_ROW - 1)
    assert bench.breaker.state is State.CLOSED


def alternate(bench: Bench, calls: int, seconds: float = 0.0) -> None:
    """Every other call fails, the last of them too, each so long after the one before."""
    for number in range(calls):
        bench.now += seconds
        bench.fail(1) if number % 2 else bench.succeed()


def test_half_of_a_full_sample_opens(bench: Bench) -> None:
    """A dependency that fails every other call is left alone, though it never fails five in a row."""
    alternate(bench, SAMPLE - 1)
    assert bench.breaker.allows()
    bench.fail(1)
    assert not bench.breaker.allows()


def test_less_than_half_does_not_open(bench: Bench) -> None:
    """Two failures in five are borne."""
    for number in range(5 * SAMPLE):
        bench.fail(1) if number % 5 in {1, 3} else bench.succeed()
    assert bench.breaker.state is State.CLOSED


def test_sample_that_took_longer_than_the_window_does_not_open(bench: Bench) -> None:
    """Half of 20 calls within 11 seconds is a slow trickle, and no reason."""
    alternate(bench, 5 * SAMPLE, seconds=(WINDOW + 1) / (SAMPLE - 1))
    assert bench.breaker.state is State.CLOSED


def test_sample_just_within_the_window_opens(bench: Bench) -> None:
    """Half of 20 calls within 10 seconds is."""
    alternate(bench, SAMPLE, seconds=(WINDOW - 0.1) / (SAMPLE - 1))
    assert bench.breaker.state is State.OPEN


def test_stays_open_for_its_time(bench: Bench) -> None:
    """Nobody asks before the time has come."""
    bench.fail(IN_A_ROW)
    bench.now += 1.99
    assert not bench.breaker.allows()
    bench.now += 0.01
    assert bench.breaker.allows()


def test_time_doubles_with_each_failed_probe_up_to_the_longest(bench: Bench) -> None:
    """2 s, doubled to 30 s; after a success it starts anew."""
    bench.fail(IN_A_ROW)
    for _ in range(6):
        bench.probe()
        bench.fail(1)
    assert bench.limits == [2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]
    bench.probe()
    bench.succeed()
    bench.fail(IN_A_ROW)
    assert bench.limits[-1] == 2.0


def test_outage_may_last_for_ever(bench: Bench) -> None:
    """After hours, and more failed probes than a float has powers of two, it still waits and asks."""
    bench.fail(IN_A_ROW)
    for _ in range(1100):
        bench.probe()
        bench.fail(1)
    assert bench.limits[-1] == 30.0


def test_jitter_is_full() -> None:
    """Replicas that opened together come back spread over the whole time, not at its end."""
    ends = []
    for _ in range(300):
        breaker = Breaker("bench", shortest=2.0, longest=30.0, clock=lambda: 0.0)
        for _ in range(IN_A_ROW):
            breaker.failed(breaker.allows())
        ends.append(breaker._until)
    assert 0.0 <= min(ends) < 0.2
    assert 1.8 < max(ends) <= 2.0


def test_half_open_lets_exactly_one_through(bench: Bench) -> None:
    """A hundred who wait send one probe, however long it takes."""
    bench.fail(IN_A_ROW)
    bench.now += 60
    assert sum(bench.breaker.allows() > 0 for _ in range(100)) == 1
    bench.now += 600
    assert not bench.breaker.allows()


def test_good_probe_closes(bench: Bench) -> None:
    """One answer opens the way for all, and what failed before is forgotten."""
    bench.fail(IN_A_ROW)
    bench.probe()
    bench.succeed()
    assert all(bench.breaker.allows() for _ in range(100))
    bench.fail(IN_A_ROW - 1)
    assert bench.breaker.allows()


def test_late_failures_do_not_prolong(bench: Bench) -> None:
    """Calls that were under way when it opened fail late: they are the same outage."""
    bench.fail(IN_A_ROW)
    bench.now += 1.9
    bench.fail(50)
    bench.now += 0.1
    assert bench.breaker.allows()
    assert bench.limits == [2.0]


@pytest.mark.parametrize("outcome", ["succeeded", "failed", "abandoned"])
def test_late_outcome_is_not_the_probes(bench: Bench, outcome: str) -> None:
    """A call of before the outage ends while a probe is under way: that one alone says how it is now."""
    late = bench.call()
    bench.fail(IN_A_ROW)
    bench.probe()
    getattr(bench.breaker, outcome)(late)
    assert (bench.breaker.state, bench.limits) == (State.HALF_OPEN, [2.0])
    bench.succeed()
    assert bench.breaker.state is State.CLOSED


def test_late_success_does_not_close(bench: Bench) -> None:
    """Nor does one before the probe, however good its answer is."""
    late = bench.call()
    bench.fail(IN_A_ROW)
    bench.breaker.succeeded(late)
    assert not bench.breaker.allows()


def test_remaining_time_is_that_until_the_probe(bench: Bench) -> None:
    """It runs down while open, and is nothing otherwise."""
    assert bench.breaker.remaining() == 0
    bench.fail(IN_A_ROW)
    bench.now += 0.5
    assert bench.breaker.remaining() == 1.5
    bench.probe()
    assert bench.breaker.remaining() == 0


def test_pressing_call_is_a_probe_after_five_seconds(bench: Bench) -> None:
    """However long it has failed: where nothing else will do, its return is noticed; others wait their time."""
    bench.fail(IN_A_ROW)
    for _ in range(5):
        assert bench.breaker.remaining(pressing=True) == min(PATIENCE, bench.breaker.remaining())
        bench.probe()
        bench.fail(1)
    assert bench.limits[-1] == 30.0
    bench.now += PATIENCE - 0.1
    assert not bench.breaker.allows(pressing=True)
    bench.now += 0.1
    assert (bench.breaker.allows(), bench.breaker.remaining(pressing=True)) == (0, 0)
    assert bench.breaker.allows(pressing=True)
    assert not bench.breaker.allows(pressing=True)


def test_abandoned_probe_leaves_the_place_to_the_next(bench: Bench) -> None:
    """A probe whose caller went away proves nothing, and does not block for ever."""
    bench.fail(IN_A_ROW)
    bench.probe()
    bench.breaker.abandoned(bench.call())
    assert bench.breaker.allows()
    assert not bench.breaker.allows()
    assert bench.limits == [2.0]


@pytest.mark.parametrize("failures", [0, IN_A_ROW], ids=["closed", "open"])
def test_abandoned_call_is_no_outcome(bench: Bench, failures: int) -> None:
    """A call that is given up tells nothing of the dependency."""
    bench.fail(failures)
    before = bench.breaker.state
    bench.breaker.abandoned(bench.call())
    assert bench.breaker.state is before


def test_metric_shows_the_state(bench: Bench) -> None:
    """0 closed, 1 open, 2 half-open."""
    seen = []
    steps: list[Callable[[], None]] = [lambda: bench.fail(IN_A_ROW), bench.probe, bench.succeed]
    for step in steps:
        step()
        seen.append(REGISTRY.get_sample_value("auth_breaker_state", {"dependency": "bench"}))
    assert seen == [1, 2, 0]
