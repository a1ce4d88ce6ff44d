"""The key ring: what `JWT_KEYS` may hold, and that nothing shows it."""

import base64
import secrets

import pytest

from common.auth import KeyRing
from common.testing import b64, random_keys

SHAPE = "must look like kid:base64url[,kid:base64url]"
WEAK = "holds a key k of low entropy; make one from 32 random bytes"
GOOD = bytes(range(100, 132))


def refusal(text: str) -> str:
    """Why a value is refused."""
    with pytest.raises(ValueError, match=r"^(must|names|holds)") as caught:
        KeyRing.parse(text)
    return str(caught.value)


def test_first_key_signs_and_all_verify() -> None:
    """`new,old`: the order says which key signs."""
    ring = KeyRing.parse(f"new:{b64(GOOD)}, old:{b64(GOOD[::-1])}")
    assert ring.signing == ("new", GOOD)
    assert (ring.get("new"), ring.get("old"), ring.get("other")) == (GOOD, GOOD[::-1], None)
    assert list(ring) == ["new", "old"]


@pytest.mark.parametrize("length", [32, 33, 34, 48, 64, 128])
def test_any_random_key_is_good(length: int) -> None:
    """A key of 32 random bytes or more, padded or not, is never taken for a weak one."""
    for _ in range(50):
        key = secrets.token_bytes(length)
        assert KeyRing.parse(f"k:{b64(key)}").get("k") == key
        assert KeyRing.parse(f"k:{base64.urlsafe_b64encode(key).decode()}").get("k") == key


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", SHAPE),
        (b64(GOOD), SHAPE),
        (f":{b64(GOOD)}", SHAPE),
        (f"a b:{b64(GOOD)}", SHAPE),
        (f"k\n:{b64(GOOD)}", SHAPE),
        (f"{'k' * 65}:{b64(GOOD)}", SHAPE),
        (f"k:{b64(GOOD)},", SHAPE),
        (f"k:{b64(GOOD)},k:{b64(GOOD[::-1])}", "names the key k twice"),
        ("k:$$$", "holds a key k that is not base64url"),
        (f"k:{b64(GOOD)[:-2]} A", "holds a key k that is not base64url"),
        (f"k:{'A' * 41}", "holds a key k that is not base64url"),
        ("k:", "holds a key k of 0 bytes; at least 32 are needed"),
        (f"k:{b64(GOOD[:31])}", "holds a key k of 31 bytes; at least 32 are needed"),
        (f"k:{b64(bytes(32))}", WEAK),
        (f"k:{b64(b'0123456789abcdef' * 4)}", WEAK),
        (f"k:{b64(b'secretsecretsecretsecretsecretsecret')}", WEAK),
        (f"k:{b64(GOOD[:24] * 4)}", WEAK),
        (f"k:{b64(GOOD[:19] + GOOD[12::-1])}", WEAK),
        (f"good:{b64(GOOD)},bad:{b64(bytes(32))}", "holds a key bad of low entropy; make one from 32 random bytes"),
    ],
)
def test_bad_value_is_refused(text: str, reason: str) -> None:
    """A malformed, short or weak key stops the start, and the reason names the key."""
    assert refusal(text) == reason


@pytest.mark.parametrize(
    "example",
    [
        b"your-256-bit-secret",
        b"a-string-secret-at-least-256-bits-long",
        b"a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long",
        b"09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
        bytes.fromhex("09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7"),
        base64.urlsafe_b64decode(
            "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow=="
        ),
    ],
    ids=["jwt.io", "jwt.io 256", "jwt.io 512", "FastAPI in hex", "FastAPI", "RFC 7515"],
)
def test_published_example_is_refused(example: bytes) -> None:
    """A secret that stands in a standard or a tutorial is no secret, however random it looks."""
    assert refusal(f"k:{b64(example)}") == "holds a key k that is a published example"


def test_refusal_never_shows_a_key() -> None:
    """The reason goes to the terminal and to logs."""
    weak = b64(b"geheim-geheim-geheim-geheim-geheim-geheim")
    assert weak not in refusal(f"k:{weak}")
    assert "geheim" not in refusal("k:geheim$")
    assert "geheim" not in refusal("geheim")


def test_ring_shows_names_only() -> None:
    """Neither repr nor str nor an f-string says a key."""
    ring = KeyRing.parse(random_keys("a", "b"))
    assert {repr(ring), str(ring), f"{ring}"} == {"KeyRing(a, b)"}
    assert not hasattr(ring, "__dict__")


def test_key_in_place_of_its_name_is_not_shown() -> None:
    """`secret:kid`, the two the wrong way round, must not print the secret as a name."""
    key = b64(secrets.token_bytes(32))
    assert key not in refusal(f"{key}:k1")
