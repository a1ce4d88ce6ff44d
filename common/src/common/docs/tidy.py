"""The document, tidied for those who make clients of it: names that every language can say, no choice of one."""

import re
from typing import Any, Final

REFERENCE: Final = "#/components/schemas/"
_GENERIC: Final = re.compile(r"(\w+)\[(\w+)\]\Z")


def tidied(document: dict[str, Any]) -> dict[str, Any]:
    """`Page_todo_svc.lists.schemas.TodoList_`, say, is `TodoListPage`."""
    schemas = document["components"]["schemas"]
    names = {name: _name(name, schema.get("title", "")) for name, schema in schemas.items()}
    named = {names[name]: {**schema, "title": names[name]} for name, schema in schemas.items()}
    references = {f"{REFERENCE}{name}": f"{REFERENCE}{new}" for name, new in names.items()}
    components = {**document["components"], "schemas": named}
    tidy: dict[str, Any] = _walk({**document, "components": components}, references)
    return tidy


def _name(name: str, title: str) -> str:
    generic = _GENERIC.match(title)
    return generic[2] + generic[1] if generic else name


def _walk(node: Any, references: dict[str, str]) -> Any:
    if isinstance(node, list):
        return [_walk(item, references) for item in node]
    if not isinstance(node, dict):
        return node
    walked = {key: _walk(value, references) for key, value in node.items()}
    match walked:
        case {"oneOf": [only]}:
            del walked["oneOf"]
            return {**only, **walked}
        case {"$ref": str(target)}:
            walked["$ref"] = references.get(target, target)
    return walked
