"""What crosses between the services: who writes it, who reads it, its schema and an example."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from common.auth.standing import Announcement, Standing
from common.dto import ErasedUsers, TokenResponse, User, UserEvent

ANN, SESSION = "01900000-0000-7000-8000-000000000001", "01900000-0000-7000-8000-000000000002"
NOON = 1_750_000_000.0
USER = {"id": ANN, "email": "ann@example.com", "is_active": True, "is_superuser": False, "is_verified": True}
STANDING = {**USER, "as_of": NOON}
ERASURES = {"items": [{"sequence": 1, "user": ANN, "erased_at": "2025-06-15T12:00:00Z"}]}
TOKENS = {"access_token": "a.b.c", "token_type": "bearer", "expires_in": 600, "refresh_token": "r"}


@dataclass(frozen=True, slots=True)
class Crossing:
    """One message: readers decode it as `type`; `example` is one as it is written."""

    name: str
    writer: str
    reader: str
    type: type[msgspec.Struct]
    example: Any

    def contract(self) -> dict[str, Any]:
        """As it is recorded."""
        return {
            "writer": self.writer,
            "reader": self.reader,
            "schema": schema(self.type),
            "example": self.example,
        }


CROSSINGS = (
    Crossing("GET /me", "user-svc", "every guard", User, USER),
    Crossing("POST /auth/jwt/login", "user-svc", "clients, through todo-svc", TokenResponse, TOKENS),
    Crossing("GET /internal/erasures", "user-svc", "todo-svc", ErasedUsers, ERASURES),
    Crossing("standing of a session in Redis", "user-svc and every guard", "every guard", Standing, STANDING),
    Crossing("channel standing", "user-svc", "every guard", Announcement, [SESSION, STANDING, NOON + 60, NOON]),
    Crossing(
        "stream user-events",
        "user-svc",
        "todo-svc",
        UserEvent,
        {"type": "user.deleted", "user": ANN, "sequence": 1},
    ),
)


def present() -> dict[str, dict[str, Any]]:
    """What crosses today."""
    return {crossing.name: crossing.contract() for crossing in CROSSINGS}


def schema(kind: type) -> dict[str, Any]:
    """The JSON Schema of a type, whole: nothing is referred to, no word is for readers alone."""
    top, components = msgspec.json.schema_components([kind], ref_template="{name}")
    names = {name: [field.name for field in msgspec.structs.fields(struct)] for name, struct in _structs(kind)}
    return _whole(top[0], components, names)


def _structs(kind: Any) -> Iterator[tuple[str, Any]]:
    """Each struct that a type holds, itself included."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        yield kind.__name__, kind
        for field in msgspec.structs.fields(kind):
            yield from _structs(field.type)
    for argument in getattr(kind, "__args__", ()):
        yield from _structs(argument)


def _whole(node: dict[str, Any], components: dict[str, Any], names: dict[str, list[str]]) -> dict[str, Any]:
    if "$ref" in node:
        return _whole(components[node["$ref"]], components, names)

    def inside(value: Any) -> Any:
        if isinstance(value, list):
            return [inside(item) for item in value]
        return _whole(value, components, names) if isinstance(value, dict) else value

    whole = {key: inside(value) for key, value in node.items() if key not in {"title", "description", "properties"}}
    if "properties" in node:
        whole["properties"] = {name: inside(value) for name, value in node["properties"].items()}
    if "prefixItems" in node:  # a struct written as an array: its fields are known by their places
        titles = names[node["title"]]
        whole["prefixItems"] = [
            {"title": title, **item} for title, item in zip(titles, whole["prefixItems"], strict=True)
        ]
    return whole
