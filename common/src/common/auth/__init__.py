"""The door: proof of a bearer token, and the guard. Who must ask user-svc besides takes `common.auth.remote`."""

from common.auth.authenticator import Authenticator
from common.auth.demands import FRESH, PUBLIC
from common.auth.guard import Guard
from common.auth.keys import KeyRing
from common.auth.principal import AuthenticatedRequest, Claims, Principal, Source
from common.auth.settings import TokenSettings, verifier
from common.auth.tokens import TokenVerifier

__all__ = [
    "FRESH",
    "PUBLIC",
    "AuthenticatedRequest",
    "Authenticator",
    "Claims",
    "Guard",
    "KeyRing",
    "Principal",
    "Source",
    "TokenSettings",
    "TokenVerifier",
    "verifier",
]
