"""Idempotency keys in PostgreSQL: what a request was answered stands in the transaction of what it wrote.

See draft-ietf-httpapi-idempotency-key-header; the table is `IdempotencyKeyColumns` of `common.models`.
"""

import hmac
from typing import Final

import msgspec
from msgspec import Struct

from common.auth.keys import KeyRing
from common.database import Statements
from common.errors import Conflict, Unprocessable

RETRY_AFTER: Final = 1  # seconds
KEPT: Final = "interval '24 hours'"
_PURPOSE: Final = b"gatehouse idempotency key"

# A key holds no space, so that no two pairs are one text. The seed keeps these locks apart from others of the database.
_TAKE = "SELECT pg_try_advisory_xact_lock(hashtextextended($1::text || ' ' || $2::text, 24))"
_FIND = f"""
SELECT fingerprint, status, etag, body FROM idempotency_keys
WHERE scope = $1 AND key = $2 AND created_at > now() - {KEPT}
"""  # noqa: S608 - no value is in the text
_KEEP = """
INSERT INTO idempotency_keys (scope, key, fingerprint, status, etag, body) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (scope, key) DO UPDATE SET fingerprint = excluded.fingerprint, status = excluded.status,
    etag = excluded.etag, body = excluded.body, created_at = now()
RETURNING 1
"""

FORGET: Final = f"""
WITH old AS (
    SELECT scope, key FROM idempotency_keys WHERE created_at < now() - {KEPT} LIMIT $1 FOR UPDATE SKIP LOCKED
)
DELETE FROM idempotency_keys AS k USING old WHERE k.scope = old.scope AND k.key = old.key RETURNING 1
"""  # noqa: S608 - no value is in the text
"""For a service's housekeeping: so many that nobody will repeat any more."""


class Answer(Struct, frozen=True):
    """What was answered, as it is given again."""

    status: int
    body: bytes
    etag: str | None = None


class Keyed(Struct, frozen=True):
    """A request that came with a key; `fingerprints` are of its content, one by each key of the ring, the first kept.

    `scope` is within whom a key is unique: somebody who is known for certain before anything is read.
    """

    key: str
    fingerprints: tuple[bytes, ...]

    async def begin(self, transaction: Statements, scope: str) -> Answer | None:
        """Take the key until the transaction ends; the answer of before, if there was one.

        Raises:
            Conflict: a request with this key is under way.
            Unprocessable: the key came with another request.

        """
        taken = await transaction.row(_TAKE, scope, self.key)
        if taken is None or not taken[0]:
            raise Conflict(
                "a request with this Idempotency-Key is under way",
                code="IDEMPOTENCY_KEY_IN_USE",
                headers={"Retry-After": str(RETRY_AFTER)},
            )
        # Not in the same statement, which would not see what was committed while the lock was had by somebody else.
        found = await transaction.row(_FIND, scope, self.key)
        if found is None:
            return None
        if not any(hmac.compare_digest(found[0], fingerprint) for fingerprint in self.fingerprints):
            raise Unprocessable("this Idempotency-Key came with another request", code="IDEMPOTENCY_KEY_REUSED")
        return Answer(found[1], found[3], found[2])

    async def keep(self, transaction: Statements, scope: str, answer: Answer) -> None:
        """Keep the answer for a day, if the transaction is kept."""
        await transaction.rows(_KEEP, scope, self.key, self.fingerprints[0], answer.status, answer.etag, answer.body)


def fingerprints(keys: KeyRing, method: str, path: str, body: bytes) -> tuple[bytes, ...]:
    """What tells one request from another, by each key of the ring: without these nobody can try guesses of a body."""
    asked = msgspec.json.encode((method, path)) + body
    return tuple(hmac.digest(_derived(keys, kid), asked, "sha256") for kid in keys)


def _derived(keys: KeyRing, kid: str) -> bytes:
    return hmac.digest(keys.get(kid) or b"", _PURPOSE, "sha256")
