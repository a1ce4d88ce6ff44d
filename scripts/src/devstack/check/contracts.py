"""Whether the services of the last recorded contract and those of this tree understand each other."""

from pathlib import Path

from devstack.contracts import FOLDER, file, recorded
from devstack.contracts.crossings import present
from devstack.contracts.difference import breaks


def unbroken(root: Path) -> list[str]:
    """Both run side by side during every release, so what crosses between them may only grow."""
    versions = recorded(root)
    if not versions:
        return [f"{FOLDER} holds no recorded contract"]
    last = file(root, len(versions)).relative_to(root)
    return [f"{last}: {line}" for line in breaks(versions[-1], present())]
