"""Strict bodies: exact JSON types, no unknown field, nothing PostgreSQL cannot hold."""

from collections.abc import Generator, Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar
from urllib.parse import parse_qsl

import msgspec
from litestar import Request
from litestar.dto import AbstractDTO
from litestar.dto.data_structures import DTOFieldDefinition
from litestar.enums import RequestEncodingType
from litestar.typing import FieldDefinition
from msgspec import Meta

from common.dto import FieldError
from common.errors import BadRequest, ServiceError, Unprocessable, UnsupportedMediaType

T = TypeVar("T")

Moment = Annotated[datetime, Meta(tz=True)]
_EARLIEST, _LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)

_decoders: dict[type, msgspec.json.Decoder[Any]] = {}


class StrictBody(AbstractDTO[T]):
    """`dto=StrictBody[CreateList]` on a handler: `data` is decoded here.

    Litestar's own decoding would take `"5"` for a number and `0` for a boolean.
    """

    @classmethod
    def generate_field_definitions(cls, *_: Any) -> Generator[DTOFieldDefinition, None, None]:
        """No field is rewritten."""
        yield from ()

    @classmethod
    def detect_nested_field(cls, *_: Any) -> bool:
        """No field is rewritten."""
        return False

    @classmethod
    def create_for_field_definition(cls, *_: Any, **__: Any) -> None:
        """No backend is needed."""

    @classmethod
    def create_openapi_schema(cls, field_definition: FieldDefinition, handler_id: str, schema_creator: Any) -> Any:  # noqa: ARG003 - Litestar's signature
        """The schema of the struct itself."""
        return schema_creator.for_field_definition(field_definition)

    def decode_bytes(self, value: bytes) -> Any:
        """Decode a body; see `decode`."""
        return decode(value, self.model_type, content_type=self.asgi_connection.headers.get("content-type"))


def decode(body: bytes, kind: type[T], *, content_type: str | None) -> T:
    """Decode a JSON body strictly.

    Raises:
        UnsupportedMediaType: it does not say that it is JSON.
        BadRequest: it is no JSON, or not UTF-8.
        Unprocessable: it is JSON of another shape; names the place, never the value.

    """
    _require(content_type, "application/json")
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.json.Decoder(kind)
    try:
        value: T = decoder.decode(body)
    except msgspec.ValidationError as error:
        raise Unprocessable("the body is not acceptable", errors=[_place(str(error))]) from None
    except (ValueError, RecursionError):
        raise BadRequest("the body is not well-formed JSON in UTF-8") from None
    if b"\\u" in body:
        _refuse_nul(value)
    return value


async def form(request: Request[Any, Any, Any], *, refuse: type[ServiceError] = BadRequest) -> dict[str, str]:
    """The fields of a form body; one that stands twice is refused (RFC 6749 section 3.1).

    Raises:
        UnsupportedMediaType: it does not say that it is a form.
        ServiceError: `refuse`, for what cannot be read as one.

    """
    _require(request.headers.get("content-type"), RequestEncodingType.URL_ENCODED)
    try:
        pairs = parse_qsl((await request.body()).decode(), keep_blank_values=True, errors="strict", max_num_fields=16)
    except ValueError:
        raise refuse("the body is not a well-formed form in UTF-8") from None
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise refuse("a field stands twice in the form")
    if any("\0" in text for pair in pairs for text in pair):
        raise refuse("a field holds a NUL character")
    return fields


def _require(content_type: str | None, expected: str) -> None:
    """The media type, with no charset but UTF-8 (RFC 8259 section 8.1)."""
    media_type, _, parameters = (content_type or "").lower().partition(";")
    charset = parameters.partition("charset=")[2].split(";")[0].strip(' "')
    if media_type.strip() != expected or charset not in ("", "utf-8"):
        raise UnsupportedMediaType(f"the body must be sent as {expected}")


def _place(message: str) -> FieldError:
    """Msgspec's `Expected `str`, got `int` - at `$.title`` as a place and a sentence."""
    sentence, _, path = message.partition(" - at `$")
    if sentence.startswith("Invalid enum value"):  # which it would go on to show
        sentence, path = "is none of the values allowed here", message.rpartition(" - at `$")[2]
    return FieldError(f"body{path.rstrip('`')}", sentence)


def _refuse_nul(value: Any) -> None:
    for name, text in _texts(msgspec.to_builtins(value), "body"):
        if "\0" in text:
            raise Unprocessable("the body is not acceptable", errors=[FieldError(name, "holds a NUL character")])


def _texts(value: Any, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, dict):
        for name, item in value.items():
            yield place, name
            yield from _texts(item, f"{place}.{name}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts(item, f"{place}[{index}]")


def moment(text: str, place: str) -> datetime:
    """Read a time where no body's strictness reaches: in a query, which would take `0` for 1970.

    Raises:
        Unprocessable: it is no RFC 3339, or names no zone, or lies out of reason.

    """
    try:
        return within_reason(msgspec.convert(text, Moment), place)
    except msgspec.ValidationError:
        error = FieldError(place, "must be RFC 3339 with a zone, such as 2030-01-31T12:00:00Z")
        raise Unprocessable("a time is not acceptable", errors=[error]) from None


def within_reason(moment: datetime, place: str) -> datetime:
    """A time that every part of the system can hold, in UTC.

    Raises:
        Unprocessable: it lies before 1900 or after 9998.

    """
    if not _EARLIEST <= moment < _LATEST:
        raise Unprocessable("a time is not acceptable", errors=[FieldError(place, "lies before 1900 or after 9998")])
    return moment.astimezone(UTC)
