"""What each route asks of its caller: nothing (PUBLIC), a good standing, or a fresh one (FRESH)."""

import re
from collections.abc import Callable, Iterable
from typing import Any, Final

from litestar.routes import BaseRoute
from litestar.types import Scope
from litestar.types.internal_types import PathParameterDefinition
from litestar.utils.path import normalize_path

PUBLIC: Final = "public"
FRESH: Final = "fresh"
GUARDED: Final = "guarded"
STRICTEST: Final = (FRESH, GUARDED, PUBLIC)


class Demands:
    """Closed by default: only what is on the list of public routes, method and path, is open.

    A route's parameter may be anything between two slashes here. Where several routes could be meant, the strictest
    counts; so this errs, if it does, to the safe side of what the router will choose. What is no demand ends the start.
    """

    def __init__(self, routes: Iterable[BaseRoute]) -> None:
        self._static: dict[tuple[str, str], str] = {}
        self._patterns: dict[str, list[tuple[re.Pattern[str], str]]] = {}
        self._exact: dict[str, frozenset[str]] = {}
        self._methods: list[tuple[re.Pattern[str], frozenset[str]]] = []
        self._applications: list[tuple[re.Pattern[str], str]] = []
        for route in routes:
            self._add(route)
        self._patterns = {method: found + self._applications for method, found in self._patterns.items()}
        self._exceptions = {method: _one_of(found) for method, found in self._patterns.items()}

    def of(self, scope: Scope) -> str:
        """What this request is asked for."""
        method: Any = scope.get("method")
        demand = self._static.get((method, scope["path"]))
        if demand is not None and not scope.get("root_path"):
            return demand
        exception = self._exceptions.get(method)
        if exception is None:
            return GUARDED
        path = normalize_path(_routed(scope))
        return GUARDED if exception(path) is None else _strictest(self._patterns[method], path)

    def methods(self, scope: Scope) -> frozenset[str]:
        """The methods that a path takes, HEAD where it takes GET; none if no route is there."""
        path = normalize_path(_routed(scope))
        found = self._exact.get(path) or frozenset().union(
            *(methods for pattern, methods in self._methods if pattern.fullmatch(path))
        )
        return found | {"HEAD"} if "GET" in found else found

    def _add(self, route: BaseRoute) -> None:
        pattern = re.compile("".join(_part(part) for part in route.path_components) or "/", re.DOTALL)
        methods = frozenset(map(str, route.methods))
        self._methods.append((pattern, methods))
        if not route.path_parameters:  # the router takes it before any that has one
            self._exact[route.path] = self._exact.get(route.path, frozenset()) | methods
        handlers = getattr(route, "route_handlers", None) or [route.route_handler]  # type: ignore[attr-defined]
        for handler in handlers:
            demand = _known(handler.opt.get("auth", GUARDED), route.path)
            if not hasattr(handler, "http_methods"):  # an ASGI application takes every method, mounted every path below
                self._applications.append((re.compile(f"{pattern.pattern}.*", re.DOTALL), GUARDED))
            for method in map(str, getattr(handler, "http_methods", ())):
                self._patterns.setdefault(method, []).append((pattern, demand))
                if not route.path_parameters:
                    self._static[method, route.path] = demand


def _known(given: Any, path: str) -> str:
    """The constant itself, which the guard compares by identity.

    Raises:
        ValueError: it is none, as by a slip of the pen, which must not weaken a FRESH.

    """
    for demand in STRICTEST:
        if demand == given:
            return demand
    raise ValueError(f"{path} asks for {given!r}; `auth` is one of {', '.join(STRICTEST)}")


def _strictest(patterns: list[tuple[re.Pattern[str], str]], path: str) -> str:
    found = {demand for pattern, demand in patterns if pattern.fullmatch(path)}
    return next((demand for demand in STRICTEST if demand in found), GUARDED)


def _one_of(patterns: list[tuple[re.Pattern[str], str]]) -> Callable[[str], Any] | None:
    """Matches what might not be merely guarded, at once: most requests are, and are asked no more."""
    unlike = [pattern.pattern for pattern, demand in patterns if demand != GUARDED]
    return re.compile("|".join(f"(?:{each})" for each in unlike), re.DOTALL).fullmatch if unlike else None


def _part(part: str | PathParameterDefinition) -> str:
    if isinstance(part, str):
        return f"/{re.escape(part)}"
    return "/.*" if part.full.endswith(":path") else "/[^/]+"


def _routed(scope: Scope) -> str:
    """The path as the router takes it: behind what a proxy has stripped."""
    root = scope.get("root_path", "")
    return scope["path"].split(root, maxsplit=1)[-1] if root else scope["path"]
