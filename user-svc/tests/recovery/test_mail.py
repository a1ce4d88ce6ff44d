"""Mails: what they look like, and how a mailer hands them over."""

import ssl
import stat
import subprocess
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiosmtpd.smtp import AuthResult, LoginPassword
from aiosmtplib import SMTPException

from user_svc.recovery import mail
from user_svc.recovery.mail import FolderMailer, Letters, SmtpMailer
from user_svc.sessions.schemas import Action
from user_svc.settings import Mailbox, SmtpUrl

LETTERS = Letters(
    Mailbox("Gatehouse <no-reply@example.net>"), "https://app.test", {Action.VERIFY: 86_400, Action.RESET: 3600}
)


def a_letter(to: str = "ann@example.com", token: str = "aa.bb.cc") -> EmailMessage:
    """A mail as Ann gets it."""
    return LETTERS.write(Action.RESET, to=to, token=token, number=7)


async def send(url: str, letter: EmailMessage | None = None) -> None:
    """Hand one mail over."""
    async with SmtpMailer(SmtpUrl.parse(url)).opened() as send:
        await send(letter or a_letter())


def test_a_mail_says_the_same_as_text_and_as_html() -> None:
    """Both hold the link, with the token in its fragment, and how long it works; nobody answers automatically."""
    letter = a_letter()
    text, html = letter.get_body(("plain",)), letter.get_body(("html",))

    assert (letter["From"], letter["To"]) == ("Gatehouse <no-reply@example.net>", "ann@example.com")
    assert letter["Message-ID"] == "<reset-7@example.net>"
    assert letter["Auto-Submitted"] == "auto-generated"
    for part in (text, html):
        assert part is not None
        assert "https://app.test/auth/reset-password#token=aa.bb.cc" in part.get_content()
        assert "1 hour" in part.get_content()


def test_what_is_filled_in_is_escaped() -> None:
    """Markup in a setting or a token is text in the HTML."""
    html = a_letter(token='"><script>').get_body(("html",))

    assert html is not None
    assert "<script>" not in html.get_content()
    assert "&quot;&gt;&lt;script&gt;" in html.get_content()


def test_no_mail_is_written_to_what_a_header_takes_for_another_address() -> None:
    """Encoded text in an address that was taken once: the link would go to whoever it decodes to."""
    with pytest.raises(ValueError, match="another address"):
        a_letter("=?utf-8?q?b=6Fb?=@example.com")


def test_a_domain_of_another_script_is_written_as_servers_take_it() -> None:
    """The domain in ASCII; a local part that is none is left to SMTPUTF8."""
    assert a_letter("ann@b\u00fccher.example")["To"] == "ann@xn--bcher-kva.example"
    assert a_letter("\u00e4nn@example.com")["To"] == "\u00e4nn@example.com"


async def test_a_file_is_whole_and_its_owners_alone(tmp_path: Path) -> None:
    """One `.eml` per mail in wire format, its link in one piece, for nobody else to read."""
    folder = tmp_path / "deep" / "mail"
    async with FolderMailer(folder).opened() as send:
        await send(a_letter())
        await send(a_letter())

    files = list(folder.iterdir())
    assert [file.suffix for file in files] == [".eml", ".eml"]
    for file in files:
        assert b"https://app.test/auth/reset-password#token=aa.bb.cc\r\n" in file.read_bytes()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


async def test_a_server_gets_the_mail(mail_server: Any) -> None:
    """Over SMTP, to the one recipient."""
    mail_server.start()

    await send(mail_server.url)

    [letter] = mail_server.letters
    assert mail_server.recipients == ["ann@example.com"]
    assert letter["Subject"] == "Set a new password"
    assert (
        letter.get_body(("plain",)).get_content().splitlines()
        == str(
            a_letter().get_body(("plain",)).get_content()  # type: ignore[union-attr]
        ).splitlines()
    )


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
@pytest.mark.parametrize(("password", "let_in"), [("s%40cret", True), ("wrong", False)])
async def test_a_server_may_want_a_password(
    mail_server: Any, monkeypatch: pytest.MonkeyPatch, password: str, let_in: bool
) -> None:
    """User and password of the address, percent-decoded; without them, or with others, nothing is taken."""

    def authenticate(_server: Any, _session: Any, _envelope: Any, _mechanism: str, given: LoginPassword) -> AuthResult:
        return AuthResult(success=given == LoginPassword(b"gate", b"s@cret"))

    monkeypatch.setattr(mail, "PATIENCE", 1.0)  # aiosmtpd leaves a refused client waiting
    mail_server.start(authenticator=authenticate, auth_required=True, auth_require_tls=False)
    address = urlsplit(mail_server.url).netloc

    try:
        await send(f"smtp://gate:{password}@{address}?starttls=never")
    except SMTPException:
        assert not let_in
    with pytest.raises(SMTPException):
        await send(mail_server.url)

    assert len(mail_server.letters) == let_in


@pytest.mark.parametrize("url", ["smtp://gate:secret@{}", "smtp://{}?starttls=required"])
async def test_a_password_is_not_sent_in_the_clear(mail_server: Any, url: str) -> None:
    """A server that offers no TLS gets neither the password it asks for, nor a mail for which TLS is required."""
    seen: list[str] = []

    def authenticate(_server: Any, _session: Any, _envelope: Any, mechanism: str, _given: Any) -> AuthResult:
        seen.append(mechanism)
        return AuthResult(success=True)

    mail_server.start(authenticator=authenticate, auth_require_tls=False)

    with pytest.raises(SMTPException, match="STARTTLS"):
        await send(url.format(urlsplit(mail_server.url).netloc))

    assert (seen, mail_server.letters) == ([], [])


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
async def test_tls_needs_a_certificate_that_is_trusted(
    mail_server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    """Both ways of TLS work with a trusted certificate, and send nothing to a server with another."""
    context = certified(tmp_path)
    mail_server.start(**({"ssl_context": context} if scheme == "smtps" else {"tls_context": context}))
    url = f"{scheme}://localhost:{mail_server.port}"

    with pytest.raises((SMTPException, OSError)):
        await send(url)
    assert mail_server.letters == []

    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
    await send(url)
    assert len(mail_server.letters) == 1


def certified(folder: Path) -> ssl.SSLContext:
    """A server's context with a new certificate for localhost."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "1"]
    subprocess.run([*command, *subject, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context
