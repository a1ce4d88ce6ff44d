"""The tokens of mailed links: to the byte what was issued, for one action, for a time."""

from uuid import uuid4

import jwt
import pytest
from msgspec.structs import replace

from common.auth import KeyRing, TokenVerifier
from common.errors import InvalidToken
from common.settings import load
from common.testing import mint_token, random_keys, sign
from user_svc.sessions.schemas import Action
from user_svc.sessions.tokens import ActionTokens
from user_svc.settings import Settings

SETTINGS = load(
    Settings,
    {"DATABASE_URL": "postgresql://h/db", "REDIS_URL": "redis://h", "JWT_KEYS": random_keys("new", "old")},
)
NOW = 1_800_000_000
ANN = uuid4()


@pytest.fixture
def tokens() -> ActionTokens:
    """At a standing time."""
    return ActionTokens(SETTINGS, clock=lambda: NOW)


def later(seconds: int) -> ActionTokens:
    """The same, some time later."""
    return ActionTokens(SETTINGS, clock=lambda: NOW + seconds)


def test_what_was_issued_is_read(tokens: ActionTokens) -> None:
    """The account, the times and the state."""
    claims = tokens.read(Action.RESET, tokens.issue(Action.RESET, ANN, "state"))

    assert claims is not None
    assert (claims.sub, claims.iat, claims.exp, claims.state) == (ANN, NOW, NOW + 3600, "state")


def test_nothing_personal_is_in_it(tokens: ActionTokens) -> None:
    """A header of three members, and these claims alone."""
    token = tokens.issue(Action.VERIFY, ANN, "state")

    assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "verify+jwt", "kid": "new"}
    assert jwt.decode(token, options={"verify_signature": False}) == {
        "iss": "user-svc",
        "aud": "user-svc:verify",
        "sub": str(ANN),
        "iat": NOW,
        "exp": NOW + 86_400,
        "state": "state",
    }


@pytest.mark.parametrize(("action", "life"), [(Action.RESET, 3600), (Action.VERIFY, 86_400)])
def test_it_ends_with_its_second(tokens: ActionTokens, action: Action, life: int) -> None:
    """Good until the last second, and no leeway: issuer and reader are one."""
    token = tokens.issue(action, ANN, "state")

    assert later(life - 1).read(action, token) is not None
    assert later(life).read(action, token) is None


def test_one_action_is_not_the_other(tokens: ActionTokens) -> None:
    """Nor is either an access token, or an access token either."""
    verify, reset = tokens.issue(Action.VERIFY, ANN, "s"), tokens.issue(Action.RESET, ANN, "s")
    access = mint_token(SETTINGS.jwt_keys, iat=NOW, exp=NOW + 600)
    verifier = TokenVerifier(SETTINGS.jwt_keys, issuer="user-svc", audience="gatehouse", clock=lambda: NOW)

    assert verifier.verify(access).issued_at == NOW
    for mailed in (verify, reset):
        with pytest.raises(InvalidToken):
            verifier.verify(mailed)
    assert [tokens.read(Action.RESET, token) for token in (verify, access)] == [None, None]
    assert [tokens.read(Action.VERIFY, token) for token in (reset, access)] == [None, None]


def test_rotation_of_keys_voids_no_link(tokens: ActionTokens) -> None:
    """A token of the key that signed before is read; one of a key that is not known is not."""
    turned = KeyRing({kid: SETTINGS.jwt_keys.get(kid) or b"" for kid in ("old", "new")})
    token = tokens.issue(Action.RESET, ANN, "state")

    assert ActionTokens(replace(SETTINGS, jwt_keys=turned), clock=lambda: NOW).read(Action.RESET, token) is not None
    others = KeyRing.parse(random_keys("other"))
    assert ActionTokens(replace(SETTINGS, jwt_keys=others), clock=lambda: NOW).read(Action.RESET, token) is None


HEADER = {"typ": "reset+jwt", "alg": "HS256", "kid": "new"}
CLAIMS = {"iss": "user-svc", "aud": "user-svc:reset", "sub": str(ANN), "iat": NOW, "exp": NOW + 3600, "state": "s"}


@pytest.mark.parametrize(
    ("header", "claims"),
    [
        (HEADER | {"zip": "DEF"}, CLAIMS),
        (HEADER | {"typ": "at+jwt"}, CLAIMS),
        (HEADER | {"alg": "none"}, CLAIMS),
        (HEADER | {"kid": "nobody"}, CLAIMS),
        ({"alg": "HS256", "typ": "reset+jwt"}, CLAIMS),
        (HEADER, CLAIMS | {"exp": str(NOW + 3600)}),
        (HEADER, CLAIMS | {"exp": NOW + 3600.5}),
        (HEADER, CLAIMS | {"exp": True}),
        (HEADER, CLAIMS | {"sub": str(ANN).upper()}),
        (HEADER, CLAIMS | {"sub": ANN.hex}),
        (HEADER, CLAIMS | {"aud": ["user-svc:reset"]}),
        (HEADER, CLAIMS | {"aud": "user-svc:verify"}),
        (HEADER, CLAIMS | {"iss": "todo-svc"}),
        (HEADER, CLAIMS | {"admin": True}),
        (HEADER, {name: value for name, value in CLAIMS.items() if name != "state"}),
        (HEADER, b'{"iss":"user-svc","iss":"user-svc"}'),
        (HEADER, b"[]"),
        (HEADER, b"no JSON"),
    ],
)
def test_signed_but_not_as_we_sign_is_refused(
    tokens: ActionTokens, header: dict[str, str], claims: dict[str, object] | bytes
) -> None:
    """Even with the right key."""
    assert tokens.read(Action.RESET, sign(SETTINGS.jwt_keys, header, claims)) is None


def test_a_byte_more_or_less_is_refused(tokens: ActionTokens) -> None:
    """Padding, white space, a flipped bit, a missing part."""
    token = tokens.issue(Action.RESET, ANN, "state")
    flipped = token[:-2] + ("A" if token[-2] != "A" else "B") + token[-1]

    for bad in (token + "=", token + " ", " " + token, token + "\u00e9", flipped, token.rpartition(".")[0], ""):
        assert tokens.read(Action.RESET, bad) is None
