"""The lock files: what each is made from and how it is written (standard library only, needs no .venv)."""

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
SETTINGS = ("dependency-metadata", "constraint-dependencies", "override-dependencies", "environments")
LOCKED_EXTRAS = {"tracing"}  # those that an image may be built with
HEADER = "# For Python 3.11 and later, any platform. Written by ./scripts/lock, not by hand."
INPUTS = "# inputs: sha256:"


@dataclass(frozen=True)
class Lock:
    """One requirements.lock, the pyprojects it is resolved from, and all that decides what it pins."""

    path: Path
    sources: tuple[Path, ...]
    requirements: frozenset[str]
    settings: str
    extra: str = ""

    def inputs(self) -> str:
        """A fingerprint of what was asked for. What has been published since makes no lock stale."""
        return hashlib.sha256("\n".join([self.settings, *sorted(self.requirements)]).encode()).hexdigest()

    def stated_inputs(self) -> str:
        """The fingerprint the file was made from; empty if it names none or is not there."""
        lines = self.path.read_text().splitlines() if self.path.is_file() else []
        return next((line.removeprefix(INPUTS) for line in lines if line.startswith(INPUTS)), "")


def locks(root: Path) -> list[Lock]:
    """The lock files there should be; the development one comes first, because the services' follow it."""
    workspace, known = root / "pyproject.toml", members(root)
    settings = resolver_settings(read(workspace))
    sources = (workspace, *known.values())
    everything = frozenset().union(*(wanted_by(read(path)) for path in sources))
    found = [Lock(root / "requirements.lock", sources, everything, settings)]
    for name, path in known.items():
        if path.parent.name.endswith("-svc"):
            wanted = frozenset().union(*(run_time(read(known[member])) for member in closure(name, known)))
            found.append(Lock(path.with_name("requirements.lock"), (path,), wanted, settings))
        found += [
            Lock(path.with_name(f"{extra}.lock"), (path,), frozenset(run_time(read(path)) | wanted), settings, extra)
            for extra, wanted in optional(read(path)).items()
            if extra in LOCKED_EXTRAS
        ]
    return found


def members(root: Path) -> dict[str, Path]:
    """Each workspace member's distribution name and pyproject."""
    patterns = read(root / "pyproject.toml")["tool"]["uv"]["workspace"]["members"]
    found = sorted(path for pattern in patterns for path in root.glob(f"{pattern}/pyproject.toml"))
    return {project_name(read(path)["project"]["name"]): path for path in found}


def closure(name: str, known: dict[str, Path]) -> set[str]:
    """A member and every member it stands on."""
    below = {project_name(requirement) for requirement in run_time(read(known[name]))} & known.keys()
    return {name}.union(*(closure(member, known) for member in below))


def read(pyproject: Path) -> dict[str, Any]:
    """One pyproject.toml as data."""
    return tomllib.loads(pyproject.read_text())


def resolver_settings(workspace: dict[str, Any]) -> str:
    """What steers the resolver besides the requirements."""
    uv = workspace["tool"]["uv"]
    chosen = {key: uv[key] for key in SETTINGS if key in uv}
    return json.dumps([workspace["project"]["requires-python"], chosen], sort_keys=True)


def run_time(pyproject: dict[str, Any]) -> set[str]:
    """What a package needs to run."""
    return set(pyproject["project"].get("dependencies", []))


def optional(pyproject: dict[str, Any]) -> dict[str, set[str]]:
    """What each extra of a package needs besides."""
    return {name: set(needs) for name, needs in pyproject["project"].get("optional-dependencies", {}).items()}


def wanted_by(pyproject: dict[str, Any]) -> set[str]:
    """What a package needs to run, in all its extras and groups."""
    groups = pyproject.get("dependency-groups", {}).values()
    return run_time(pyproject).union(*optional(pyproject).values(), *groups)


def project_name(requirement: str) -> str:
    """The name in a requirement, normalised (PEP 503)."""
    name = re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]
    return re.sub(r"[-_.]+", "-", name).lower()


def write(lock: Lock, root: Path, uv: str, options: list[str]) -> None:
    """Resolve one lock. Its present pins are kept where they still fit, on a fresh clone too."""
    shared = root / "requirements.lock"
    scope = ["--group", "dev", "--all-extras"] if lock.path == shared else ["--constraint", str(shared)]
    scope += ["--extra", lock.extra] if lock.extra else []
    python = read(root / "pyproject.toml")["project"]["requires-python"].lstrip(">=")
    form = ["--universal", "--python-version", python, "--generate-hashes", "--no-header", "--no-annotate"]
    outside = [word for name in members(root) for word in ("--no-emit-package", name)]
    sources = [str(path.relative_to(root)) for path in lock.sources]
    command = [uv, "pip", "compile", "--quiet", *sources, *scope, *form, *outside, *options]
    subprocess.run([*command, "--output-file", str(lock.path)], cwd=root, check=True)
    lock.path.write_text(f"{HEADER}\n{INPUTS}{lock.inputs()}\n{lock.path.read_text()}")


def main(argv: list[str]) -> int:
    """Write every lock file; `uv` is the program that UV names."""
    parser = argparse.ArgumentParser("./scripts/lock", description="Write the lock files from the pyprojects.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a lock file is stale")
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions, not the locked ones")
    parser.add_argument("--upgrade-package", action="append", default=[], metavar="NAME", help="only of NAME")
    chosen = parser.parse_args(argv)
    options = ["--upgrade"] * chosen.upgrade + [f"--upgrade-package={name}" for name in chosen.upgrade_package]
    for lock in locks(ROOT):
        try:
            write(lock, ROOT, os.environ.get("UV", "uv"), options)
        except subprocess.CalledProcessError:
            print(f"{lock.path.relative_to(ROOT)} was not written, for uv's reason above", file=sys.stderr)
            return 1
        print(f"wrote {lock.path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
