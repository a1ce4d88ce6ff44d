"""What `up` takes from the environment and what it makes up."""

import base64
from pathlib import Path

import pytest

from devstack.processes import StackError
from devstack.up import settings
from devstack.up.options import parse

THROTTLE = ("THROTTLE_ACCOUNT_PER_MINUTE", "THROTTLE_ADDRESS_PER_MINUTE", "TRUSTED_PROXIES")
OPTIONS = parse(["--user-port=8101", "--todo-port=8102"])


@pytest.fixture(autouse=True)
def silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is set."""
    for name in ("JWT_KEYS", "ENVIRONMENT", "CORS_ORIGINS", "DOCS_LOGIN", *THROTTLE, *settings.TAKEN):
        monkeypatch.delenv(name, raising=False)


def _environment(folder: Path) -> dict[str, str]:
    return settings.service_environment(OPTIONS, folder, "postgresql://db/x", "redis://r/0")


def test_made_up_settings(tmp_path: Path) -> None:
    """Origins of both services, user-svc's address, a key of 32 bytes that stays the same."""
    made = _environment(tmp_path)
    assert set(made["CORS_ORIGINS"].split(",")) == {
        f"http://{host}:{port}" for host in ("127.0.0.1", "localhost") for port in (8101, 8102)
    }
    assert made["USER_SVC_URL"] == "http://127.0.0.1:8101"
    assert (made["DATABASE_URL"], made["REDIS_URL"]) == ("postgresql://db/x", "redis://r/0")
    kid, _, key = made["JWT_KEYS"].partition(":")
    assert kid == "dev"
    assert len(base64.urlsafe_b64decode(key + "=")) == 32
    assert _environment(tmp_path)["JWT_KEYS"] == made["JWT_KEYS"]


def test_secret_file_counts_as_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """JWT_KEYS_FILE keeps `up` from making a key up: both together would be refused by the service."""
    monkeypatch.setenv("JWT_KEYS_FILE", "/run/secrets/keys")
    assert "JWT_KEYS" not in _environment(tmp_path)


def test_database_url_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read by `up`, and not passed on beside the address `up` gives."""
    (tmp_path / "url").write_text("postgresql://from/file\n")
    monkeypatch.setenv("DATABASE_URL_FILE", str(tmp_path / "url"))
    assert settings.given("DATABASE_URL") == "postgresql://from/file"
    assert "DATABASE_URL_FILE" not in _environment(tmp_path)
    monkeypatch.setenv("DATABASE_URL_FILE", str(tmp_path / "none"))
    with pytest.raises(StackError, match="cannot be read: No such file"):
        settings.given("DATABASE_URL")


def test_no_prefilled_login_in_production(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo login, and patience with one address, are made up for development only."""
    assert {"DOCS_LOGIN", "THROTTLE_ADDRESS_PER_MINUTE"} <= _environment(tmp_path).keys()
    monkeypatch.setenv("ENVIRONMENT", "production")
    assert not {"DOCS_LOGIN", "THROTTLE_ADDRESS_PER_MINUTE"} & _environment(tmp_path).keys()


def test_one_address_is_everybody_in_development(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A seed of thousands registers from here, and logins through todo-svc count by who sent them; you may say no."""
    made = _environment(tmp_path)
    assert (made["THROTTLE_ADDRESS_PER_MINUTE"], made["TRUSTED_PROXIES"]) == ("60000", "127.0.0.0/8,::1/128")
    assert "THROTTLE_ACCOUNT_PER_MINUTE" not in made
    monkeypatch.setenv("THROTTLE_ADDRESS_PER_MINUTE", "7")
    assert _environment(tmp_path)["THROTTLE_ADDRESS_PER_MINUTE"] == "7"


def test_database_names_on_a_server_of_the_users() -> None:
    """The path is replaced, the driver's name dropped, everything else kept."""
    urls = settings.database_urls("postgresql+asyncpg://me:pw@host:5432/postgres?ssl=require")
    assert urls["user-svc"] == "postgresql://me:pw@host:5432/user_svc?ssl=require"
    assert urls["todo-svc"] == "postgresql://me:pw@host:5432/todo_svc?ssl=require"


def test_plain_address_has_no_password() -> None:
    """Only host and port are shown."""
    assert settings.plain_address("redis://:secret@127.0.0.1:6379/0") == "127.0.0.1:6379"
    assert settings.plain_address("postgresql://me:secret@db/x") == "db"
    assert settings.plain_address("redis+cluster://:secret@a:1,b:2") == "a:1,b:2"
