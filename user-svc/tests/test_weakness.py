"""Which passwords are refused as guessable."""

import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from user_svc.weakness import weakness

COMMON = "this password is among the first that are guessed; a few unrelated words make a good one"
OWN = "a password must not be made of the e-mail address"


@pytest.mark.parametrize(
    "password",
    ["password", "Password1", "12345678", "qwertyuiop", "iloveyou2", "aaaaaaaa", "abcdefgh", "s3cretpw", "        "],
)
def test_common_passwords_and_patterns_are_refused(password: str) -> None:
    """What stands on lists, on the keyboard, or repeats itself."""
    assert weakness(password, "ann@example.com", minimum=8) == COMMON


@pytest.mark.parametrize("password", ["qwerty123456789", "1QAZ2WSX3EDC4RFV", "passwordstandard"])
def test_a_long_one_from_the_list_is_refused(password: str) -> None:
    """Length does not save what everybody tries."""
    assert weakness(password, "ann@example.com", minimum=8) == COMMON


@pytest.mark.parametrize("length", [15, 16, 64, 128, 1024])
@pytest.mark.parametrize("character", ["x", " ", "1", "\u00e9", "\U0001f40e"])
def test_from_15_characters_on_anything_goes(length: int, character: str) -> None:
    """Length alone is enough; nothing is counted but characters."""
    assert weakness(character * length, "ann@example.com", minimum=8) is None


@pytest.mark.parametrize(
    ("password", "email"),
    [
        ("margaret7!", "margaret@example.com"),
        ("xMARGARETx", "margaret@example.com"),
        ("margaret.hamilton1", "margaret.hamilton@example.com"),
        ("ann@example.com", "ann@example.com"),
        ("ann@example.com1", "ann@example.com"),
        ("user-3f9a2b1c2024", "user-3f9a2b1c@example.com"),
        ("stra\u00dfe99", "strasse@example.com"),
    ],
)
def test_one_made_of_the_address_is_refused(password: str, email: str) -> None:
    """In any case, and at any length where little else is left."""
    assert weakness(password, email, minimum=8) == OWN


@pytest.mark.parametrize(
    ("password", "email"),
    [
        ("margaret likes cats a lot", "margaret@example.com"),
        ("kqzvwxjp", "ann@example.com"),
        ("banner-kqzv", "ann@example.com"),
        ("correct-horse-battery", "demo@example.com"),
    ],
)
def test_others_are_accepted(password: str, email: str) -> None:
    """A long sentence may hold the name; a name of three letters is chance."""
    assert weakness(password, email, minimum=8) is None


def test_each_password_is_judged_by_its_own_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several threads judge at once: nobody's address is held against another, or tells him that it is somebody's."""
    interval = sys.getswitchinterval()
    monkeypatch.setattr("user_svc.weakness._without", lambda text, _address: text)  # zxcvbn's own look is meant
    pairs = [(one, other) for one in ("zurabkhvichia", "mwplodzinsky") for other in ("zurabkhvichia", "mwplodzinsky")]
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            reasons = pool.map(lambda pair: weakness(pair[0], f"{pair[1]}@example.com", minimum=8), 20 * pairs)
    finally:
        sys.setswitchinterval(interval)
    assert list(reasons) == 20 * [COMMON if one == other else None for one, other in pairs]
