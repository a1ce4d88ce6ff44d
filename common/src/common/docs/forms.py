"""The forms of OAuth2's grants in the OpenAPI document, the same at user-svc and wherever they are passed through."""

from dataclasses import dataclass

from litestar.enums import RequestEncodingType
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIType, Operation, RequestBody, Schema


def _text(description: str = "") -> Schema:
    return Schema(type=OpenAPIType.STRING, description=description or None)


def _form(grant: str, fields: dict[str, Schema], required: list[str]) -> RequestBody:
    kind = Schema(type=OpenAPIType.STRING, enum=[grant])
    schema = Schema(type=OpenAPIType.OBJECT, properties={"grant_type": kind, **fields}, required=required)
    return RequestBody(content={RequestEncodingType.URL_ENCODED.value: OpenAPIMediaType(schema=schema)}, required=True)


@dataclass
class LoginOperation(Operation):
    """The password grant's request (RFC 6749 section 4.3.2)."""

    def __post_init__(self) -> None:
        """Litestar knows no body where a handler reads the form itself."""
        fields = {"username": _text("The e-mail address"), "password": _text(), "scope": _text()}
        self.request_body = _form("password", fields, ["username", "password"])


@dataclass
class RefreshOperation(Operation):
    """The refresh grant's request (RFC 6749 section 6)."""

    def __post_init__(self) -> None:
        """Litestar knows no body where a handler reads the form itself."""
        self.request_body = _form("refresh_token", {"refresh_token": _text()}, ["grant_type", "refresh_token"])
