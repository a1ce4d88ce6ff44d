"""What the guard decided, counted and told: a line for every decision that is not a plain hit."""

from hashlib import sha256
from itertools import count
from time import perf_counter
from typing import Final

import structlog

from common.auth.principal import Principal, Source
from common.errors import InvalidToken
from common.telemetry.metrics import AUTH_DECISIONS, AUTH_SECONDS

PLAIN_HITS: Final = frozenset({Source.MEMORY, Source.REDIS})

_log = structlog.get_logger()
hit: Final = count(1).__next__
"""A request goes through on what this process just knew; not timed, for that would cost more than the hit."""
_handed_over = 0
_allowed = {source: AUTH_DECISIONS.labels(source, "allowed", "") for source in Source}
_seconds = {source: AUTH_SECONDS.labels(source) for source in Source}


def allowed(principal: Principal, token: str, started: float) -> None:
    """A request goes through."""
    source = principal.source
    _allowed[source].inc()
    _seconds[source].observe(perf_counter() - started)
    if source not in PLAIN_HITS:
        _log.info("auth", verdict="allowed", source=source, session=str(principal.session), token=fingerprint(token))


def flush() -> None:
    """Hand the hits to the metrics; called where these are read, and by the channel for other processes' readers."""
    global _handed_over
    before, _handed_over = _handed_over, hit()
    _allowed[Source.MEMORY].inc(_handed_over - before - 1)


def refused(error: InvalidToken, token: str, started: float) -> None:
    """A token was judged bad."""
    AUTH_DECISIONS.labels(error.source, "refused", error.reason).inc()
    AUTH_SECONDS.labels(error.source).observe(perf_counter() - started)
    _log.info("auth", verdict="refused", source=error.source, reason=error.reason, token=fingerprint(token))


def undecided(reason: str, token: str, started: float) -> None:
    """Nobody could judge, or not well enough for what was asked."""
    AUTH_DECISIONS.labels(Source.BLIND, "unavailable", reason).inc()
    AUTH_SECONDS.labels(Source.BLIND).observe(perf_counter() - started)
    _log.warning("auth", verdict="unavailable", reason=reason, token=fingerprint(token))


def fingerprint(token: str) -> str:
    """8 hex digits of the token's hash: enough to find its lines, nothing to use."""
    return sha256(token.encode(errors="surrogateescape")).hexdigest()[:8]
