"""What a settings struct asks for, variable by variable: the README's table, `--print-config`, and errors say it."""

import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
from msgspec import Meta, Struct


class Variable(Struct, frozen=True):
    """One variable. `values` says what it may be; `default` is None where it must be set, and empty for nothing."""

    name: str
    default: str | None
    values: str
    meaning: str


def variables(settings: type[Struct]) -> list[Variable]:
    """Every variable of a struct, those that must be set first."""
    found = [
        Variable(field.name.upper(), _default(field), values(field.type), _meaning(field.type))
        for field in msgspec.structs.fields(settings)
    ]
    return sorted(found, key=lambda each: each.default is not None)


def values(kind: Any) -> str:
    """What a field of this type may be, in words; empty where any text will do."""
    kind, metas = _bare(kind)
    if (part := element(kind)) is not None:
        return f"{values(part) or 'texts'}, separated by commas"
    if get_origin(kind) is Literal:
        return f"one of {', '.join(get_args(kind))}"
    if kind is bool:
        return "true or false"
    if kind in {int, float}:
        return _range(metas)
    return str(getattr(kind, "form", ""))


def bare(kind: Any) -> Any:
    """The type without its notes, and without the None that stands for nothing."""
    return _bare(kind)[0]


def element(kind: Any) -> Any:
    """What a list is of; None for whatever is no list."""
    kind = bare(kind)
    return get_args(kind)[0] if get_origin(kind) is list else None


def shown(value: Any) -> str:
    """A value as its variable would be written; a secret shows itself masked."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(shown, value)) if isinstance(value, list | tuple) else str(value)


def _range(metas: list[Meta]) -> str:
    least = next((meta.ge for meta in metas if meta.ge is not None), None)
    most = next((meta.le for meta in metas if meta.le is not None), None)
    if most is None:
        return "a number" if least is None else f"from {least}"
    return f"{least} to {most}"


def _default(field: Any) -> str | None:
    if field.required:
        return None
    made = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    return shown(made)


def _meaning(kind: Any) -> str:
    _, metas = _bare(kind)
    return next((meta.description for meta in metas if meta.description), "")


def _bare(kind: Any) -> tuple[Any, list[Meta]]:
    metas: list[Meta] = []
    while True:
        if get_origin(kind) is Annotated:
            kind, *notes = get_args(kind)
            metas += notes
        elif get_origin(kind) in {Union, types.UnionType}:
            kind = next(each for each in get_args(kind) if each is not types.NoneType)
        else:
            return kind, metas
