"""Whether the lock files are what the pyprojects ask for. Needs no network; newer releases do not matter."""

import re
from itertools import chain
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

from devstack.locks import Lock, locks, members, project_name

PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)(?: *; *([^\\]*[^\\ ]))?", re.MULTILINE)

Pins = dict[str, set[tuple[str, str]]]


def stale(root: Path) -> list[str]:
    """Each lock was written from the present pyprojects, satisfies them, and follows the development one."""
    ours = set(members(root))
    found = locks(root)
    texts = [lock.path.read_text() if lock.path.is_file() else "" for lock in found]
    pins = [pins_of(text) for text in texts]
    return [
        f"{lock.path.relative_to(root)} {message}; run ./scripts/lock"
        for lock, own in zip(found, pins, strict=True)
        for message in chain(changed(lock), unsatisfied(lock.requirements, own, ours), apart(own, pins[0]))
    ]


def pins_of(text: str) -> Pins:
    """Each project's pinned versions with the markers they hold under."""
    pins: Pins = {}
    for name, version, marker in PIN.findall(text):
        pins.setdefault(project_name(name), set()).add((version, marker))
    return pins


def changed(lock: Lock) -> list[str]:
    """Whether the pyprojects have changed since the lock was written."""
    if lock.stated_inputs() == lock.inputs():
        return []
    return ["was not written from the present pyproject.toml files"]


def unsatisfied(requirements: frozenset[str], pins: Pins, ours: set[str]) -> list[str]:
    """Each requirement that is not pinned, or to a version it does not allow."""
    found = []
    for requirement in map(Requirement, sorted(requirements)):
        name = project_name(requirement.name)
        versions = {version for version, _ in pins.get(name, set())}
        if name not in ours and not versions:
            found.append(f"does not pin {name}")
        found += [
            f"pins {name} {version}, which {requirement} does not allow"
            for version in sorted(versions)
            if not requirement.specifier.contains(Version(version), prereleases=True)
        ]
    return found


def apart(pins: Pins, development: Pins) -> list[str]:
    """Each project that a service would run in another version than the one it was tested with."""
    return [
        f"pins {name} otherwise than the development requirements.lock"
        for name, own in pins.items()
        if {version for version, _ in own} - {version for version, _ in development.get(name, set())}
    ]
