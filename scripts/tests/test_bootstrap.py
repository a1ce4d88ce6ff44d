"""The bootstrap, on a small tree of its own with a stand-in for uv: nothing is fetched."""

import ast
import fcntl
import importlib.util
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

SCRIPTS = Path(__file__).resolve().parents[1]

# Its second line hands over to Python, whose path may hold spaces, and means nothing to Python itself.
FAKE_UV = """#!/bin/sh
"exec" "{python}" "$0" "$@"
import os, pathlib, sys, time
words = sys.argv[1:]
if words == ["--version"]:
    print(os.environ.get("FAKE_UV_VERSION", "uv 0.13.9 (stand-in)"))
    sys.exit()
log = pathlib.Path(os.environ["FAKE_UV_LOG"])
log.write_text((log.read_text() if log.exists() else "") + " ".join(words) + "\\n")
gate = pathlib.Path(os.environ.get("FAKE_UV_WAITS_FOR", __file__))
while not gate.exists():
    time.sleep(0.01)
if os.environ.get("FAKE_UV_BREAKS") in words:
    sys.exit("error: no such package")
if words[0] == "venv":
    python = pathlib.Path(words[-1], "bin/python")
    python.parent.mkdir(parents=True, exist_ok=True)
    python.unlink(missing_ok=True)
    python.symlink_to(words[words.index("--python") + 1])
"""
ECHO = """import json, os, sys
print(json.dumps({"cwd": os.getcwd(), "argv": sys.argv[1:]}))
sys.exit(7)
"""


