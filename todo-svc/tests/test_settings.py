"""The settings of todo-svc: what must be set, what may be, and that nothing secret shows."""

import pytest

from common.settings import SettingsError, load
from todo_svc.settings import Settings


def test_only_four_variables_are_needed(variables: dict[str, str]) -> None:
    """PostgreSQL, Redis, the shared secret and user-svc; the rest is safe unless told otherwise."""
    needed = ("DATABASE_URL", "REDIS_URL", "JWT_KEYS", "USER_SVC_URL")
    settings = load(Settings, {name: variables[name] for name in needed})
    assert (settings.environment, settings.auth_blind, settings.cors_origins) == ("production", "read", [])


@pytest.mark.parametrize("name", ["DATABASE_URL", "REDIS_URL", "JWT_KEYS", "USER_SVC_URL"])
def test_each_of_them_is_named_where_it_is_missing(variables: dict[str, str], name: str) -> None:
    """One line that says which."""
    with pytest.raises(SettingsError, match=f"^{name} is not set$"):
        load(Settings, {key: value for key, value in variables.items() if key != name})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://app:hush@db/todo"),
        ("REDIS_URL", "http://hush"),
        ("JWT_KEYS", "hush"),
        ("USER_SVC_URL", "hush"),
        ("AUTH_BLIND", "hush"),
        ("CORS_ORIGINS", "https://hush/path"),
        ("DATABASE_POOL_SIZE", "hush"),
        ("TRASH_DAYS", "hush"),
        ("TRASH_DAYS", "0"),
    ],
)
def test_a_wrong_value_is_named_and_not_shown(variables: dict[str, str], name: str, value: str) -> None:
    """The line names the variable; the value, which may be a secret, is not in it."""
    with pytest.raises(SettingsError, match=f"^{name} ") as refusal:
        load(Settings, variables | {name: value})
    assert "hush" not in str(refusal.value)


def test_secrets_do_not_show(variables: dict[str, str]) -> None:
    """Neither the shared secret nor the database's password is in the text of the settings."""
    settings = load(Settings, variables)
    password = variables["DATABASE_URL"].split(":")[2].split("@")[0]
    assert password not in repr(settings)
    assert variables["JWT_KEYS"].partition(":")[2] not in repr(settings)
