"""Entity tags and the conditions made of them (RFC 9110 sections 8.8.3 and 13.1).

An item's tag is its version, `"7"`. A page's is the owner's clock and the end of the owner's id, `"p1234-1-a1b2c3d4"`:
any change of the owner's changes it, and what one caller was given is no other's. Where a setting shows in the page
too, it is named behind, `"p1234-1-a1b2c3d4.2592000"`.
A field that cannot be read names no tag: `If-Match` then fails, and `If-None-Match` is as if it had not come.
"""

import re
from typing import Annotated, Any, Final, Generic, TypeVar
from uuid import UUID

from litestar import Response
from litestar.di import Provide
from litestar.params import FromHeader, HeaderParameter
from litestar.types import Scope
from msgspec import Struct

from common.errors import PreconditionFailed

T = TypeVar("T")

REPRESENTATION: Final = 1  # of pages; one more wherever the same rows begin to look otherwise
NONE_MATCH: Final = b"if-none-match"

_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')
_VERSION = re.compile(r'"([1-9][0-9]{0,8})"')
_PAGE = re.compile(rf'"p(0|[1-9][0-9]{{0,17}})-{REPRESENTATION}(-[0-9a-f]{{8}}(?:\.[0-9]{{1,18}})?)"')

IfMatch = Annotated[
    str | None, HeaderParameter(name="If-Match", description="Only where the object still has one of these tags")
]
IfNoneMatch = Annotated[
    str | None, HeaderParameter(name="If-None-Match", description="304 where the answer still has one of these tags")
]


class Tags(Struct, frozen=True):
    """What an `If-Match` or `If-None-Match` names; `anything` is `*`."""

    tags: frozenset[str]
    anything: bool = False

    def match(self, current: str) -> bool:
        """Strong comparison, for `If-Match`: a weak tag is like nothing."""
        return self.anything or current in self.tags

    def match_weakly(self, current: str) -> bool:
        """Weak comparison, for `If-None-Match`: weakness does not count."""
        return self.anything or current in self.tags or f"W/{current}" in self.tags

    @property
    def versions(self) -> list[int] | None:
        """The version in each item tag among them, for the WHERE of a change; None where any will do."""
        found = (_VERSION.fullmatch(tag) for tag in self.tags)
        return None if self.anything else [int(match[1]) for match in found if match]

    def clocks(self, owner: UUID, setting: int | None = None) -> list[int]:
        """The clock in each tag of such a page of the owner's, for a statement that then need not read it."""
        found = (_PAGE.fullmatch(tag.removeprefix("W/")) for tag in self.tags)
        return [int(match[1]) for match in found if match and match[2] == _behind(owner, setting)]


class Tagged(Struct, Generic[T], frozen=True):
    """Something with its tag; no content where the reader has it already."""

    tag: str
    content: T | None


def parse(field: str) -> Tags:
    """Read the value of a field."""
    if field.strip(" \t") == "*":
        return Tags(frozenset(), anything=True)
    if _TAG.sub("", field).strip(" \t,"):
        return Tags(frozenset())
    return Tags(frozenset(_TAG.findall(field)))


def of_scope(scope: Scope, name: bytes) -> Tags | None:
    """The tags that a request names under this lower-case header, all its lines together; None where it has none."""
    lines = [value.decode("latin-1") for key, value in scope["headers"] if key == name]
    return parse(",".join(lines)) if lines else None


def version_tag(version: int) -> str:
    """The tag of an item."""
    return f'"{version}"'


def page_tag(owner: UUID, clock: int, setting: int | None = None) -> str:
    """The tag of whatever shows several of an owner's rows, and a setting, if it does."""
    return f'"p{clock}-{REPRESENTATION}{_behind(owner, setting)}"'


def require(if_match: Tags | None, tag: str, current: Any = None) -> None:
    """Hold a change back that was meant for another state.

    Raises:
        PreconditionFailed: no tag of `If-Match` is this one, the object's; it carries both.

    """
    if if_match is not None and not if_match.match(tag):
        raise PreconditionFailed(tag, current)


TAGGED: Final = {"tagged": True}
"""`opt` of a route that takes no condition, but whose answer has a tag; for its OpenAPI page."""


def tagged(content: T, tag: str) -> Response[T]:
    """An answer with its tag."""
    return Response(content, headers={"ETag": tag})


def answer(found: Tagged[T]) -> Response[T]:
    """200 with the content, or 304."""
    return not_modified(found.tag) if found.content is None else tagged(found.content, found.tag)


def has(seen: Tags | None, tag: str) -> bool:
    """Whether the reader has what has this tag."""
    return seen is not None and seen.match_weakly(tag)


def not_modified(tag: str) -> Response[Any]:
    """The answer to who has it already: its tag and no content (RFC 9110 section 15.4.5)."""
    return Response(None, status_code=304, headers={"ETag": tag})


def _behind(owner: UUID, setting: int | None) -> str:
    end = f"-{owner.int & 0xFFFFFFFF:08x}"
    return end if setting is None else f"{end}.{setting}"


def _if_match(scope: Scope, declared: FromHeader[IfMatch] = None) -> Tags | None:  # noqa: ARG001 - for OpenAPI
    return of_scope(scope, b"if-match")


def _if_none_match(scope: Scope, declared: FromHeader[IfNoneMatch] = None) -> Tags | None:  # noqa: ARG001 - for OpenAPI
    return of_scope(scope, NONE_MATCH)


IF_MATCH = {"if_match": Provide(_if_match, sync_to_thread=False)}
"""`dependencies` of a route that takes `if_match: NamedDependency[Tags | None]`."""
IF_NONE_MATCH = {"if_none_match": Provide(_if_none_match, sync_to_thread=False)}
"""The same for `if_none_match`."""
