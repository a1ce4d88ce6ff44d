"""E-mail addresses: checked, shown as given, compared as one form."""

import unicodedata
from typing import Final, NamedTuple

from email_validator import EmailNotValidError, validate_email

from common.dto import FieldError
from common.errors import Unprocessable

LONGEST: Final = 320  # characters of a key: NFKC makes eighteen of one


class Address(NamedTuple):
    """An address as it is shown, and as it is compared."""

    shown: str
    key: str


def parse(text: str) -> Address:
    """Check the syntax (RFC 5321, RFC 6531); no name server is asked.

    Raises:
        Unprocessable: it is no e-mail address.

    """
    try:
        shown = validate_email(text, check_deliverability=False).normalized
    except EmailNotValidError as error:
        raise _refusal(str(error)) from None
    if "=?" in shown:  # RFC 2047: text that a mail's header decodes, so that the mail goes to another address
        raise _refusal("The email address contains =?, which begins encoded text.")
    if len(compared := _folded(shown)) > LONGEST:
        raise _refusal("The email address is too long.")
    return Address(shown, compared)


def key(text: str) -> str:
    """The key of an address as it is typed at login, where the domain may be in another form than it is shown in."""
    try:
        return parse(text.strip()).key
    except Unprocessable:
        return _folded(text.strip())


def deliverable(shown: str) -> str:
    """The address as every mail server takes it: its domain in ASCII, where the rest lets it be (RFC 5891)."""
    return validate_email(shown, check_deliverability=False).ascii_email or shown


def _folded(text: str) -> str:
    """Unicode-normalised and without case, so that no look-alike is another account."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def _refusal(reason: str) -> Unprocessable:
    return Unprocessable("the e-mail address is not acceptable", errors=[FieldError("body.email", reason)])
