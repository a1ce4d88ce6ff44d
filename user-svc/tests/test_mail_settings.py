"""The settings of mail: what must be there, and what is refused."""

import pytest

from common.cli import load_or_exit
from common.settings import Settings as Common
from common.settings import SettingsError, load
from common.testing import random_keys
from user_svc.settings import Mailbox, Settings, SmtpUrl

NEEDED = {"DATABASE_URL": "postgresql://h/db", "REDIS_URL": "redis://h", "JWT_KEYS": random_keys()}
SMTP = {"SMTP_URL": "smtp://mail", "MAIL_FROM": "a@b.example", "PUBLIC_URL": "https://app.test"}


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({}, "SMTP_URL is not set: in production mails must leave (or set MAIL_FOLDER)"),
        ({"SMTP_URL": "smtp://mail", "MAIL_FROM": "a@b.example"}, "PUBLIC_URL is not set, which SMTP_URL needs"),
        ({"SMTP_URL": "smtp://mail", "PUBLIC_URL": "https://a"}, "MAIL_FROM is not set, which SMTP_URL needs"),
    ],
)
def test_a_production_without_a_way_out_does_not_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], variables: dict[str, str], said: str
) -> None:
    """Exit code 2 and one line that names the setting."""
    for name, value in (NEEDED | variables).items():
        monkeypatch.setenv(name, value)

    with pytest.raises(SystemExit) as ended:
        load_or_exit("user-svc", Settings)

    assert (ended.value.code, capsys.readouterr().err) == (2, f"user-svc: {said}\n")


@pytest.mark.parametrize("variables", [SMTP, {"MAIL_FOLDER": "mail"}, {"ENVIRONMENT": "development"}])
def test_one_way_out_is_enough(variables: dict[str, str]) -> None:
    """A server, a folder, or in development none at all."""
    load(Settings, NEEDED | variables).check()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://mail", "must look like smtp://host:port"),
        ("smtp://", "must look like smtp://host:port"),
        ("smtp://mail:geheim", "must look like smtp://host:port"),
        ("smtp://mail?starttls=maybe", "takes nothing behind the ?"),
        ("smtp://mail?tls=yes", "takes nothing behind the ?"),
    ],
)
def test_a_bad_mail_server_is_named_without_its_value(url: str, said: str) -> None:
    """One line, and nothing of what was given."""
    with pytest.raises(SettingsError, match="SMTP_URL " + said.replace("?", r"\?")) as error:
        load(Settings, NEEDED | SMTP | {"SMTP_URL": url})

    assert "geheim" not in str(error.value)


@pytest.mark.parametrize("text", ["nobody", "Name <>", "a@", "@b", "a@b\r\nBcc: c@d"])
def test_a_sender_needs_an_address(text: str) -> None:
    """Nothing that could write a header of its own, either."""
    with pytest.raises(ValueError, match="must look like"):
        Mailbox.parse(text)


def test_no_password_is_shown() -> None:
    """Neither by the address nor by the settings."""
    assert repr(SmtpUrl.parse("smtp://ann:geheim@mail:587")) == "smtp://***@mail:587"
    assert "geheim" not in repr(load(Settings, NEEDED | SMTP | {"SMTP_URL": "smtp://ann:geheim@mail"}))


def test_other_services_ask_for_no_mail() -> None:
    """The check is user-svc's own."""
    load(Common, NEEDED).check()
