"""From the outbox to the mailer: a mail's token is made when the mail is."""

import time
from collections.abc import Collection, Sequence
from email.message import EmailMessage
from typing import Final

import asyncpg
import msgspec
import structlog
from aiosmtplib import SMTPException

from common.outbox import Entry
from user_svc.recovery.mail import Letters, Mailer
from user_svc.recovery.repository import HOLDERS, Holder
from user_svc.recovery.schemas import Posted
from user_svc.sessions.schemas import Action
from user_svc.sessions.tokens import ActionTokens

BATCH: Final = 20  # mails that a crash may send twice
GIVE_UP: Final = 24 * 3600  # seconds

Wanted = dict[int, tuple[Action, Holder]]

_log = structlog.get_logger()


class Delivery:
    """Sends what was asked for; what cannot be sent now is tried again for a day, ever less often."""

    def __init__(self, mailer: Mailer, letters: Letters, tokens: ActionTokens) -> None:
        self._mailer = mailer
        self._letters = letters
        self._tokens = tokens

    async def deliver(
        self, connection: "asyncpg.Connection[asyncpg.Record]", entries: Sequence[Entry]
    ) -> Collection[int]:
        """Send the mails of these entries; the ids of those to try again."""
        wanted = await self._wanted(connection, entries)
        unsent = {entry.id: entry for entry in entries if entry.id in wanted}
        try:
            await self._send(wanted, unsent)
        except (SMTPException, OSError) as error:
            _log.warning("mails wait", count=len(unsent), error=type(error).__name__)
        return [entry.id for entry in unsent.values() if not _given_up(entry)]

    async def _send(self, wanted: Wanted, unsent: dict[int, Entry]) -> None:
        """Over one connection; a mail that is refused, or cannot be written, keeps no other from leaving."""
        if not wanted:
            return
        async with self._mailer.opened() as send:
            for number, (action, holder) in wanted.items():
                try:
                    await send(self._write(action, holder, number))
                except OSError:
                    raise
                except Exception as error:  # noqa: BLE001 - whatever is wrong with one mail, the others leave
                    _log.warning("mail refused", entry=number, error=type(error).__name__)
                else:
                    del unsent[number]

    async def _wanted(self, connection: "asyncpg.Connection[asyncpg.Record]", entries: Sequence[Entry]) -> Wanted:
        """Mails to write, by entry: none to nobody, to who is verified already, or that a later entry asks for too."""
        posted = {msgspec.json.decode(entry.payload, type=Posted): entry.id for entry in entries}
        rows = await connection.fetch(HOLDERS, list({letter.account for letter in posted}))
        holders = {holder.id: holder for holder in map(Holder.of, rows)}
        wanted = {}
        for letter, number in posted.items():
            holder = holders.get(letter.account) if letter.account else None
            if holder is not None and not (letter.action is Action.VERIFY and holder.is_verified):
                wanted[number] = letter.action, holder
        return wanted

    def _write(self, action: Action, holder: Holder, number: int) -> EmailMessage:
        token = self._tokens.issue(action, holder.id, holder.state(action))
        return self._letters.write(action, to=holder.email, token=token, number=number)


def _given_up(entry: Entry) -> bool:
    """Said once, without the address."""
    given_up = entry.posted_at < time.time() - GIVE_UP
    if given_up:
        _log.error("mail given up", entry=entry.id, attempts=entry.attempts + 1)
    return given_up
