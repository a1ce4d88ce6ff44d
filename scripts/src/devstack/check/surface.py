"""Whether the documents know the services' routes and settings, all of them and no others."""

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path
from secrets import token_urlsafe

from common.settings import Settings
from common.variables import Variable, variables
from devstack.check import markdown
from devstack.check.tree import services

# Enough to build an app that is never started.
SAMPLE = {
    "DATABASE_URL": "postgresql://check@localhost/check",
    "REDIS_URL": "redis://localhost",
    "JWT_KEYS": f"check:{token_urlsafe(32)}",
    "ENVIRONMENT": "development",
    "USER_SVC_URL": "http://localhost",
    "MAIL_FOLDER": ".",
}
ROUTE = re.compile(r"([A-Z]+(?:/[A-Z]+)*) (/[^\s?]*)")
BEGIN, END = "<!-- settings: ./scripts/check settings --fix -->", "<!-- /settings -->"
TABLE = "| variable | service | default | values | meaning |\n| --- | --- | --- | --- | --- |\n"
STALE = "does not have the settings as they are: run ./scripts/check settings --fix"
ASSIGNMENT = re.compile(r"^(?:# ?)?([A-Z][A-Z0-9_]*)=")

Found = list[tuple[int, str]]


def routes(root: Path) -> list[str]:
    """The README's tables of routes against the services themselves."""
    described, served = set[str](), set[str]()
    for name in services(root):
        surface = described_routes(name)
        described |= set(surface["described"])
        served |= set(surface["served"])
    findings = compare_routes((root / "README.md").read_text(encoding="utf-8"), described, served)
    return [f"README.md:{line} {message}" for line, message in findings]


def settings(root: Path) -> list[str]:
    """The README's table of settings and each `.env.example` against the settings structs."""
    readme = (root / "README.md").read_text(encoding="utf-8")
    findings = {"README.md": [] if readme == with_settings(readme, root) else [(1, STALE)]}
    for name, folder in services(root).items():
        example = folder / ".env.example"
        text = example.read_text(encoding="utf-8") if example.is_file() else ""
        known = {variable.name for variable in variables(settings_of(name))}
        findings[str(example.relative_to(root))] = compare(assignments(text), known, "setting")
    return [f"{file}:{line} {message}" for file, found in findings.items() for line, message in found]


def write_settings(root: Path) -> None:
    """Write the README's table anew."""
    readme = root / "README.md"
    readme.write_text(with_settings(readme.read_text(encoding="utf-8"), root), encoding="utf-8")


def with_settings(readme: str, root: Path) -> str:
    """The README with the table as the structs have it.

    Raises:
        RuntimeError: it has no place for one.

    """
    before, found, rest = readme.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not (found and ended):
        raise RuntimeError(f"README.md has no {BEGIN} ... {END}")
    return f"{before}{BEGIN}\n{settings_table({name: settings_of(name) for name in services(root)})}{END}{after}"


def settings_table(structs: dict[str, type[Settings]]) -> str:
    """One row for each variable, those of all services first."""
    every = {variable.name: variable for struct in structs.values() for variable in variables(struct)}
    users = {
        name: [service for service, struct in structs.items() if name in {each.name for each in variables(struct)}]
        for name in every
    }
    ordered = sorted(every.values(), key=lambda each: (each.default is not None, -len(users[each.name])))
    return TABLE + "".join(_row(each, users[each.name], len(structs)) for each in ordered)


def _row(variable: Variable, users: list[str], services: int) -> str:
    default = "required" if variable.default is None else f"`{variable.default}`" if variable.default else "none"
    who = "all" if len(users) == services else ", ".join(users)
    return f"| `{variable.name}` | {who} | {default} | {variable.values or 'text'} | {variable.meaning} |\n"


def described_routes(name: str) -> dict[str, list[str]]:
    """A service's routes, from a process of its own: building an app sets up logs and metrics for good."""
    code = f"from devstack.check import surface; surface.print_routes({module_of(name)!r})"
    command = [sys.executable, "-P", "-c", code]
    result = subprocess.run(command, env=SAMPLE, capture_output=True, text=True, check=False)
    if result.returncode:
        reason = (result.stderr.strip() or "it said nothing").splitlines()[-1]
        raise RuntimeError(f"{name} could not be built: {reason}")
    answer: dict[str, list[str]] = json.loads(result.stdout.splitlines()[-1])
    return answer


def print_routes(module: str) -> None:
    """Say as JSON what a service's OpenAPI document describes, and what it serves beside that."""
    app = importlib.import_module(f"{module}.app").create_app()
    paths = app.openapi_schema.to_schema()["paths"]
    described = [f"{verb.upper()} {path}" for path, operations in paths.items() for verb in operations]
    served = [f"{verb} {route.path}" for route in app.routes for verb in getattr(route, "methods", ())]
    print(json.dumps({"described": described, "served": served}))


def module_of(service: str) -> str:
    """The package of a service."""
    return service.replace("-", "_")


def compare_routes(readme: str, described: set[str], served: set[str]) -> Found:
    """Each described route that no table lists, each listed one that is not served."""
    listed = {
        nameless(f"{verb} {match[2]}"): row.line
        for row in markdown.table_rows(readme)
        for match in map(ROUTE.fullmatch, (code.split("?")[0].strip() for code in row.code()))
        if match
        for verb in match[1].split("/")
    }
    missing = sorted(route for route in described if nameless(route) not in listed)
    real = {nameless(route) for route in described | served}
    return [
        *((1, f"lists no route {route}") for route in missing),
        *((line, f"lists {route}, which no service has") for route, line in listed.items() if route not in real),
    ]


def nameless(route: str) -> str:
    """A route without the names of its parameters, which documents may choose."""
    return re.sub(r"\{[^}]*\}", "{}", route).rstrip("/")


def settings_of(service: str) -> type[Settings]:
    """What a service's settings are read into."""
    module = importlib.import_module(f"{module_of(service)}.settings")
    own: type[Settings] = module.Settings
    return own


def assignments(example: str) -> dict[str, int]:
    """The variables that an `.env.example` sets or shows commented out, and where."""
    lines = enumerate(example.splitlines(), start=1)
    return {match[1]: number for number, line in lines if (match := ASSIGNMENT.match(line))}


def compare(listed: dict[str, int], real: set[str], what: str) -> Found:
    """Each real one that is not listed, each listed one that is not real."""
    return [
        *((1, f"lists no {what} {name}") for name in sorted(real - listed.keys())),
        *((line, f"lists {name}, a {what} that no code reads") for name, line in listed.items() if name not in real),
    ]
