"""A service's signature: good for one request, for a minute, by whoever has the shared key."""

from collections.abc import Callable

import pytest
import time_machine

from common.auth import KeyRing
from common.auth.services import WINDOW, authorization, verify
from common.errors import Unauthorized
from common.testing import random_keys

TARGET = "/internal/erasures?after=7"
NOW = 1_800_000_000


def test_a_signature_is_good_for_its_request(keys: KeyRing) -> None:
    """Whoever has the key is let in."""
    verify(keys, authorization(keys, "GET", TARGET), "GET", TARGET)


@pytest.mark.parametrize(
    ("method", "target"),
    [("POST", TARGET), ("GET", "/internal/erasures?after=8"), ("GET", "/internal/erasures"), ("GET", "/internal/x")],
)
def test_a_signature_is_good_for_no_other(keys: KeyRing, method: str, target: str) -> None:
    """Another method, path or query is another request."""
    with pytest.raises(Unauthorized):
        verify(keys, authorization(keys, "GET", TARGET), method, target)


@pytest.mark.parametrize("age", [-WINDOW, 0, WINDOW])
def test_a_clock_may_differ(keys: KeyRing, age: int) -> None:
    """A minute either way is allowed."""
    with time_machine.travel(NOW, tick=False):
        header = authorization(keys, "GET", TARGET)
    with time_machine.travel(NOW + age, tick=False):
        verify(keys, header, "GET", TARGET)


@pytest.mark.parametrize("age", [-WINDOW - 1, WINDOW + 1])
def test_an_old_signature_is_worth_nothing(keys: KeyRing, age: int) -> None:
    """More than a minute is too old, or too new."""
    with time_machine.travel(NOW, tick=False):
        header = authorization(keys, "GET", TARGET)
    with time_machine.travel(NOW + age, tick=False), pytest.raises(Unauthorized):
        verify(keys, header, "GET", TARGET)


def test_the_time_is_signed(keys: KeyRing) -> None:
    """An old signature cannot be given a new time."""
    with time_machine.travel(NOW, tick=False):
        scheme, kid, _, signature = authorization(keys, "GET", TARGET).replace(" ", ":").split(":")
    with time_machine.travel(NOW + 100, tick=False), pytest.raises(Unauthorized):
        verify(keys, f"{scheme} {kid}:{NOW + 100}:{signature}", "GET", TARGET)


def test_another_key_of_the_same_name(keys: KeyRing) -> None:
    """The name of a key proves nothing."""
    with pytest.raises(Unauthorized):
        verify(keys, authorization(KeyRing.parse(random_keys()), "GET", TARGET), "GET", TARGET)


def test_an_unknown_key(keys: KeyRing) -> None:
    """A key that was taken out of the ring opens nothing."""
    with pytest.raises(Unauthorized):
        verify(keys, authorization(KeyRing.parse(random_keys("gone")), "GET", TARGET), "GET", TARGET)


def test_rotation() -> None:
    """While both keys are in the ring, a service that still signs with the old one is let in; names may be long."""
    old = random_keys("o" * 32)
    verify(
        KeyRing.parse(f"{random_keys('new')},{old}"), authorization(KeyRing.parse(old), "GET", TARGET), "GET", TARGET
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda _: "",
        lambda header: header.replace("Service", "Bearer"),
        lambda header: header[:-1],
        lambda header: f"{header}\n",
        lambda header: header.upper(),
        lambda header: header.replace(":", ": "),
        lambda header: header[:-1] + "\N{ARABIC-INDIC DIGIT ONE}",
    ],
)
def test_what_is_malformed(keys: KeyRing, change: Callable[[str], str]) -> None:
    """Whatever else is sent is refused, with the scheme that is asked for."""
    with pytest.raises(Unauthorized) as refusal:
        verify(keys, change(authorization(keys, "GET", TARGET)), "GET", TARGET)

    assert refusal.value.headers == {"WWW-Authenticate": "Service"}


def test_the_header_shows_no_key(keys: KeyRing) -> None:
    """The key itself does not travel, and does not sign as it is: tokens are signed with it."""
    kid, key = keys.signing
    header = authorization(keys, "GET", TARGET)

    assert header.startswith(f"Service {kid}:")
    assert key.hex() not in header
