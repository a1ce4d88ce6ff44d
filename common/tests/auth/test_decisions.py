"""Decisions are counted, and told where they are not plain hits; never with a token in them."""

import hashlib
import time
from time import perf_counter
from uuid import uuid4

import pytest
from prometheus_client import REGISTRY

from common.auth import Principal, Source, decisions
from common.errors import InvalidToken
from common.telemetry import log
from common.testing import Logs

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl"
FINGERPRINT = hashlib.sha256(TOKEN.encode()).hexdigest()[:8]


def principal(source: Source) -> Principal:
    """Somebody this place vouched for."""
    return Principal(uuid4(), uuid4(), source, time.time())


def counted(source: Source, verdict: str, reason: str = "") -> float:
    """The metric as it stands."""
    labels = {"source": source, "verdict": verdict, "reason": reason}
    return REGISTRY.get_sample_value("auth_decisions_total", labels) or 0.0


@pytest.fixture
def told(logs: Logs) -> Logs:
    """Lines of JSON, as in production."""
    log.configure("svc-common", level="INFO", form="json")
    return logs


@pytest.mark.parametrize("source", Source)
def test_allowed_is_counted_by_its_source(source: Source) -> None:
    """The metric tells how many requests each rung carries."""
    before = counted(source, "allowed")
    decisions.allowed(principal(source), TOKEN, perf_counter())
    assert counted(source, "allowed") == before + 1


@pytest.mark.parametrize("source", [Source.MEMORY, Source.REDIS])
def test_plain_hit_writes_no_line(told: Logs, source: Source) -> None:
    """At thousands a second nobody reads them."""
    decisions.allowed(principal(source), TOKEN, perf_counter())
    assert told.lines == []


@pytest.mark.parametrize("source", [Source.USER_SVC, Source.PROOF, Source.BLIND])
def test_other_decision_writes_one_line(told: Logs, source: Source) -> None:
    """Who vouched, and for which session."""
    caller = principal(source)
    decisions.allowed(caller, TOKEN, perf_counter())
    [line] = told.lines
    expected = {"verdict": "allowed", "source": source, "session": str(caller.session), "token": FINGERPRINT}
    assert {name: line.get(name) for name in expected} == expected


def test_refusal_is_counted_and_told_with_its_reason(told: Logs) -> None:
    """Expired is told from revoked."""
    before = counted(Source.REDIS, "refused", "revoked")
    decisions.refused(InvalidToken("revoked", "ended", source=Source.REDIS), TOKEN, perf_counter())
    [line] = told.lines
    assert (line["verdict"], line["source"], line["reason"], line["token"]) == (
        "refused",
        "redis",
        "revoked",
        FINGERPRINT,
    )
    assert counted(Source.REDIS, "refused", "revoked") == before + 1


def test_undecided_is_counted_and_is_a_warning(told: Logs) -> None:
    """Somebody should look: the only window in which a dead token might pass is open."""
    before = counted(Source.BLIND, "unavailable", "CANNOT_JUDGE")
    decisions.undecided("CANNOT_JUDGE", TOKEN, perf_counter())
    [line] = told.lines
    assert (line["level"], line["verdict"], line["reason"]) == ("warning", "unavailable", "CANNOT_JUDGE")
    assert counted(Source.BLIND, "unavailable", "CANNOT_JUDGE") == before + 1


def test_hits_are_counted_when_handed_over() -> None:
    """Each once, however often they are handed over."""
    decisions.flush()
    before = counted(Source.MEMORY, "allowed")
    for _ in range(5):
        decisions.hit()
    decisions.flush()
    decisions.flush()
    assert counted(Source.MEMORY, "allowed") == before + 5


def test_no_line_holds_the_token_or_a_part_of_it(told: Logs) -> None:
    """8 hex digits of its hash find its lines and give nothing away."""
    decisions.allowed(principal(Source.PROOF), TOKEN, perf_counter())
    decisions.refused(InvalidToken("signature", "does not match"), TOKEN, perf_counter())
    decisions.undecided("NOT_FRESH", TOKEN, perf_counter())
    assert told.text.count(FINGERPRINT) == 3
    assert [part for part in TOKEN.split(".") if part in told.text] == []
    assert hashlib.sha256(TOKEN.encode()).hexdigest() not in told.text
