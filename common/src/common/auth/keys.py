"""The shared secrets: a ring of named HMAC keys, checked when it is read."""

import base64
import binascii
import re
import zlib
from collections.abc import Iterator
from typing import Self

MINIMUM_BYTES = 32  # RFC 7518 section 3.2: as long as the hash
MINIMUM_DISTINCT_BYTES = 20  # 32 random bytes hold 30 on average; below 20 once in 10**10
KEY_ID = re.compile(r"[A-Za-z0-9._-]{1,32}\Z")  # too short for a key: one in its name's place is never shown

# Secrets printed in standards and tutorials: somebody always ships one.
PUBLISHED = frozenset(
    {
        b"your-256-bit-secret",
        b"your-384-bit-secret",
        b"your-512-bit-secret",
        b"a-string-secret-at-least-256-bits-long",
        b"a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long",
        b"09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
        bytes.fromhex("09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7"),
        # RFC 7515 appendix A.1
        base64.urlsafe_b64decode(
            "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow=="
        ),
    }
)


class KeyRing:
    """`JWT_KEYS`: the first key signs, all of them verify. Never shown by repr."""

    form = "`kid:base64url[,kid:base64url]`"

    __slots__ = ("_keys",)

    def __init__(self, keys: dict[str, bytes]) -> None:
        self._keys = keys

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `kid:base64url,kid:base64url`.

        Raises:
            ValueError: a key is malformed, short, weak, published or named twice; names it, never shows it.

        """
        keys: dict[str, bytes] = {}
        for entry in text.split(","):
            kid, separator, encoded = entry.strip().partition(":")
            if not separator or not KEY_ID.match(kid):
                raise ValueError("must look like kid:base64url[,kid:base64url]")
            if kid in keys:
                raise ValueError(f"names the key {kid} twice")
            keys[kid] = _secret(kid, encoded)
        return cls(keys)

    @property
    def signing(self) -> tuple[str, bytes]:
        """The name and bytes of the key that signs."""
        return next(iter(self._keys.items()))

    def get(self, kid: str) -> bytes | None:
        """The key of that name."""
        return self._keys.get(kid)

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __repr__(self) -> str:
        return f"KeyRing({', '.join(self._keys)})"


def _secret(kid: str, encoded: str) -> bytes:
    """Decode one key and refuse what an attacker would try first."""
    try:
        key = base64.b64decode(
            encoded.rstrip("=") + "=" * (-len(encoded.rstrip("=")) % 4), altchars=b"-_", validate=True
        )
    except (binascii.Error, ValueError):
        raise ValueError(f"holds a key {kid} that is not base64url") from None
    if key in PUBLISHED:
        raise ValueError(f"holds a key {kid} that is a published example")
    if len(key) < MINIMUM_BYTES:
        raise ValueError(f"holds a key {kid} of {len(key)} bytes; at least {MINIMUM_BYTES} are needed")
    if len(set(key)) < MINIMUM_DISTINCT_BYTES or len(zlib.compress(key, 9)) < len(key):
        raise ValueError(f"holds a key {kid} of low entropy; make one from {MINIMUM_BYTES} random bytes")
    return key
