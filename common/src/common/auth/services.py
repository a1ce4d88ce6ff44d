"""A service calling another for itself, not for a user: a request signed with a key derived from the shared one."""

import hmac
import re
import time
from typing import Final

from common.auth.keys import KeyRing
from common.errors import Unauthorized

WINDOW: Final = 60  # seconds a signature counts, either way
_PURPOSE: Final = b"gatehouse service call"
_AUTHORIZATION = re.compile(r"Service ([A-Za-z0-9._-]{1,32}):([0-9]{1,12}):([0-9a-f]{64})\Z")


def authorization(keys: KeyRing, method: str, target: str) -> str:
    """The Authorization header of this very request; `target` is its path with its query."""
    kid, key = keys.signing
    now = int(time.time())
    return f"Service {kid}:{now}:{_signature(key, method, target, now)}"


def verify(keys: KeyRing, header: str, method: str, target: str) -> None:
    """Check such a header.

    Raises:
        Unauthorized: it is none, is old, or was made for another request.

    """
    match = _AUTHORIZATION.match(header)
    key = keys.get(match[1]) if match else None
    if match is None or key is None or abs(time.time() - int(match[2])) > WINDOW:
        raise Unauthorized("a service's signature is required", challenge="Service")
    if not hmac.compare_digest(_signature(key, method, target, int(match[2])), match[3]):
        raise Unauthorized("a service's signature is required", challenge="Service")


def _signature(key: bytes, method: str, target: str, now: int) -> str:
    derived = hmac.digest(key, _PURPOSE, "sha256")
    return hmac.new(derived, f"{method} {target} {now}".encode(), "sha256").hexdigest()
