"""`./scripts/contracts`: records what crosses between the services, each version in a file of its own."""

import argparse
import json
from pathlib import Path
from typing import Any

from devstack.contracts.crossings import present
from devstack.contracts.difference import breaks
from devstack.places import ROOT
from devstack.processes import StackError

FOLDER = "common/contracts"

Contracts = dict[str, dict[str, Any]]


def main(argv: list[str]) -> int:
    """Write the next version where something is new; 0 if there is nothing to say against it."""
    parser = argparse.ArgumentParser("./scripts/contracts", description="Record what crosses between the services.")
    parser.add_argument("--breaking", action="store_true", help="even if a service that runs would not understand it")
    broken = parser.parse_args(argv).breaking
    versions, now = recorded(ROOT), present()
    if versions and versions[-1] == now:
        print(f"version {len(versions)} is what crosses today")
        return 0
    if not broken and (found := breaks(versions[-1] if versions else {}, now)):
        raise StackError("\n".join(["not recorded, because services that run would not understand it:", *found]))
    path = file(ROOT, len(versions) + 1)
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(now, indent=2) + "\n", encoding="utf-8")
    print(f"wrote {path.relative_to(ROOT)}")
    return 0


def recorded(root: Path) -> list[Contracts]:
    """Every version, the first first."""
    found = len(list((root / FOLDER).glob("*.json")))
    return [json.loads(file(root, number).read_text(encoding="utf-8")) for number in range(1, found + 1)]


def file(root: Path, version: int) -> Path:
    """Where a version stands."""
    return root / FOLDER / f"{version}.json"
