"""Which passwords are guessed first: common ones, and those made of the owner's own address; judged offline."""

from threading import Lock
from typing import Final

from zxcvbn import zxcvbn  # type: ignore[import-untyped]
from zxcvbn.frequency_lists import FREQUENCY_LISTS  # type: ignore[import-untyped]

LONG: Final = 15  # characters from which length is strength enough (NIST SP 800-63B-4 section 3.1.1.2)
NAME: Final = 4  # characters from which an address' name is more than a chance
SCORE: Final = 2  # of zxcvbn: at least a million guesses

_COMMON: Final = frozenset(word for word in FREQUENCY_LISTS["passwords"] if len(word) >= LONG)  # the rest is zxcvbn's

_ONE_AT_A_TIME: Final = Lock()  # zxcvbn keeps the address it is told in a global, for all threads


def weakness(password: str, email: str, *, minimum: int) -> str | None:
    """Why this password is refused, if it is.

    A long one is refused only if it stands on the list of common ones, or is little more than the address.
    """
    text, address = password.casefold(), email.casefold()
    rest = _without(text, address)
    if rest != text and (len(text) < LONG or len(rest) < minimum):
        return "a password must not be made of the e-mail address"
    if text in _COMMON or (len(text) < LONG and _is_guessed(password, address)):
        return "this password is among the first that are guessed; a few unrelated words make a good one"
    return None


def _without(text: str, address: str) -> str:
    name = address.rpartition("@")[0]
    text = text.replace(address, "") if address else text
    return text.replace(name, "") if len(name) >= NAME else text


def _is_guessed(password: str, address: str) -> bool:
    with _ONE_AT_A_TIME:
        score: int = zxcvbn(password, user_inputs=[address, *address.split("@")])["score"]
    return score < SCORE
