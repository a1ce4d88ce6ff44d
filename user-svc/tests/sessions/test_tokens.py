"""Access tokens: exactly the profile of RFC 9068 that the verifiers expect."""

from uuid import UUID, uuid4

import jwt
import pytest
from msgspec.structs import replace

from common.auth import KeyRing, verifier
from common.dto import TokenResponse
from common.errors import InvalidToken
from common.testing import random_keys
from user_svc.sessions.tokens import AccessTokens
from user_svc.settings import Settings

NOW = 1_800_000_000.9
USER, SESSION, REFRESH = uuid4(), uuid4(), "opaque"


@pytest.fixture
def issued(unconnected: Settings) -> TokenResponse:
    """A token made at `NOW`."""
    return AccessTokens(unconnected, clock=lambda: NOW).issue(USER, SESSION, REFRESH)


def payload(token: str) -> dict[str, object]:
    """The claims, unverified."""
    return dict(jwt.decode(token, options={"verify_signature": False}))


def test_the_header_says_type_algorithm_and_key_alone(issued: TokenResponse) -> None:
    """Exactly `alg`, `typ` and `kid`, of the ring's first key."""
    assert jwt.get_unverified_header(issued.access_token) == {"alg": "HS256", "typ": "at+jwt", "kid": "first"}


def test_the_claims_are_the_seven_of_the_design(issued: TokenResponse) -> None:
    """Issuer, audience, user, session, id and times: no address, no role, nothing personal."""
    claims = payload(issued.access_token)
    token_id = UUID(str(claims.pop("jti")))

    assert token_id.version == 7
    assert claims == {
        "iss": "user-svc",
        "aud": "gatehouse",
        "sub": str(USER),
        "sid": str(SESSION),
        "iat": 1_800_000_000,
        "exp": 1_800_000_600,
    }


def test_the_answer_names_scheme_lifetime_and_what_renews_it(issued: TokenResponse) -> None:
    """`token_type`, `expires_in` and `refresh_token` are those of RFC 6749 section 5.1."""
    assert (issued.token_type, issued.expires_in, issued.refresh_token) == ("bearer", 600, REFRESH)


def test_each_token_has_an_id_of_its_own(unconnected: Settings) -> None:
    """Two tokens of one session in one second are two tokens."""
    tokens = AccessTokens(unconnected, clock=lambda: NOW)

    assert tokens.issue(USER, SESSION, REFRESH).access_token != tokens.issue(USER, SESSION, REFRESH).access_token


def test_what_is_set_is_what_is_signed(unconnected: Settings) -> None:
    """Issuer, audience and lifetime come from the settings."""
    other = replace(unconnected, jwt_issuer="id.example", jwt_audience="api", access_token_seconds=30)

    issued = AccessTokens(other, clock=lambda: NOW).issue(USER, SESSION, REFRESH)

    claims = payload(issued.access_token)
    assert [claims[name] for name in ("iss", "aud", "exp")] == ["id.example", "api", 1_800_000_030]
    assert issued.expires_in == 30


def test_every_verifier_with_the_ring_believes_it(unconnected: Settings) -> None:
    """The verifier of `common` takes our tokens and reads the same ids from them."""
    issued = AccessTokens(unconnected).issue(USER, SESSION, REFRESH)

    claims = verifier(unconnected).verify(issued.access_token)

    assert (claims.subject, claims.session) == (USER, SESSION)


def test_a_new_first_key_leaves_older_tokens_good(unconnected: Settings) -> None:
    """Rotation: the old key verifies from second place, the new one signs, and no user notices."""
    old_key, new_key = random_keys("old"), random_keys("new")
    before = replace(unconnected, jwt_keys=KeyRing.parse(old_key))
    after = replace(unconnected, jwt_keys=KeyRing.parse(f"{new_key},{old_key}"))

    old = AccessTokens(before).issue(USER, SESSION, REFRESH)
    new = AccessTokens(after).issue(USER, SESSION, REFRESH)

    assert verifier(after).verify(old.access_token).session == SESSION
    assert jwt.get_unverified_header(new.access_token)["kid"] == "new"


def test_another_ring_does_not_believe_it(unconnected: Settings, issued: TokenResponse) -> None:
    """A key of the same name and other bytes refuses."""
    stranger = replace(unconnected, jwt_keys=KeyRing.parse(random_keys("first")))

    with pytest.raises(InvalidToken):
        verifier(stranger).verify(issued.access_token)
