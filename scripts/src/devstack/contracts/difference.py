"""What a service that runs would not understand of a new contract, or of which it would not be understood."""

from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]


def breaks(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """One line for each field, with the side it hurts; what is new and optional hurts nobody."""
    found: list[str] = []
    for name, contract in old.items():
        if name not in new:
            found.append(f"{name}: is gone; {contract['reader']} still reads it")
            continue
        sides = f"({contract['writer']} → {contract['reader']})"
        found += [f"{name} {sides}: {line}" for line in compare(contract["schema"], new[name]["schema"], "")]
    return found


def compare(old: Schema, new: Schema, path: str) -> Iterator[str]:
    """Walk both side by side."""
    if "properties" in old and "properties" in new:
        yield from compare_objects(old, new, path)
    elif "prefixItems" in old and "prefixItems" in new:
        yield from compare_tuples(old, new, path)
    elif "anyOf" in old and "anyOf" in new and len(old["anyOf"]) == len(new["anyOf"]):
        for before, after in zip(old["anyOf"], new["anyOf"], strict=True):
            yield from compare(before, after, path)
    elif old.get("type") == new.get("type") == "array":
        yield from compare(old["items"], new["items"], f"{path}[]")
    elif (before := kind(old)) != (after := kind(new)):
        yield f"{field(path)} was {before} and is {after}: a reader of either version refuses the other's"


def compare_objects(old: Schema, new: Schema, path: str) -> Iterator[str]:
    """Fields are known by their names, and those that are unknown are passed over."""
    fields, needed = old["properties"], new.get("required", [])
    for name, before in fields.items():
        inside = f"{path}.{name}"
        if name not in new["properties"]:
            yield f"{field(inside)} was removed or renamed: a reader that runs still needs it"
            continue
        yield from compare(before, new["properties"][name], inside)
    for name in needed:
        if name not in old.get("required", []):
            yield f"{field(f'{path}.{name}')} is required now: a writer that runs leaves it out"


def compare_tuples(old: Schema, new: Schema, path: str) -> Iterator[str]:
    """Fields are known by their places: only the end may grow."""
    before, after = old["prefixItems"], new["prefixItems"]
    for place, item in enumerate(before):
        inside = f"{path}.{item['title']}"
        if place >= len(after) or after[place]["title"] != item["title"]:
            yield f"{field(inside)} was removed, renamed or moved: a reader that runs finds it at place {place}"
            continue
        yield from compare(item, after[place], inside)
    for item in after[old.get("minItems", 0) : new.get("minItems", 0)]:
        yield f"{field(path + '.' + item['title'])} is required now: a writer that runs leaves it out"


def kind(schema: Schema) -> str:
    """What a reader checks of a value, in words."""
    if "anyOf" in schema:
        return " or ".join(map(kind, schema["anyOf"]))
    checked = {
        key: value for key, value in schema.items() if key not in {"default", "title", "type", "properties", "required"}
    }
    words = ", ".join(f"{key} {value}" for key, value in sorted(checked.items()))
    return f"{schema.get('type', 'anything')}{words and f' ({words})'}"


def field(path: str) -> str:
    """How a field is named in a line; the message itself has no path."""
    return f'field "{path.lstrip(".")}"' if path else "it"
