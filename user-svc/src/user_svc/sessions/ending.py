"""Ending sessions: one statement that revokes them, buries them, and posts what Redis must be told."""

from typing import Final

_ENDED: Final = """
ended AS (
    UPDATE sessions SET revoked_at = now(), updated_at = now() WHERE revoked_at IS NULL AND {condition} RETURNING id
), buried AS (
    INSERT INTO tombstones (session_id, until) SELECT id, now() + $1 * interval '1 second' FROM ended
    ON CONFLICT DO NOTHING
), posted AS (
    INSERT INTO outbox (topic, payload) SELECT 'standing', jsonb_build_object('session', id) FROM ended
)
"""


def ended(condition: str) -> str:
    """The CTEs that end the sessions of a condition, for a statement that does more besides; `$1` as in `ending`."""
    return _ENDED.format(condition=condition)


def ending(condition: str, *, because: str = "") -> str:
    """The statement for the sessions of a condition; `$1` is the longest life of an access token, in seconds.

    `because` is a change that the sessions end with, a CTE named `changed`; the answer then counts its rows.
    """
    cause = f"changed AS ({because}), " if because else ""
    counted = "changed" if because else "ended"
    return f"WITH {cause}{ended(condition)} SELECT count(*), (SELECT pg_notify('outbox', '')) FROM {counted}"  # noqa: S608 - constants


END_ONE: Final = ending("id = $2")
END_OWN: Final = ending("id = $2 AND account_id = $3")
END_OTHERS: Final = ending("id <> $2 AND account_id = $3")