@dataclass
class Tree:
    """A project of one member, its script `say`, and the environment to run that in."""

    root: Path
    environment: dict[str, str]

    def say(self, *words: str, cwd: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run the script."""
        command = [sys.executable, str(self.root / "scripts/say"), *words]
        environment = {**self.environment, **variables}
        return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)

    def steps(self) -> list[str]:
        """What uv was asked to do since the last call: venv, sync, install."""
        log = Path(self.environment["FAKE_UV_LOG"])
        lines = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return [line.removeprefix("pip ").split()[0] for line in lines]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """A tree whose path has a space, before its first run."""
    root, tools = tmp_path / "a tree", tmp_path / "tools"
    for folder in (root / "scripts", root / "common", tools):
        folder.mkdir(parents=True)
    (root / "scripts/bootstrap.py").write_bytes((SCRIPTS / "bootstrap.py").read_bytes())
    (root / "scripts/say").write_text('from bootstrap import run\n\nrun("echo_words", "verb")\n')
    (root / "common/pyproject.toml").write_text('[project]\nname = "common"\n')
    (root / "requirements.lock").write_text("click==8.1\n")
    (tools / "echo_words.py").write_text(ECHO)
    (tools / "uv").write_text(FAKE_UV.format(python=sys.executable))
    (tools / "uv").chmod(0o755)
    variables = {"PATH": str(tools), "PYTHONPATH": str(tools), "FAKE_UV_LOG": str(tmp_path / "uv.log")}
    return Tree(root, variables | {"PIP_INDEX_URL": "https://mirror.example"})  # or pip would be asked for it


@pytest.fixture
def bootstrap(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The tree's own bootstrap module, to look at in this process."""
    spec = importlib.util.spec_from_file_location("bootstrap", tree.root / "scripts/bootstrap.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name in ("UV_CACHE_DIR", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    return module


def test_first_run_prepares_and_becomes_the_command(tree: Tree, tmp_path: Path) -> None:
    """One line on stderr, then the command with the user's words, folder and exit code."""
    result = tree.say("--name", "two words", cwd=tmp_path)
    assert json.loads(result.stdout) == {"cwd": str(tmp_path), "argv": ["verb", "--name", "two words"]}
    assert result.returncode == 7
    assert result.stderr == "preparing the environment...\n"
    assert tree.steps() == ["venv", "sync", "install"]


def test_user_folder_shadows_nothing(tree: Tree, tmp_path: Path) -> None:
    """A module in the user's folder that is named like the command's is not taken for it."""
    (tmp_path / "echo_words.py").write_text("print('shadow')")
    assert tree.say(cwd=tmp_path).returncode == 7


def test_fresh_environment_is_left_alone(tree: Tree) -> None:
    """The second run asks uv nothing and says nothing of its own."""
    tree.say()
    tree.steps()
    assert (tree.say().stderr, tree.steps()) == ("", [])


def test_changed_lock_brings_up_to_date(tree: Tree) -> None:
    """Another requirements.lock installs into the environment there is."""
    tree.say()
    tree.steps()
    (tree.root / "requirements.lock").write_text("click==8.2\n")
    tree.say()
    assert tree.steps() == ["sync", "install"]


def test_new_member_is_found(tree: Tree) -> None:
    """A third service is installed with no edit of the scripts."""
    tree.say()
    (tree.root / "notes-svc").mkdir()
    (tree.root / "notes-svc/pyproject.toml").write_text('[project]\nname = "notes-svc"\n')
    tree.say()
    log = Path(tree.environment["FAKE_UV_LOG"]).read_text().splitlines()
    assert f"--editable {tree.root / 'notes-svc'}" in log[-1]


def test_moved_tree_is_prepared_anew(tree: Tree, tmp_path: Path) -> None:
    """An environment knows where it was made: in another folder it is made again."""
    tree.say()
    tree.steps()
    tree.root = tree.root.rename(tmp_path / "moved")
    assert tree.say().returncode == 7
    assert tree.steps() == ["venv", "sync", "install"]


@pytest.mark.parametrize("step", ["venv", "sync", "install"])
def test_broken_preparation_is_told_and_mended(tree: Tree, step: str) -> None:
    """A step that fails shows uv's words and one line; the next run does the whole of it again."""
    broken = tree.say(FAKE_UV_BREAKS=step)
    assert broken.returncode == 1
    assert "error: no such package" in broken.stderr
    assert broken.stderr.splitlines()[-1].startswith("the environment could not be prepared")
    assert "Traceback" not in broken.stderr
    tree.steps()
    assert tree.say().returncode == 7
    assert tree.steps() == ["venv", "sync", "install"]


def test_broken_update_is_mended(tree: Tree) -> None:
    """An environment whose update broke half-way counts for nothing: it is made again."""
    tree.say()
    lock = tree.root / "requirements.lock"
    before = lock.read_text()
    lock.write_text("click==8.2\n")
    assert tree.say(FAKE_UV_BREAKS="sync").returncode == 1
    tree.steps()
    lock.write_text(before)
    assert tree.say().returncode == 7
    assert tree.steps() == ["venv", "sync", "install"]


def test_two_terminals_prepare_once(tree: Tree, tmp_path: Path) -> None:
    """Of several first runs at the same time one makes the environment, and all go on."""
    command = [sys.executable, str(tree.root / "scripts/say")]
    environment = {**tree.environment, "FAKE_UV_WAITS_FOR": str(tmp_path / "gate")}
    started = [subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) for _ in range(4)]
    for process in started:
        assert process.stderr
        assert process.stderr.readline() == b"preparing the environment...\n"
    (tmp_path / "gate").touch()
    for process in started:
        process.communicate()
    assert [process.returncode for process in started] == [7] * 4
    assert tree.steps() == ["venv", "sync", "install"]


def test_killed_preparation_keeps_its_lock(tree: Tree, tmp_path: Path) -> None:
    """While the uv of a killed preparation is still at work, no other may begin."""
    gate, log = tmp_path / "gate", Path(tree.environment["FAKE_UV_LOG"])
    environment = {**tree.environment, "FAKE_UV_WAITS_FOR": str(gate)}
    started = subprocess.Popen([sys.executable, str(tree.root / "scripts/say")], env=environment)
    while not log.exists():  # no longer than pytest's own time limit
        time.sleep(0.01)
    started.kill()
    started.wait()
    with (tree.root / ".tools/bootstrap.lock").open("w") as lock:
        with pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        gate.touch()
        fcntl.flock(lock, fcntl.LOCK_EX)


def test_missing_lock_file_is_one_line(tree: Tree) -> None:
    """A tree without requirements.lock says so."""
    (tree.root / "requirements.lock").unlink()
    result = tree.say()
    assert result.returncode == 1
    assert "requirements.lock" in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr


def test_old_uv_is_passed_over(tree: Tree, bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """A uv older than the workspace needs is not used; one fetched earlier is."""
    monkeypatch.setenv("PATH", tree.environment["PATH"])
    monkeypatch.setenv("FAKE_UV_VERSION", "uv 0.8.22")
    assert bootstrap.find_uv() == ""
    fetched = tree.root / ".tools/bin/uv"
    fetched.parent.mkdir(parents=True)
    fetched.write_text("#!/bin/sh\necho uv 0.13.9\n")
    fetched.chmod(0o755)
    assert bootstrap.find_uv() == str(fetched)


def test_neither_uv_nor_pip(bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """With nothing to start from the message names the packages to install."""
    monkeypatch.setattr(bootstrap, "succeeds", lambda *_: False)
    with pytest.raises(SystemExit, match="python3-pip or python3-venv"):
        bootstrap.fetch_uv({})


@pytest.mark.parametrize(("has_pip", "where"), [(True, "bin/uv"), (False, "venv/bin/uv")])
def test_fetched_uv_is_pinned(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch, has_pip: bool, where: str
) -> None:
    """Uv comes in one version, by pip's --target or, without pip, into a venv of its own."""
    calls: list[str] = []
    monkeypatch.setattr(bootstrap, "succeeds", lambda *words: "pip" not in words or has_pip)
    monkeypatch.setattr(bootstrap, "call", lambda _, *words: calls.append(" ".join(words)))
    assert bootstrap.fetch_uv({}) == str(bootstrap.TOOLS / where)
    assert f"uv=={bootstrap.UV_VERSION}" in calls[0]


def test_old_python_says_what_is_needed(bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """With no newer Python on PATH, one line names the version needed and the one found."""
    monkeypatch.setattr(bootstrap, "OLDEST_PYTHON", (99, 0))
    with pytest.raises(SystemExit, match=r"needs Python 99\.0 or newer, and python3 is 3\."):
        bootstrap.ensure_python()


def test_old_python_hands_over_to_a_newer_one(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The first Python of PATH that runs and is new enough takes over; a shim that fails is passed over."""
    became: list[str] = []
    for name, body in {"shim/python3.14": "exit 127", "real/python3.13": "exit 0"}.items():
        python = tmp_path / name
        python.parent.mkdir()
        python.write_text(f"#!/bin/sh\n{body}\n")
        python.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'shim'}:{tmp_path / 'real'}")
    monkeypatch.setattr(bootstrap, "OLDEST_PYTHON", (99, 0))
    monkeypatch.setattr(bootstrap, "become", lambda program, *_: became.append(str(program)))
    with pytest.raises(SystemExit):
        bootstrap.ensure_python()
    assert became == [str(tmp_path / "real/python3.13")]


def test_bootstrap_loads_in_old_pythons() -> None:
    """Its grammar is Python 3.6's, so that an old Python gets as far as the message."""
    ast.parse((SCRIPTS / "bootstrap.py").read_text(), feature_version=(3, 6))


@pytest.mark.parametrize("home", ["empty", "unset", "gone"])
def test_without_home_the_cache_is_ours(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, home: str
) -> None:
    """An empty, unset or missing HOME moves uv's cache into .tools, and makes no folder elsewhere."""
    gone = tmp_path / "gone"
    monkeypatch.setenv("HOME", "" if home == "empty" else str(gone))
    if home == "unset":
        monkeypatch.delenv("HOME")
    assert bootstrap.installer_environment()["UV_CACHE_DIR"] == str(bootstrap.TOOLS / "cache")
    assert not gone.exists()


def test_with_home_the_cache_is_shared(bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A usable HOME is used, even before it has a cache."""
    monkeypatch.setenv("HOME", str(tmp_path))
    assert "UV_CACHE_DIR" not in bootstrap.installer_environment()


def test_user_variables_pass(bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's own uv, pip, proxy and certificate variables reach uv; pip's index serves uv too."""
    own = {"UV_CACHE_DIR": "/c", "SSL_CERT_FILE": "/ca.pem", "HTTPS_PROXY": "http://proxy:3128"}
    for name, value in {**own, "PIP_INDEX_URL": "https://mirror.example"}.items():
        monkeypatch.setenv(name, value)
    environment = bootstrap.installer_environment()
    assert own.items() <= environment.items()
    assert environment["UV_DEFAULT_INDEX"] == "https://mirror.example"
    assert environment["UV_PYTHON_DOWNLOADS"] == "never"
