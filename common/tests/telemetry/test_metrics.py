"""Metrics: what `/metrics` shows, of one process and of several."""

import os
import subprocess
import sys
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from common.telemetry import metrics

WORKER = """
from common.telemetry import metrics
metrics.USERINFO_REQUESTS.labels("good").inc(3)
metrics.EVENTS_LAG.set(7)
"""
SHOW = "import sys; from common.telemetry import metrics; sys.stdout.write(metrics.render().decode())"


def sample(text: str, name: str, **labels: str) -> float | None:
    """The value of one sample."""
    found = [
        entry.value
        for family in text_string_to_metric_families(text)
        for entry in family.samples
        if entry.name == name and entry.labels == labels
    ]
    return found[0] if found else None


def test_one_process_shows_its_own() -> None:
    """In Prometheus' text format."""
    before = sample(metrics.render().decode(), "userinfo_requests_total", outcome="odd_401") or 0.0
    metrics.USERINFO_REQUESTS.labels("odd_401").inc()
    assert sample(metrics.render().decode(), "userinfo_requests_total", outcome="odd_401") == before + 1


def test_several_processes_are_added_up(tmp_path: Path) -> None:
    """Whichever worker answers `/metrics` speaks for all of them; a gauge of one that has died is forgotten."""
    environment = os.environ | {metrics.FOLDER: str(tmp_path)}
    for _ in range(2):
        subprocess.run([sys.executable, "-c", WORKER], env=environment, check=True)
    shown = subprocess.run([sys.executable, "-c", SHOW], env=environment, check=True, capture_output=True, text=True)
    assert sample(shown.stdout, "userinfo_requests_total", outcome="good") == 6.0
    assert sample(shown.stdout, "events_lag") == 0.0
