"""Proof: did user-svc sign this access token, for us, and is it unexpired? Needs no network, ever.

RFC 9068 profile, and stricter than a general JWT library: an own pre-check refuses what those let through (a padded or
non-canonical signature, `exp` as a string, duplicate claims, a foreign `typ`, headers such as `zip` or `jwk`).
"""

import hmac
import json
import re
import time
from binascii import a2b_base64, b2a_base64
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

from common.auth.keys import KeyRing
from common.auth.principal import Claims
from common.errors import InvalidToken

ALGORITHM: Final = "HS256"
TYPE: Final = "at+jwt"
MAXIMUM_BYTES: Final = 4096
MAXIMUM_DATE: Final = 2**53
LEEWAY: Final = 5.0  # seconds another clock may be ahead of ours
PROOFS: Final = 10_000

_SHAPE = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\Z")
_HEADER_KEYS = {"alg", "typ", "kid"}


class TokenVerifier:
    """Verifies each token once and remembers the accepted ones until they expire, in a bounded LRU.

    `lifetime` is the longest `exp - iat` that is believed, in seconds; `clock` gives seconds since the epoch.
    """

    def __init__(
        self,
        keys: KeyRing,
        *,
        issuer: str,
        audience: str,
        lifetime: float = 3600,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._lifetime = lifetime
        self._clock = clock
        self._proofs: OrderedDict[str, Claims] = OrderedDict()

    def verify(self, token: str) -> Claims:
        """Prove a token.

        Raises:
            InvalidToken: with the reason `malformed`, `unknown_key`, `signature`, `claims` or `expired`.

        """
        claims = self._proofs.get(token)
        if claims is None:
            claims = self._prove(token)
            self._proofs[token] = claims
            if len(self._proofs) > PROOFS:
                self._proofs.popitem(last=False)
        else:
            self._proofs.move_to_end(token)
        if claims.expires_at <= self._clock():
            del self._proofs[token]
            raise InvalidToken("expired", "the access token expired")
        return claims

    def _prove(self, token: str) -> Claims:
        """The signature first; nothing of the claims is believed, or read, before it holds."""
        if len(token) > MAXIMUM_BYTES or not (parts := _SHAPE.match(token)):
            raise _malformed("is no JWT")
        header, payload, signature = parts.groups()
        key = self._key(_object(header))
        if not hmac.compare_digest(hmac.digest(key, token[: parts.end(2)].encode(), "sha256"), _decode(signature)):
            raise InvalidToken("signature", "the access token's signature does not match")
        return self._claims(_object(payload))

    def _key(self, header: dict[str, Any]) -> bytes:
        """Choose the key only once the algorithm is known to be ours (RFC 8725 section 3.1)."""
        if header.keys() != _HEADER_KEYS or header["alg"] != ALGORITHM or header["typ"] != TYPE:
            raise _malformed(f"header is not that of an {ALGORITHM} {TYPE}")
        kid = header["kid"]
        key = self._keys.get(kid) if isinstance(kid, str) else None
        if key is None:
            raise InvalidToken("unknown_key", "the access token was signed by a key that is not known here")
        return key

    def _claims(self, payload: dict[str, Any]) -> Claims:
        """Every claim present, of its exact JSON type, and meant for us (RFC 9068 section 4)."""
        issued_at, expires_at = _number(payload, "iat"), _number(payload, "exp")
        if payload.get("iss") != self._issuer:
            raise InvalidToken("claims", "the access token comes from another issuer")
        if payload.get("aud") != self._audience:
            raise InvalidToken("claims", "the access token is meant for another audience")
        if issued_at > self._clock() + LEEWAY or not 0 < expires_at - issued_at <= self._lifetime:
            raise InvalidToken("claims", "the access token's times are not acceptable")
        token_id = payload.get("jti")
        if not isinstance(token_id, str) or not token_id:
            raise _malformed("has no jti")
        return Claims(_uuid(payload, "sub"), _uuid(payload, "sid"), token_id, issued_at, expires_at)


def _malformed(what: str) -> InvalidToken:
    return InvalidToken("malformed", f"the access token {what}")


def _decode(part: str) -> bytes:
    """Canonical base64url (RFC 7515 section 2): no padding, no stray bits in the last character."""
    try:
        raw = a2b_base64(part.replace("-", "+").replace("_", "/") + "=" * (-len(part) % 4), strict_mode=True)
    except ValueError:
        raise _malformed("is not base64url") from None
    if b2a_base64(raw, newline=False).rstrip(b"=") != part.replace("-", "+").replace("_", "/").encode():
        raise _malformed("is not canonical base64url")
    return raw


def _object(part: str) -> dict[str, Any]:
    """A JSON object without duplicate members (RFC 8725 section 2.4) and without NaN."""
    try:
        value = json.loads(_decode(part).decode(), object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise _malformed("does not hold JSON objects") from None
    if not isinstance(value, dict):
        raise _malformed("does not hold JSON objects")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate member")
    return members


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _number(payload: dict[str, Any], name: str) -> float:
    """A NumericDate (RFC 7519 section 2): a JSON number within reason, neither a string nor a boolean."""
    value = payload.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < MAXIMUM_DATE:
        raise _malformed(f"has no numeric {name}")
    return float(value)


def _uuid(payload: dict[str, Any], name: str) -> UUID:
    """A UUID in its canonical text form (RFC 9562 section 4)."""
    value = payload.get(name)
    try:
        identifier = UUID(value)
    except (ValueError, AttributeError, TypeError):
        raise _malformed(f"has no {name}") from None
    if str(identifier) != value:
        raise _malformed(f"has no canonical {name}")
    return identifier
