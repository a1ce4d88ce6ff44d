"""The bill of materials says what the lock says."""

import json
import re
from pathlib import Path

import pytest

from devstack import sbom
from devstack.places import ROOT
from devstack.processes import StackError


def test_every_package_is_in_it(tmp_path: Path) -> None:
    """With its version and the hashes that the lock allows; and the service itself on top."""
    document = json.loads(sbom.write("todo-svc", tmp_path / "bill").read_text())
    lock = (ROOT / "todo-svc/requirements.lock").read_text()
    pinned = set(re.findall(r"^([a-z0-9.-]+)==(\S+)", lock, re.MULTILINE))
    assert (document["bomFormat"], document["metadata"]["component"]["name"]) == ("CycloneDX", "todo-svc")
    assert {(each["name"], each["version"]) for each in document["components"]} == pinned
    hashes = [one["content"] for each in document["components"] for one in each["externalReferences"][0]["hashes"]]
    assert sorted(hashes) == sorted(re.findall(r"--hash=sha256:([0-9a-f]{64})", lock, re.MULTILINE))


def test_every_service_has_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Named after it, in the folder that was asked for."""
    asked: list[tuple[str, Path]] = []
    monkeypatch.setattr(sbom, "write", lambda *words: asked.append(words))
    assert sbom.main([str(tmp_path / "new")]) == 0
    assert asked == [(name, tmp_path / "new" / f"{name}.cdx.json") for name in ("todo-svc", "user-svc")]
    assert (tmp_path / "new").is_dir()


def test_what_cannot_be_made(tmp_path: Path) -> None:
    """Is said in the generator's words."""
    with pytest.raises(StackError, match="gone-svc"):
        sbom.write("gone-svc", tmp_path / "bill")
