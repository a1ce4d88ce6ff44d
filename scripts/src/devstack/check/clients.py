"""Whether a typed Python client can be made of each OpenAPI document; mypy reads it, and what docs/clients.md does."""

import importlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from common.docs.document import schema
from devstack.check import markdown
from devstack.check.surface import SAMPLE, module_of
from devstack.check.tools import output_if_failed
from devstack.check.tree import services

PAGE = "docs/clients.md"
# The generator's own `client.py` hands `__exit__` on without its types.
MYPY = "[mypy]\nstrict = true\n[mypy-*.client]\nignore_errors = true\n"


def typed(root: Path) -> list[str]:
    """Both clients, and the page's example of them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = [line for service in services(root) for line in make(service, described(service), folder)]
        (folder / "example.py").write_text(example(root), encoding="utf-8")
        (folder / "mypy.ini").write_text(MYPY, encoding="utf-8")
        cache = root / ".mypy_cache/clients"
        said = output_if_failed(
            root, "mypy", "--config-file", str(folder / "mypy.ini"), "--cache-dir", str(cache), name, MYPYPATH=name
        )
        return found + [line.replace(f"{name}/", "") for line in said]


def make(service: str, document: dict[str, Any], folder: Path) -> list[str]:
    """Write the package NAME_client; what the generator says if it had to leave anything out."""
    package = f"{service.partition('-')[0]}_client"
    source, options = folder / f"{package}.json", folder / "options.json"
    source.write_text(json.dumps(document), encoding="utf-8")
    options.write_text(json.dumps({"post_hooks": []}), encoding="utf-8")
    where = ["--path", str(source), "--output-path", str(folder / package), "--config", str(options)]
    words = ["generate", *where, "--meta", "none", "--fail-on-warning"]
    return [f"{service}: {line}" for line in output_if_failed(folder, "openapi-python-client", *words) if line]


def described(service: str) -> dict[str, Any]:
    """A service's document, from a process of its own: building an app sets up logs and metrics for good."""
    code = f"from devstack.check import clients; clients.print_document({module_of(service)!r})"
    command = [sys.executable, "-P", "-c", code]
    said = subprocess.run(command, env=SAMPLE, capture_output=True, text=True, check=True).stdout
    document: dict[str, Any] = json.loads(said.splitlines()[-1])
    return document


def print_document(module: str) -> None:
    """Say as JSON what `/openapi.json` says."""
    print(json.dumps(schema(importlib.import_module(f"{module}.app").create_app())))


def example(root: Path) -> str:
    """The page's Python."""
    page = (root / PAGE).read_text(encoding="utf-8")
    return "\n".join(line for language, (_, line) in markdown.fenced(page) if language == "python") + "\n"
