"""`./scripts/sbom`: what each service's image holds, as its lock says, in CycloneDX' form."""

import argparse
from pathlib import Path

from devstack.check.tools import output_if_failed
from devstack.check.tree import services
from devstack.places import ROOT
from devstack.processes import StackError


def main(argv: list[str]) -> int:
    """Write NAME.cdx.json for every service; 0 when all are there."""
    parser = argparse.ArgumentParser("./scripts/sbom", description="Write a bill of materials for every service.")
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "dist", help="where to (dist)")
    folder: Path = parser.parse_args(argv).folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    for name in services(ROOT):
        print(write(name, folder / f"{name}.cdx.json"))
    return 0


def write(service: str, path: Path) -> Path:
    """Every package with its version and the hashes it may have; the same lock gives the same file.

    Raises:
        StackError: the generator's words.

    """
    lock = [f"{service}/requirements.lock", "--pyproject", f"{service}/pyproject.toml", "--mc-type", "application"]
    # not validated: that takes as long again, and what it would find is the generator's fault
    options = ["--output-reproducible", "--no-validate", "--output-file", str(path)]
    if said := output_if_failed(ROOT, "cyclonedx-py", "requirements", *lock, *options):
        raise StackError("\n".join(said))
    return path
