"""The words of the mails, as text and as HTML."""

from html import escape
from string import Template
from typing import Final, NamedTuple

from user_svc.sessions.schemas import Action


class Words(NamedTuple):
    """What a mail says; `path` is where its link leads."""

    subject: str
    lead: str
    button: str
    path: str


WORDS: Final = {
    Action.VERIFY: Words(
        "Confirm your e-mail address",
        "please confirm that this e-mail address is yours.",
        "Confirm the address",
        "/auth/verify",
    ),
    Action.RESET: Words(
        "Set a new password",
        "somebody, hopefully you, asked for a new password. All sessions end when it is set.",
        "Set a new password",
        "/auth/reset-password",
    ),
}

TEXT: Final = Template("""\
Hello,

$lead

$link

The link works once, for $life. If this was not you, nothing needs to be done.
""")

HTML: Final = Template("""\
<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>$subject</title></head>
<body style="font-family: sans-serif; line-height: 1.5; max-width: 36em; margin: 2em auto; padding: 0 1em">
<p>Hello,</p>
<p>$lead</p>
<p><a href="$link" style="display: inline-block; padding: .6em 1.2em; background: #1f4fa3; color: #fff;
text-decoration: none; border-radius: .3em">$button</a></p>
<p style="color: #555">The link works once, for $life. If this was not you, nothing needs to be done.</p>
</body>
</html>
""")


def text(words: Words, *, link: str, life: str) -> str:
    """The mail as text."""
    return TEXT.substitute(words._asdict(), link=link, life=life)


def html(words: Words, *, link: str, life: str) -> str:
    """The mail as HTML; whatever is filled in is escaped."""
    fields = {**words._asdict(), "link": link, "life": life}
    return HTML.substitute({name: escape(value) for name, value in fields.items()})


def spoken(seconds: int) -> str:
    """A time in words, in the largest unit that says it whole."""
    for unit, size in (("hour", 3600), ("minute", 60)):
        count, rest = divmod(seconds, size)
        if count and not rest:
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return f"{seconds} seconds"
