"""The links that `up` shows."""

import asyncio
from email.message import EmailMessage
from pathlib import Path

import pytest

from devstack.up import mail


def write(folder: Path, name: str, text: str) -> Path:
    """A mail, as user-svc writes one."""
    message = EmailMessage()
    message["To"], message["Subject"] = "ann@example.com", "Set a new password"
    message.set_content(text, cte="7bit")
    message.add_alternative(f"<p>{text}</p>", subtype="html")
    file = folder / f"{name}.eml"
    file.write_bytes(message.as_bytes())
    return file


def test_a_mail_is_shown_by_its_link(tmp_path: Path) -> None:
    """To whom, about what, and the whole link."""
    link = "http://127.0.0.1:8001/auth/reset-password#token=" + "a" * 400
    letter = mail.read(write(tmp_path, "1", f"Hello,\n\n{link}\n\nBye\n"))

    assert letter == ("ann@example.com", "Set a new password", link)


def test_what_has_no_link_is_not_shown(tmp_path: Path) -> None:
    """A mail without one, or one that is gone."""
    assert mail.read(write(tmp_path, "1", "Hello\n")) is None
    assert mail.read(tmp_path / "2.eml") is None


async def test_mails_are_shown_as_they_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The newest three of before, and every new one, once."""
    monkeypatch.setattr(mail, "POLL", 0.01)
    for number in range(5):
        write(tmp_path, str(number), f"http://a.test/{number}\n")
    telling = asyncio.create_task(mail.tell(tmp_path))
    said = ""
    async with asyncio.timeout(5):
        while "http://a.test/4" not in said:
            await asyncio.sleep(0.01)
            said += capsys.readouterr().out
        write(tmp_path, "5", "http://a.test/5\n")
        while "http://a.test/5" not in said:
            await asyncio.sleep(0.01)
            said += capsys.readouterr().out
    telling.cancel()

    assert [said.count(f"http://a.test/{number}") for number in range(6)] == [0, 0, 1, 1, 1, 1]
