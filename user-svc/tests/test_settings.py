"""The settings of user-svc: what holds unless told otherwise, and what is refused."""

import msgspec
import pytest

from common.settings import SettingsError, load
from common.testing import random_keys
from user_svc.settings import Settings

OWN = {
    "access_token_seconds": 600,
    "session_seconds": 30 * 24 * 3600,
    "refresh_idle_seconds": 14 * 24 * 3600,
    "refresh_grace_seconds": 10,
    "throttle_account_per_minute": 10,
    "throttle_address_per_minute": 100,
    "throttle_mails_per_hour": 5,
    "trusted_proxies": [],
    "verify_token_seconds": 24 * 3600,
    "reset_token_seconds": 3600,
    "password_minimum": 8,
    "argon2_memory_kib": 19 * 1024,
    "argon2_passes": 2,
    "argon2_lanes": 1,
    "password_threads": 2,
    "password_queue": 64,
}

BOUNDS = {
    "ACCESS_TOKEN_SECONDS": (30, 3600),
    "SESSION_SECONDS": (60, None),
    "REFRESH_IDLE_SECONDS": (60, None),
    "REFRESH_GRACE_SECONDS": (0, 60),
    "THROTTLE_ACCOUNT_PER_MINUTE": (0, 60_000),
    "THROTTLE_ADDRESS_PER_MINUTE": (0, 60_000),
    "THROTTLE_MAILS_PER_HOUR": (0, 60_000),
    "VERIFY_TOKEN_SECONDS": (60, 30 * 24 * 3600),
    "RESET_TOKEN_SECONDS": (60, 24 * 3600),
    "PASSWORD_MINIMUM": (8, 128),
    "ARGON2_MEMORY_KIB": (8, 4_194_304),
    "ARGON2_PASSES": (1, 100),
    "ARGON2_LANES": (1, 64),
    "PASSWORD_THREADS": (1, 64),
    "PASSWORD_QUEUE": (1, 10_000),
}


@pytest.fixture
def variables() -> dict[str, str]:
    """As little as user-svc can be told."""
    return {"DATABASE_URL": "postgresql://localhost/user", "REDIS_URL": "redis://localhost", "JWT_KEYS": random_keys()}


def test_the_defaults_are_those_of_the_design(variables: dict[str, str]) -> None:
    """Ten minutes for a token, OWASP's argon2id parameters, passwords from eight characters."""
    settings = msgspec.structs.asdict(load(Settings, variables))

    assert {name: settings[name] for name in OWN} == OWN


@pytest.mark.parametrize("name", BOUNDS)
def test_a_number_out_of_bounds_is_refused_by_name(variables: dict[str, str], name: str) -> None:
    """The bounds themselves are taken; one beyond is refused with the variable named and the value unsaid."""
    for bound, beyond in zip(BOUNDS[name], (-1, 1), strict=True):
        if bound is None:
            continue
        assert getattr(load(Settings, variables | {name: str(bound)}), name.lower()) == bound
        with pytest.raises(SettingsError, match=f"^{name} ") as refusal:
            load(Settings, variables | {name: str(bound + beyond)})
        assert str(bound + beyond) not in str(refusal.value).removeprefix(name).split()


@pytest.mark.parametrize("text", ["ten", "1.5", "true", "1e3", "0x10", "\uff11\uff12"])
def test_what_is_no_whole_number_is_refused(variables: dict[str, str], text: str) -> None:
    """A number is written in plain digits."""
    with pytest.raises(SettingsError, match=r"^ARGON2_PASSES "):
        load(Settings, variables | {"ARGON2_PASSES": text})


def test_tokens_that_nobody_would_take_are_refused_at_start(variables: dict[str, str]) -> None:
    """Verifiers take none that lives longer than JWT_MAX_SECONDS; as long is well."""
    variables |= {"MAIL_FOLDER": "mail", "ACCESS_TOKEN_SECONDS": "600"}
    load(Settings, variables | {"JWT_MAX_SECONDS": "600"}).check()

    with pytest.raises(SettingsError, match=r"^ACCESS_TOKEN_SECONDS is more than JWT_MAX_SECONDS"):
        load(Settings, variables | {"JWT_MAX_SECONDS": "599"}).check()
