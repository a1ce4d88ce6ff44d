"""The lock files: when one is stale, and how they are written (with a stand-in for uv)."""

import sys
from pathlib import Path

import pytest

from devstack import locks as writer
from devstack.check import locks
from devstack.locks import HEADER, INPUTS, Lock

WORKSPACE = """
[project]
name = "all"
requires-python = ">=3.11"
[dependency-groups]
dev = ["ruff>=1"]
[tool.uv.workspace]
members = ["common", "*-svc"]
"""
# Writes two pins, and the words it was given, where it is told to; a path with spaces can be no #! line.
FAKE_UV = """#!/bin/sh
"exec" "{python}" "$0" "$@"
import pathlib, sys
if "--upgrade-package=nothing" in sys.argv:
    sys.exit("error: no such package")
output = pathlib.Path(sys.argv[sys.argv.index("--output-file") + 1])
output.write_text(f"redis==8.2\\nruff==1.5\\n# words: {{' '.join(sys.argv[1:])}}\\n")
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A workspace of a library and one service with locks that fit."""
    (tmp_path / "pyproject.toml").write_text(WORKSPACE)
    declare(tmp_path / "common", "svc-common", '["Redis[hiredis]>=8.1"]')
    declare(tmp_path / "todo-svc", "todo-svc", '["svc-common"]')
    pin(tmp_path)
    return tmp_path


def declare(folder: Path, name: str, dependencies: str) -> None:
    """Write a member's pyproject."""
    folder.mkdir(exist_ok=True)
    text = f'[project]\nname = "{name}"\ndependencies = {dependencies}\n'
    (folder / "pyproject.toml").write_text(text)


def pin(root: Path, redis: str = "8.2") -> None:
    """Write the locks as `./scripts/lock` would, without resolving."""
    for lock in writer.locks(root):
        pins = f"redis=={redis} ; os_name != 'nt' \\\n    --hash=sha256:00\nruff==1.5 \\\n    --hash=sha256:11\n"
        lock.path.write_text(f"{INPUTS}{lock.inputs()}\n{pins}")


def test_fitting_locks_pass(workspace: Path) -> None:
    """Locks written from the present pyprojects are not stale, whatever has been published since."""
    assert locks.stale(workspace) == []


def test_new_requirement(workspace: Path) -> None:
    """A requirement of the library makes every lock that holds it stale, and is named."""
    declare(workspace / "common", "svc-common", '["redis>=8.1", "httpx"]')
    found = locks.stale(workspace)
    assert "todo-svc/requirements.lock does not pin httpx; run ./scripts/lock" in found
    assert any(line.startswith("requirements.lock was not written from the present") for line in found)


def test_development_tools_concern_no_service(workspace: Path) -> None:
    """A tool wanted for development leaves the services' locks as they are."""
    (workspace / "pyproject.toml").write_text(WORKSPACE.replace("ruff>=1", "ruff>=1.1"))
    assert [finding.split()[0] for finding in locks.stale(workspace)] == ["requirements.lock"]


def test_pin_that_is_not_allowed(workspace: Path) -> None:
    """A pin edited by hand to a version that is not allowed is found, though the fingerprint is right."""
    pin(workspace, redis="7.0")
    expected = "requirements.lock pins redis 7.0, which Redis[hiredis]>=8.1 does not allow; run ./scripts/lock"
    assert expected in locks.stale(workspace)


def test_service_apart_from_development(workspace: Path) -> None:
    """A service runs what was tested: its versions are the development lock's."""
    lock = workspace / "todo-svc/requirements.lock"
    lock.write_text(lock.read_text().replace("8.2", "8.3"))
    assert [finding[:42] for finding in locks.stale(workspace)] == ["todo-svc/requirements.lock pins redis othe"]


def test_missing_lock(workspace: Path) -> None:
    """A service without a lock is told how to get one."""
    (workspace / "todo-svc/requirements.lock").unlink()
    found = locks.stale(workspace)
    assert found
    assert all(line.startswith("todo-svc/") and line.endswith("run ./scripts/lock") for line in found)


def test_fingerprint_is_of_what_matters(tmp_path: Path) -> None:
    """Sorting a list of requirements makes no lock stale; a changed setting of the resolver does."""
    one = Lock(tmp_path, (), frozenset(["a", "b"]), "[]")
    assert one.inputs() == Lock(tmp_path, (), frozenset(["b", "a"]), "[]").inputs()
    assert one.inputs() != Lock(tmp_path, (), frozenset(["a", "b"]), "[1]").inputs()


def test_written_locks_fit(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Locks have hashes, are for every platform and without the members; the services' follow the first."""
    use_fake_uv(workspace, monkeypatch)
    assert writer.main([]) == 0
    assert locks.stale(workspace) == []
    assert capsys.readouterr().out.splitlines() == [
        "wrote requirements.lock",
        "wrote todo-svc/requirements.lock",
    ]
    texts = [lock.path.read_text() for lock in writer.locks(workspace)]
    for text in texts:
        assert text.startswith(HEADER)
        for words in (
            "--universal",
            "--generate-hashes",
            "--python-version 3.11",
            "--no-emit-package svc-common",
        ):
            assert words in text
    assert "--group dev" in texts[0]
    assert f"--constraint {workspace / 'requirements.lock'}" in texts[1]


def test_extra_of_an_image_has_a_lock(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What its package needs, with what the extra needs besides; other extras have none."""
    pyproject = workspace / "common" / "pyproject.toml"
    extras = '[project.optional-dependencies]\ntracing = ["ruff>=1"]\ntesting = ["pyjwt"]\n'
    pyproject.write_text(f"{pyproject.read_text()}{extras}")
    use_fake_uv(workspace, monkeypatch)
    assert writer.main([]) == 0
    names = [str(lock.path.relative_to(workspace)) for lock in writer.locks(workspace)]
    assert names == ["requirements.lock", "common/tracing.lock", "todo-svc/requirements.lock"]
    assert "--extra tracing" in (workspace / "common/tracing.lock").read_text()
    assert writer.locks(workspace)[1].requirements == {"Redis[hiredis]>=8.1", "ruff>=1"}
    pyproject.write_text(pyproject.read_text().replace("ruff>=1", "ruff>=2"))
    assert any("tracing.lock pins ruff" in line for line in locks.stale(workspace))


def test_uv_that_fails(workspace: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """A resolution that fails shows uv's reason and one line, and exits 1."""
    use_fake_uv(workspace, monkeypatch)
    assert writer.main(["--upgrade-package", "nothing"]) == 1
    said = capfd.readouterr().err
    assert "error: no such package" in said
    assert said.endswith("requirements.lock was not written, for uv's reason above\n")


def use_fake_uv(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `./scripts/lock` work on the workspace with the stand-in."""
    uv = workspace / "uv"
    uv.write_text(FAKE_UV.format(python=sys.executable))
    uv.chmod(0o755)
    monkeypatch.setenv("UV", str(uv))
    monkeypatch.setattr(writer, "ROOT", workspace)
