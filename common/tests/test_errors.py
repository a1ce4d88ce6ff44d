"""The error tree: each error's status, code and headers."""

from http import HTTPStatus

import pytest

from common import errors
from common.dto import FieldError
from common.errors import InvalidToken, ServiceError, TooManyRequests, Unauthorized, Unavailable

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ServiceError)]
EXPECTED = {
    "ServiceError": (500, "INTERNAL_ERROR"),
    "BadRequest": (400, "MALFORMED_REQUEST"),
    "Unauthorized": (401, "NOT_AUTHENTICATED"),
    "InvalidToken": (401, "INVALID_TOKEN"),
    "Forbidden": (403, "FORBIDDEN"),
    "NotFound": (404, "NOT_FOUND"),
    "MethodNotAllowed": (405, "METHOD_NOT_ALLOWED"),
    "Conflict": (409, "CONFLICT"),
    "Gone": (410, "GONE"),
    "PreconditionFailed": (412, "PRECONDITION_FAILED"),
    "ContentTooLarge": (413, "CONTENT_TOO_LARGE"),
    "UnsupportedMediaType": (415, "UNSUPPORTED_MEDIA_TYPE"),
    "Unprocessable": (422, "INVALID_VALUE"),
    "TooManyRequests": (429, "TOO_MANY_REQUESTS"),
    "Unavailable": (503, "UNAVAILABLE"),
}


def test_statuses_and_codes_of_the_contract() -> None:
    """Clients program against these: a change is a change of the contract."""
    assert {kind.__name__: (kind.status, kind.code) for kind in KINDS} == EXPECTED


@pytest.mark.parametrize("kind", KINDS)
def test_status_is_one_of_http(kind: type[ServiceError]) -> None:
    """Each has a phrase for the title."""
    assert HTTPStatus(kind.status).phrase


def test_code_can_be_more_precise() -> None:
    """A code of its own for one occasion leaves the kind's alone."""
    assert ServiceError("x", code="MORE_PRECISE").code == "MORE_PRECISE"
    assert ServiceError.code == "INTERNAL_ERROR"


def test_what_it_carries_is_its_own() -> None:
    """Two errors made of the same parts share none of them."""
    parts = [FieldError("body.title", "is wrong")]
    headers = {"Allow": "GET"}
    error = ServiceError("x", errors=parts, headers=headers, members={"reason": "y"})
    error.errors.clear()
    error.headers.clear()
    assert (parts, headers) == ([FieldError("body.title", "is wrong")], {"Allow": "GET"})
    assert (str(error), error.detail, error.members) == ("x", "x", {"reason": "y"})


def test_missing_credentials_are_challenged_plainly() -> None:
    """No error code where no token came (RFC 6750 section 3.1)."""
    assert Unauthorized().headers == {"WWW-Authenticate": "Bearer"}


def test_bad_token_is_challenged_with_its_fault() -> None:
    """RFC 6750's `invalid_token`, a description for its holder, and who judged; the reason is for the metrics."""
    error = InvalidToken("expired", "the access token expired", source="redis")
    assert error.headers == {
        "WWW-Authenticate": 'Bearer error="invalid_token", error_description="the access token expired"',
        "X-Auth-Source": "redis",
    }
    assert (error.reason, error.source, error.detail) == ("expired", "redis", "the access token expired")
    assert InvalidToken("expired", "x").source == "proof"


def test_waiting_has_an_end() -> None:
    """429 and 503 say when to come back, in seconds."""
    assert TooManyRequests("slow down", retry_after=30).headers == {"Retry-After": "30"}
    assert Unavailable("away").headers == {"Retry-After": "1"}
    assert Unavailable("away", retry_after=2, code="CANNOT_JUDGE").headers == {"Retry-After": "2"}
    assert Unavailable("away", code="CANNOT_JUDGE").code == "CANNOT_JUDGE"
