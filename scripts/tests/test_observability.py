"""The alerts and the dashboard ask for metrics that the services have, by labels that these have."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import Metric
from prometheus_client.registry import REGISTRY

from common.telemetry import metrics

FOLDER = Path(__file__).resolve().parents[2] / "docker/observability"
OF_PROMETHEUS = {"up": {"job", "instance"}}
EVERYWHERE = {"job", "instance", "le"}
SELECTOR = re.compile(r"\b([a-z][a-z0-9_]*)(?:\{([^}]*)\})?(?=\[|\)|,|\s|$)")
FUNCTIONS = {"sum", "rate", "max", "by", "histogram_quantile", "label_values"}


def known() -> dict[str, set[str]]:
    """Every series of the services, with its labels."""
    series = dict(OF_PROMETHEUS)
    for collector in vars(metrics).values():
        if hasattr(collector, "_labelnames"):
            for metric in collector.describe():
                for name in names(metric):
                    series[name] = set(collector._labelnames)
    return series


def names(metric: Metric) -> list[str]:
    """The names of its series."""
    endings = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}.get(metric.type, [""])
    return [f"{metric.name}{ending}" for ending in endings]


def alerts() -> list[str]:
    """The expressions of the rules."""
    text = (FOLDER / "alerts.yml").read_text()
    found = re.findall(r"^ +expr: (\|\n(?: {10,}.*\n)+|.*)", text, re.MULTILINE)
    assert len(found) == text.count("- alert: ")
    return [each.removeprefix("|") for each in found]


def panels() -> list[str]:
    """The expressions of the dashboard."""
    dashboard: Any = json.loads((FOLDER / "grafana/dashboards/gatehouse.json").read_text())
    queries = [variable["query"] for variable in dashboard["templating"]["list"]]
    return [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]] + queries


@pytest.mark.parametrize("expression", [*alerts(), *panels()])
def test_expression(expression: str) -> None:
    """No series, label or grouping that nobody gives."""
    series = known()
    used = [(name, labels) for name, labels in SELECTOR.findall(expression) if name in series]
    assert used, expression
    given = set.union(*(series[name] for name, _ in used)) | EVERYWHERE
    groupings = re.findall(r"\bby \(([^)]*)\)", expression)
    for label in (each.strip() for grouping in groupings for each in grouping.split(",")):
        assert label in given
    for name, labels in used:
        assert set(re.findall(r"(\w+)[!=]~?\"", labels)) <= series[name] | EVERYWHERE
    words = set(re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", re.sub(r"\"[^\"]*\"", "", expression)))
    assert words <= series.keys() | given | FUNCTIONS


def test_every_metric_is_shown() -> None:
    """What is counted is on the dashboard, and the registry holds no other of ours."""
    shown = " ".join(panels())
    for collector in vars(metrics).values():
        if hasattr(collector, "_labelnames"):
            assert collector._name in shown
            assert collector in REGISTRY._collector_to_names
