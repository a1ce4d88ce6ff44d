"""Proof: what is believed, what is not and why, and how long an accepted token is remembered."""

import hmac
import string
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.auth import Claims, KeyRing, TokenVerifier, tokens
from common.errors import InvalidToken
from common.testing import AUDIENCE, ISSUER, claims, mint_token, random_keys, sign

RING = KeyRing.parse(random_keys())
TOKEN = mint_token(RING)


def refusal(verifier: TokenVerifier, token: str) -> str:
    """Why a token is refused."""
    with pytest.raises(InvalidToken) as caught:
        verifier.verify(token)
    return caught.value.reason


@pytest.fixture
def proofs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows by one with each signature that is computed."""
    computed: list[str] = []
    digest = hmac.digest

    def counting(key: bytes, message: bytes, name: str) -> bytes:
        computed.append(name)
        return digest(key, message, name)

    monkeypatch.setattr(hmac, "digest", counting)
    return computed


def test_good_token_gives_its_claims(verifier: TokenVerifier, keys: KeyRing) -> None:
    """What was signed is what is believed."""
    signed = claims()
    expected = Claims(UUID(signed["sub"]), UUID(signed["sid"]), signed["jti"], signed["iat"], signed["exp"])
    assert verifier.verify(mint_token(keys, **signed)) == expected


@pytest.mark.parametrize(
    "changes",
    [
        {"iat": claims()["iat"] + 0.5, "exp": claims()["exp"] + 0.5},
        {"iat": claims()["iat"] + 4},
        {"exp": claims()["iat"] + 3600},
        {"scope": "todos", "nested": {"sub": "x"}},
    ],
    ids=["fractions of a second", "a clock that is ahead by 4 s", "the longest life", "claims that nobody asked for"],
)
def test_allowed_variations(verifier: TokenVerifier, keys: KeyRing, changes: dict[str, Any]) -> None:
    """What RFC 7519 lets an issuer do is no forgery."""
    signed = claims(**changes)
    token = sign(keys, {"alg": "HS256", "typ": "at+jwt", "kid": "test"}, signed)
    assert verifier.verify(token).token_id == signed["jti"]


def test_forgery_is_refused(verifier: TokenVerifier, forgery: Any) -> None:
    """Each trick of RFC 8725 and of the Wycheproof families is refused, for the right reason."""
    assert refusal(verifier, forgery.token) == forgery.reason


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(TOKEN) - 1), st.sampled_from(string.printable + "\u00e9\u0660"))
def test_no_character_can_be_changed(position: int, character: str) -> None:
    """A good token with any one character changed is refused."""
    forged = TOKEN[:position] + character + TOKEN[position + 1 :]
    verifier = TokenVerifier(RING, issuer=ISSUER, audience=AUDIENCE)
    if forged != TOKEN:
        assert refusal(verifier, forged) in {"malformed", "unknown_key", "signature"}


@settings(max_examples=100, deadline=None)
@given(
    st.text(max_size=50)
    | st.lists(st.text(string.ascii_letters + "-_", min_size=1), min_size=3, max_size=3).map(".".join)
)
def test_noise_is_refused(noise: str) -> None:
    """Whatever comes in, the answer is a refusal and nothing else."""
    assert refusal(TokenVerifier(RING, issuer=ISSUER, audience=AUDIENCE), noise) == "malformed"


def test_every_key_of_the_ring_verifies(clock: Any) -> None:
    """During a rotation, tokens of the old key and of the new one are good; of a dropped one no more."""
    new, old = KeyRing.parse(random_keys("new")), KeyRing.parse(random_keys("old"))
    both = KeyRing(dict([new.signing, old.signing]))
    verifier = TokenVerifier(both, issuer=ISSUER, audience=AUDIENCE, clock=clock)
    verifier.verify(mint_token(new))
    verifier.verify(mint_token(old))
    assert refusal(TokenVerifier(new, issuer=ISSUER, audience=AUDIENCE, clock=clock), mint_token(old)) == "unknown_key"


def test_key_of_another_name_does_not_verify(clock: Any) -> None:
    """A key signs under its own name only."""
    ring = KeyRing.parse(random_keys("first", "second"))
    other = KeyRing({"second": ring.signing[1]})
    assert refusal(TokenVerifier(ring, issuer=ISSUER, audience=AUDIENCE, clock=clock), mint_token(other)) == "signature"


def test_limits_of_a_life_are_those_that_were_set(keys: KeyRing, clock: Any) -> None:
    """`lifetime` is the longest that is believed, to the second."""
    verifier = TokenVerifier(keys, issuer=ISSUER, audience=AUDIENCE, lifetime=60, clock=clock)
    now = clock()
    verifier.verify(mint_token(keys, iat=now, exp=now + 60))
    assert refusal(verifier, mint_token(keys, iat=now, exp=now + 61)) == "claims"


def test_leeway_is_five_seconds(verifier: TokenVerifier, keys: KeyRing, clock: Any) -> None:
    """Another clock may be five seconds ahead, not six."""
    verifier.verify(mint_token(keys, iat=clock() + 5, exp=clock() + 60))
    assert refusal(verifier, mint_token(keys, iat=clock() + 6, exp=clock() + 60)) == "claims"


def test_expiry_has_no_leeway(verifier: TokenVerifier, keys: KeyRing, clock: Any) -> None:
    """At `exp` it is over (RFC 7519 section 4.1.4), for a remembered proof too."""
    token = mint_token(keys, exp=clock() + 10)
    clock.now += 9.9
    verifier.verify(token)
    clock.now += 0.1
    assert refusal(verifier, token) == "expired"
    assert refusal(verifier, token) == "expired"


def test_proof_is_made_once(verifier: TokenVerifier, keys: KeyRing, proofs: list[str]) -> None:
    """A token that was accepted is looked up from then on."""
    token = mint_token(keys)
    proofs.clear()
    assert verifier.verify(token) is verifier.verify(token)
    assert proofs == ["sha256"]


def test_refusals_are_not_remembered(verifier: TokenVerifier, keys: KeyRing) -> None:
    """Forgeries take no room in the cache."""
    for token in ("x", mint_token(keys, aud="other"), mint_token(KeyRing.parse(random_keys()))):
        refusal(verifier, token)
    assert len(verifier._proofs) == 0


def test_remembered_proofs_are_bounded(
    verifier: TokenVerifier, keys: KeyRing, proofs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cache holds so many and no more; the one that was not asked about for the longest time goes first."""
    monkeypatch.setattr(tokens, "PROOFS", 2)
    first, second, third = (mint_token(keys) for _ in range(3))
    for token in (first, second, first, third):
        verifier.verify(token)
    assert len(verifier._proofs) == 2
    proofs.clear()
    verifier.verify(first)
    assert proofs == []
    verifier.verify(second)
    assert proofs == ["sha256"]


def test_expired_proof_is_dropped(verifier: TokenVerifier, keys: KeyRing, clock: Any) -> None:
    """An expired token frees its place."""
    token = mint_token(keys)
    verifier.verify(token)
    clock.now += 700
    refusal(verifier, token)
    assert len(verifier._proofs) == 0


def test_refusal_says_nothing_of_the_token(verifier: TokenVerifier, forgery: Any) -> None:
    """The description is a sentence of ours: it echoes nothing that a stranger wrote."""
    with pytest.raises(InvalidToken) as caught:
        verifier.verify(forgery.token)
    assert set(caught.value.detail) <= set(string.ascii_letters + string.digits + " +'")
    assert '"' not in caught.value.detail
    assert caught.value.headers["WWW-Authenticate"].startswith('Bearer error="invalid_token"')
