"""The login form, field by field."""

import pytest

from user_svc.sessions.schemas import Credentials, TokenError

GOOD = {"username": "ann@example.com", "password": "correct horse"}

UNREADABLE = {
    "nothing": {},
    "no password": {"username": "ann@example.com"},
    "no username": {"password": "correct horse"},
    "an empty password": GOOD | {"password": ""},
    "an empty username": GOOD | {"username": ""},
    "a username over any address": GOOD | {"username": "a" * 321},
    "a password over any body": GOOD | {"password": "a" * 65_537},
}


@pytest.mark.parametrize("grant", [{}, {"grant_type": ""}, {"grant_type": "password"}])
def test_the_grant_may_be_left_unsaid(grant: dict[str, str]) -> None:
    """The tutorial's clients send none; an empty parameter is one that was not sent (RFC 6749 section 3.1)."""
    assert Credentials.of(GOOD | grant) == Credentials("ann@example.com", "correct horse")


def test_what_is_not_known_is_ignored() -> None:
    """Browsers and libraries add a scope, a client's id and more (RFC 6749 section 3.2)."""
    extra = {"client_id": "", "client_secret": "x", "scope": "openid", "remember": "1"}

    assert Credentials.of(GOOD | extra) == Credentials("ann@example.com", "correct horse", scope="openid")


@pytest.mark.parametrize("form", UNREADABLE.values(), ids=UNREADABLE)
def test_a_form_without_both_fields_is_an_invalid_request(form: dict[str, str]) -> None:
    """The refusal is OAuth2's `invalid_request`, and repeats nothing of what was sent."""
    with pytest.raises(TokenError) as refusal:
        Credentials.of(form)

    assert refusal.value.members == {
        "error": "invalid_request",
        "error_description": "username and password are required",
    }


@pytest.mark.parametrize("grant", ["refresh_token", "Password", "client_credentials", " password"])
def test_another_grant_is_not_supported(grant: str) -> None:
    """OAuth2's own error says so, whatever else is in the form."""
    with pytest.raises(TokenError) as refusal:
        Credentials.of({"grant_type": grant})

    assert refusal.value.members["error"] == "unsupported_grant_type"
