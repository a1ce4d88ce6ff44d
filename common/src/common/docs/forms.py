"""The login form in the OpenAPI document: the same operation at user-svc and wherever it is passed through."""

from dataclasses import dataclass, field

from litestar.enums import RequestEncodingType
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIType, Operation, RequestBody, Schema


def _form() -> RequestBody:
    text = Schema(type=OpenAPIType.STRING)
    schema = Schema(
        type=OpenAPIType.OBJECT,
        properties={
            "grant_type": Schema(type=OpenAPIType.STRING, enum=["password"]),
            "username": Schema(type=OpenAPIType.STRING, description="The e-mail address"),
            "password": text,
            "scope": text,
        },
        required=["username", "password"],
    )
    return RequestBody(content={RequestEncodingType.URL_ENCODED.value: OpenAPIMediaType(schema=schema)}, required=True)


@dataclass
class LoginOperation(Operation):
    """The password grant's request (RFC 6749 section 4.3.2)."""

    request_body: RequestBody | None = field(default_factory=_form)

    def __post_init__(self) -> None:
        """Litestar hands over None where a handler reads the form itself."""
        self.request_body = self.request_body or _form()
