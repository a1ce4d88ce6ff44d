"""Metrics, each defined once; `/metrics` adds up those of every worker process."""

import os
from pathlib import Path

from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

from common.settings import variable

disable_created_metrics()  # type: ignore[no-untyped-call]

FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # read by prometheus_client at import; `serve` sets it for several workers

HTTP_REQUESTS = Counter("http_requests_total", "Requests answered", ["method", "route", "status"])
HTTP_SECONDS = Histogram(
    "http_request_seconds",
    "Time from a request's head to the end of its answer",
    ["route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5),
)
AUTH_DECISIONS = Counter("auth_decisions_total", "What the guard decided", ["source", "verdict", "reason"])
AUTH_SECONDS = Histogram(
    "auth_decision_seconds",
    "Time the guard took",
    ["source"],
    buckets=(0.00001, 0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0),
)
BREAKER_STATE = Gauge(
    "auth_breaker_state", "0 closed, 1 open, 2 half-open", ["dependency"], multiprocess_mode="livemax"
)
STANDING_LAG = Histogram(
    "standing_lag_seconds",
    "Time from the commit of a change to its arrival here",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0),
)
OUTBOX_OLDEST = Gauge(
    "outbox_oldest_seconds", "Age of the oldest entry not yet delivered", ["topic"], multiprocess_mode="livemax"
)
EVENTS_LAG = Gauge("events_lag", "Events of accounts not yet taken in", multiprocess_mode="livemax")
THROTTLED = Counter("throttled_total", "Tries that came too soon", ["purpose"])
USERINFO_REQUESTS = Counter("userinfo_requests_total", "Answers of user-svc's /me", ["outcome"])


def render() -> bytes:
    """All metrics in Prometheus' text format."""
    folder = variable(FOLDER)
    if not folder:
        return generate_latest(REGISTRY)
    _forget_the_dead(Path(folder))
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


def _forget_the_dead(folder: Path) -> None:
    """What a gauge of `livemax` was in a worker that has died since would hold for good."""
    for file in folder.glob("gauge_live*_*.db"):
        if not _lives(int(file.stem.rpartition("_")[2])):
            file.unlink(missing_ok=True)  # another worker may be at it


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except OSError:  # nobody has the number, or somebody else by now
        return False
    return True
