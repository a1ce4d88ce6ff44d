"""The errors of the domain, each with the status, code and headers it has on the wire.

ServiceError                     500
├── BadRequest                   400  not parseable: JSON, form, encoding
├── Unauthorized                 401  no bearer token came along
│   └── InvalidToken             401  one came and was judged bad (RFC 6750 section 3.1)
├── Forbidden                    403
├── NotFound                     404
├── MethodNotAllowed             405
├── Conflict                     409
├── PreconditionFailed           412  the object is not in the state that `If-Match` names
├── ContentTooLarge              413
├── UnsupportedMediaType         415
├── Unprocessable                422  well-formed but invalid
├── TooManyRequests              429
└── Unavailable                  503  nobody could answer: try again
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from common.dto import FieldError


class ServiceError(Exception):
    """What any error of ours carries to the wire: a status, a machine's code, a person's sentence."""

    status: ClassVar[int] = 500
    code: str = "INTERNAL_ERROR"

    def __init__(
        self,
        detail: str = "",
        *,
        code: str | None = None,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or type(self).code
        self.errors = list(errors)
        self.headers = dict(headers or {})
        self.members = dict(members or {})


class BadRequest(ServiceError):
    """The bytes could not be read as what they claim to be."""

    status = 400
    code = "MALFORMED_REQUEST"


class Unauthorized(ServiceError):
    """No usable credentials came along (RFC 9110 section 15.5.2)."""

    status = 401
    code = "NOT_AUTHENTICATED"

    def __init__(self, detail: str = "a bearer token is required", *, challenge: str = "Bearer") -> None:
        super().__init__(detail, headers={"WWW-Authenticate": challenge})


class InvalidToken(Unauthorized):
    """A bearer token was judged bad; `reason` is for metrics, the description for its holder, `source` who judged."""

    code = "INVALID_TOKEN"

    def __init__(self, reason: str, description: str, *, source: str = "proof") -> None:
        challenge = f'Bearer error="invalid_token", error_description="{description}"'
        super().__init__(description, challenge=challenge)
        self.headers["X-Auth-Source"] = source
        self.reason = reason
        self.source = source


class Forbidden(ServiceError):
    """The caller is known and may not do this."""

    status = 403
    code = "FORBIDDEN"


class NotFound(ServiceError):
    """No such object, or none of the caller's: the two are never told apart."""

    status = 404
    code = "NOT_FOUND"


class MethodNotAllowed(ServiceError):
    """The path is there, the method is not; `Allow` says which are."""

    status = 405
    code = "METHOD_NOT_ALLOWED"


class Conflict(ServiceError):
    """The state of the object does not allow it."""

    status = 409
    code = "CONFLICT"


class PreconditionFailed(ServiceError):
    """The object is not in the state that `If-Match` names (RFC 9110 section 15.5.13).

    It carries the tag that the object has now, and, where it is known, the object.
    """

    status = 412
    code = "PRECONDITION_FAILED"

    def __init__(self, tag: str, current: Any = None) -> None:
        detail = "it was changed meanwhile; read it again"
        super().__init__(detail, headers={"ETag": tag}, members={"current": current})


class ContentTooLarge(ServiceError):
    """The body is over the limit."""

    status = 413
    code = "CONTENT_TOO_LARGE"


class UnsupportedMediaType(ServiceError):
    """The body does not say that it is what the route reads."""

    status = 415
    code = "UNSUPPORTED_MEDIA_TYPE"


class Unprocessable(ServiceError):
    """Well-formed, but a value is not acceptable; `errors` names each place."""

    status = 422
    code = "INVALID_VALUE"


class TooManyRequests(ServiceError):
    """Slow down; `retry_after` is in seconds."""

    status = 429
    code = "TOO_MANY_REQUESTS"

    def __init__(self, detail: str, *, retry_after: int) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after)})


class Unavailable(ServiceError):
    """Something this answer needs cannot be reached; nothing was decided. `retry_after` is in seconds."""

    status = 503
    code = "UNAVAILABLE"

    def __init__(self, detail: str, *, retry_after: int = 1, code: str | None = None) -> None:
        super().__init__(detail, code=code, headers={"Retry-After": str(retry_after)})
