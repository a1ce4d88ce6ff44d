"""The errors of a route, as its OpenAPI page names them."""

from http import HTTPStatus

from litestar.openapi.datastructures import ResponseSpec

from common.dto import Problem
from common.http.problems import MEDIA_TYPE

_WHEN = {
    400: "The request could not be read",
    401: "No bearer token, or one that was judged bad",
    403: "The caller may not do this",
    404: "There is no such object of the caller's",
    409: "The state of the object does not allow it",
    410: "It is not known any more; start anew",
    412: "The object is not in the state that `If-Match` names; `ETag` and `current` say how it is now",
    413: "The body is too large",
    415: "The body does not say that it is what the route reads",
    422: "A value is not acceptable; `errors` names each",
    429: "Too many requests; see Retry-After",
    500: "Our fault; `request_id` finds it in the logs",
    503: "Something this needs cannot be reached; see Retry-After",
}


def problems(*statuses: int) -> dict[int, ResponseSpec]:
    """Problem answers with these statuses, and with the two that any route can give."""
    return {
        status: ResponseSpec(
            data_container=Problem,
            description=_WHEN.get(status, HTTPStatus(status).phrase),
            media_type=MEDIA_TYPE,
            generate_examples=False,
        )
        for status in sorted({*statuses, 500, 503})
    }


BODY = (400, 413, 415, 422)  # what a route that reads a body can answer besides
