"""What the proof of a token costs that was never seen before: in this process, on the core of the measured services."""

import time
from statistics import median
from uuid import uuid4

from common.auth import KeyRing
from common.auth.tokens import TokenVerifier
from common.testing import AUDIENCE, ISSUER, mint_token, random_keys
from devstack.bench.cores import Cores, on

TOKENS = 5_000


def proof_us(cores: Cores) -> float:
    """Microseconds, at the median."""
    keys = KeyRing.parse(random_keys())
    verifier = TokenVerifier(keys, issuer=ISSUER, audience=AUDIENCE)
    tokens = [mint_token(keys, sub=str(uuid4()), sid=str(uuid4())) for _ in range(TOKENS)]
    with on(cores.measured):
        return median(_time(verifier, token) for token in tokens) / 1000


def _time(verifier: TokenVerifier, token: str) -> int:
    """Nanoseconds."""
    started = time.perf_counter_ns()
    verifier.verify(token)
    return time.perf_counter_ns() - started
