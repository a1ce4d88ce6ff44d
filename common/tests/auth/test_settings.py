"""The settings of proof."""

import msgspec
import pytest

from common.auth import TokenSettings, verifier
from common.errors import InvalidToken
from common.settings import SettingsError, load
from common.testing import claims, mint_token, random_keys

ENVIRONMENT = {"DATABASE_URL": "postgresql://h/db", "REDIS_URL": "redis://h", "JWT_KEYS": random_keys("k")}


def test_verifier_is_as_the_settings_say() -> None:
    """Issuer, audience and the longest life come from the environment."""
    settings = load(TokenSettings, ENVIRONMENT | {"JWT_ISSUER": "i", "JWT_AUDIENCE": "a", "JWT_MAX_SECONDS": "60"})
    judge, now = verifier(settings), claims()["iat"]
    judge.verify(mint_token(settings.jwt_keys, iss="i", aud="a", exp=now + 60))
    for wrong in ({"exp": now + 61}, {"iss": "user-svc", "exp": now + 60}, {"aud": "gatehouse", "exp": now + 60}):
        with pytest.raises(InvalidToken):
            judge.verify(mint_token(settings.jwt_keys, **{"iss": "i", "aud": "a"} | wrong))


def test_defaults_fit_the_tokens_of_user_svc() -> None:
    """With nothing set but the keys, a token as user-svc signs it is good."""
    settings = load(TokenSettings, ENVIRONMENT)
    verifier(settings).verify(mint_token(settings.jwt_keys))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("JWT_KEYS", "", "JWT_KEYS is not set"),
        ("JWT_KEYS", "geheim", "JWT_KEYS must look like kid:base64url[,kid:base64url]"),
        ("JWT_KEYS", "k:geheim", "JWT_KEYS holds a key k of 4 bytes; at least 32 are needed"),
        ("JWT_MAX_SECONDS", "59", "JWT_MAX_SECONDS must be 60 to 86400"),
        ("JWT_MAX_SECONDS", "86401", "JWT_MAX_SECONDS must be 60 to 86400"),
    ],
)
def test_weak_setting_stops_the_start(name: str, value: str, message: str) -> None:
    """One line that names the variable, and never says what it holds."""
    with pytest.raises(SettingsError) as caught:
        load(TokenSettings, ENVIRONMENT | {name: value})
    assert str(caught.value) == message


def test_settings_show_no_secret() -> None:
    """Whoever logs the settings logs no key."""
    settings = load(TokenSettings, ENVIRONMENT)
    key = ENVIRONMENT["JWT_KEYS"].partition(":")[2]
    assert key not in repr(settings) + str(msgspec.structs.asdict(settings))
