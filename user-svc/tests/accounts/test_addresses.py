"""Addresses: what is one, and which two are the same."""

import pytest

from common.errors import Unprocessable
from user_svc.accounts.addresses import key, parse

SAME = {
    "case": ("Ann@Example.COM", "ann@example.com"),
    "full-width letters": ("\uff21\uff2e\uff2e@example.com", "ann@example.com"),
    "a ligature": ("\ufb01n@example.com", "FIN@example.com"),
    "composed and decomposed": ("ren\u00e9@example.com", "RENE\u0301@example.com"),
    "sharp s": ("stra\u00dfe@example.com", "STRASSE@example.com"),
    "final sigma": ("\u03c2@example.com", "\u03a3@example.com"),
    "a domain in its ASCII form": ("ann@xn--bcher-kva.example", "ann@B\u00dcCHER.example"),
    "an ideographic full stop": ("ann@example\u3002com", "ann@example.com"),
}

DIFFERENT = {
    "another name": ("ann@example.com", "anna@example.com"),
    "a dot": ("a.nn@example.com", "ann@example.com"),
    "a tag": ("ann+todo@example.com", "ann@example.com"),
    "another alphabet": ("\u0430nn@example.com", "ann@example.com"),
}

REFUSED = {
    "no at sign": "ann.example.com",
    "two at signs": "ann@bob@example.com",
    "nothing before": "@example.com",
    "nothing behind": "ann@",
    "no dot in the domain": "ann@localhost",
    "an address literal": "ann@[127.0.0.1]",
    "a quoted name": '"ann"@example.com',
    "a display name": "Ann <ann@example.com>",
    "a space around": " ann@example.com",
    "a line break": "ann@example.com\nBcc: bob@example.com",
    "a zero width space": "ann\u200b@example.com",
    "a right-to-left override": "\u202eann@example.com",
    "a full-width at sign": "ann\uff20example.com",
    "a domain label over 63 octets": f"ann@{'a' * 64}.com",
    "a reserved domain": "ann@example.invalid",
    "a name that mails decode to another": "=?utf-8?q?b=6Fb?=@example.com",
    "a key too long to store": f"{chr(0xFDFA) * 21}@example.com",  # one character that NFKC makes eighteen
}


@pytest.mark.parametrize(("one", "other"), SAME.values(), ids=SAME)
def test_two_spellings_of_one_address_have_one_key(one: str, other: str) -> None:
    """Nobody gets a second account by spelling an address another way."""
    assert parse(one).key == parse(other).key


@pytest.mark.parametrize(("one", "other"), DIFFERENT.values(), ids=DIFFERENT)
def test_two_addresses_have_two_keys(one: str, other: str) -> None:
    """Nobody is locked out by somebody else's similar address."""
    assert parse(one).key != parse(other).key


@pytest.mark.parametrize("text", [text for pair in SAME.values() for text in pair])
def test_a_login_finds_the_key_of_a_registration(text: str) -> None:
    """Whoever types at login what was typed at registration is found."""
    assert key(text) == parse(text).key


def test_spaces_around_an_address_do_not_matter_at_login() -> None:
    """A phone's keyboard adds a space; the login takes it away."""
    assert key(" ann@example.com\t") == "ann@example.com"


@pytest.mark.parametrize("text", ["", "ann", "\ufdfa" * 320, "ann@example.invalid", "@@", "a" * 320])
def test_any_text_has_a_key(text: str) -> None:
    """What is no address at all is unknown at login, not an error."""
    assert isinstance(key(text), str)


def test_an_address_is_shown_as_it_was_given() -> None:
    """Only the domain, which has no case, is put into its usual form."""
    assert parse("Ann.O'Hara+todo@EXAMPLE.com").shown == "Ann.O'Hara+todo@example.com"


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_no_address_is_refused(text: str) -> None:
    """What cannot be an address is refused with the place named, and never with the value."""
    with pytest.raises(Unprocessable) as refusal:
        parse(text)

    assert [error.location for error in refusal.value.errors] == ["body.email"]
    assert text not in f"{refusal.value.detail} {refusal.value.errors}"
