"""Refresh tokens: opaque, known by their hash, rotated at each use; one that comes twice ends the session."""

import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from typing import Final, Self
from uuid import UUID

from msgspec import Struct

from common.database import Database
from user_svc.sessions.schemas import TokenError

BYTES: Final = 32
_SEAL: Final = b"gatehouse refresh token successor"

# Locks the session before the token, as deleting an account does: else each could wait for the other.
_ROTATE = """
WITH held AS (
    SELECT s.id, s.expires_at, s.account_id FROM refresh_tokens r
    JOIN sessions s ON s.id = r.session_id JOIN accounts a ON a.id = s.account_id
    WHERE r.token_hash = $1 AND r.used_at IS NULL AND r.expires_at > now()
        AND s.revoked_at IS NULL AND s.expires_at > now() AND a.is_active
    FOR NO KEY UPDATE OF s
), used AS (
    UPDATE refresh_tokens r SET used_at = now(), successor_hash = $2, sealed_successor = $3 FROM held
    WHERE r.token_hash = $1 AND r.used_at IS NULL RETURNING held.*
), born AS (
    INSERT INTO refresh_tokens (token_hash, session_id, expires_at)
    SELECT $2, id, least(expires_at, now() + $4 * interval '1 second') FROM used
), touched AS (
    UPDATE sessions SET last_used_at = now() WHERE id IN (SELECT id FROM used)
)
SELECT id, account_id FROM used
"""
_USED = """
SELECT s.id, s.account_id, r.sealed_successor, n.used_at IS NULL AND r.used_at > now() - $2 * interval '1 second'
FROM refresh_tokens r JOIN sessions s ON s.id = r.session_id JOIN refresh_tokens n ON n.token_hash = r.successor_hash
    JOIN accounts a ON a.id = s.account_id
WHERE r.token_hash = $1 AND s.revoked_at IS NULL AND s.expires_at > now() AND a.is_active
"""


class RefreshToken:
    """The token itself, never kept: 256 random bits."""

    __slots__ = ("_raw",)

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    @classmethod
    def new(cls) -> Self:
        """A token that nobody has seen."""
        return cls(secrets.token_bytes(BYTES))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read one.

        Raises:
            TokenError: it is none of ours.

        """
        try:
            raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        except ValueError:
            raw = b""
        token = cls(raw)
        if len(raw) != BYTES or token.reveal() != text:
            raise invalid_grant()
        return token

    def reveal(self) -> str:
        """The text for its holder."""
        return urlsafe_b64encode(self._raw).rstrip(b"=").decode()

    @property
    def hash(self) -> bytes:
        """What the database knows of it."""
        return sha256(self._raw).digest()

    def seal(self, successor: "RefreshToken") -> bytes:
        """The successor, readable only to who has this token; sealing a sealed one opens it."""
        return self._pad(successor._raw)  # noqa: SLF001 - of its own kind

    def open(self, sealed: bytes) -> "RefreshToken":
        """The successor that was sealed with this token."""
        return RefreshToken(self._pad(sealed))

    def _pad(self, text: bytes) -> bytes:
        pad = hmac.digest(self._raw, _SEAL, "sha256")
        return bytes(a ^ b for a, b in zip(text, pad, strict=True))

    def __repr__(self) -> str:
        return "RefreshToken(***)"


class Rotation(Struct, frozen=True):
    """What a use of a token came to: a successor; None if it had been used before, and its session must end."""

    session: UUID
    account: UUID
    successor: RefreshToken | None


class RefreshTokens:
    """Rotates; a token may lie unused for `idle` seconds, and a lost answer be fetched again for `grace` seconds."""

    def __init__(self, database: Database, *, idle: int, grace: int) -> None:
        self._database = database
        self._idle = idle
        self._grace = grace

    async def rotate(self, token: RefreshToken) -> Rotation:
        """Use a token, once: of two who try at the same time the row's lock lets one through.

        Raises:
            TokenError: it is not known, or it or its session has ended.

        """
        successor = RefreshToken.new()
        row = await self._database.row(_ROTATE, token.hash, successor.hash, token.seal(successor), self._idle)
        if row is not None:
            return Rotation(row[0], row[1], successor)
        row = await self._database.row(_USED, token.hash, self._grace)
        if row is None:
            raise invalid_grant()
        session, account, sealed, may_repeat = row
        return Rotation(session, account, token.open(sealed) if may_repeat else None)


def invalid_grant() -> TokenError:
    """The one refusal of a refresh token (RFC 6749 section 5.2)."""
    return TokenError("the refresh token is not valid", error="invalid_grant", code="REFRESH_BAD_TOKEN")
