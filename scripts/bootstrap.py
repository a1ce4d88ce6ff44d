"""What every script does first: make .venv with uv, once, and become the command (standard library only)."""

# Must still load in Python 3.6, to say that a newer one is needed: hence the quoted annotations.
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:
    sys.exit("Gatehouse's scripts run on Linux and macOS; on Windows use WSL.")

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / ".tools"
VENV = ROOT / ".venv"
PYTHON = VENV / "bin/python"
LOCK = ROOT / "requirements.lock"
STAMP = VENV / "bootstrap.stamp"
UV_VERSION = "0.13.9"
OLDEST_UV = (0, 9)
OLDEST_PYTHON = (3, 11)
NEWER_PYTHONS = ("python3.14", "python3.13", "python3.12", "python3.11")


def run(*command: str) -> None:
    """Become `python -m COMMAND` in the project's own environment, followed by the words the user typed."""
    with plain_errors():
        ensure_python()
        ensure_environment()
    # -P: a folder of the user's that is named like one of our packages must not shadow it
    become(PYTHON, "-P", "-m", *command, *sys.argv[1:])


def run_without_environment(module: str) -> None:
    """Become MODULE with uv at hand but no .venv: what writes the lock files cannot stand on them."""
    with plain_errors():
        ensure_python()
        environment = installer_environment()
        uv = find_uv() or fetch_uv(environment)
    os.environ.update(environment, UV=uv, PYTHONPATH=str(ROOT / "scripts/src"))
    become(Path(sys.executable), "-P", "-m", module, *sys.argv[1:])


def become(program: Path, *words: str) -> None:
    """Replace this process, so that signals and exit codes pass."""
    os.execv(program, [str(program), *words])  # noqa: S606  # no shell is the point


@contextmanager
def plain_errors() -> "Iterator[None]":
    """End with a line or, at Ctrl-C, with the code a shell expects; never with a traceback."""
    try:
        yield
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        sys.exit(f"the environment could not be prepared: {error}")


def ensure_python() -> None:
    """Go on in a newer Python of PATH if this one is too old, or say which is needed."""
    if sys.version_info >= OLDEST_PYTHON:
        return
    for name in NEWER_PYTHONS:
        for folder in os.get_exec_path():
            if is_new_enough(Path(folder, name)):
                become(Path(folder, name), *sys.argv)
    this, needed = ".".join(map(str, sys.version_info[:3])), ".".join(map(str, OLDEST_PYTHON))
    sys.exit(f"Gatehouse needs Python {needed} or newer, and python3 is {this}: install python{needed} or newer.")


def is_new_enough(python: Path) -> bool:
    """Whether it runs at all (a version manager's shim may not) and is of a version we support."""
    return python.is_file() and succeeds(python, "-c", f"import sys; sys.exit(sys.version_info < {OLDEST_PYTHON})")


def ensure_environment() -> None:
    """Leave .venv as requirements.lock and the members' pyprojects say; touch nothing if it is so already."""
    if is_fresh():
        return
    print("preparing the environment...", file=sys.stderr, flush=True)
    with one_at_a_time():
        if not is_fresh():
            environment = installer_environment()
            build(find_uv() or fetch_uv(environment), environment)


def is_fresh() -> bool:
    """Whether the last preparation came to its end and was of exactly this."""
    return os.access(PYTHON, os.X_OK) and STAMP.is_file() and STAMP.read_text() == "\n".join(identity())


def identity() -> "tuple[str, str]":
    """What .venv stands on (if other: made anew) and a digest of what is in it (if other: updated)."""
    content = hashlib.sha256()
    for path in (LOCK, *(member / "pyproject.toml" for member in members())):
        content.update(path.read_bytes())
    return f"{sys.version_info[:3]} {sys.base_exec_prefix} {ROOT}", content.hexdigest()


def members() -> "list[Path]":
    """The packages of the workspace, by the root pyproject's patterns: a new service needs no edit here."""
    patterns = ("common", "*-svc", "scripts")
    return sorted(found.parent for pattern in patterns for found in ROOT.glob(f"{pattern}/pyproject.toml"))


@contextmanager
def one_at_a_time() -> "Iterator[None]":
    """Wait for another terminal's preparation; its uv inherits the lock, in case its Python is killed."""
    TOOLS.mkdir(exist_ok=True)
    with (TOOLS / "bootstrap.lock").open("w") as lock:
        os.set_inheritable(lock.fileno(), True)
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def build(uv: str, environment: "dict[str, str]") -> None:
    """Make or mend .venv; the stamp goes first and comes last, so that an interrupted build is done again."""
    base, content = identity()
    mendable = os.access(PYTHON, os.X_OK) and STAMP.is_file() and STAMP.read_text().startswith(f"{base}\n")
    STAMP.unlink(missing_ok=True)
    if not mendable:
        # The base interpreter, because this one may be the very .venv that is cleared.
        base_python = getattr(sys, "_base_executable", sys.executable)
        call(environment, uv, "venv", "--clear", "--python", base_python, str(VENV))
    into = ("--python", str(PYTHON))
    call(environment, uv, "pip", "sync", *into, "--require-hashes", str(LOCK))
    editables = [word for member in members() for word in ("--editable", str(member))]
    call(environment, uv, "pip", "install", *into, "--no-deps", *editables)
    STAMP.write_text(f"{base}\n{content}")


def find_uv() -> str:
    """The first uv that is recent enough: the machine's own, then one fetched earlier; empty if none is."""
    for candidate in (shutil.which("uv"), TOOLS / "bin/uv", TOOLS / "venv/bin/uv"):
        version = re.match(r"uv (\d+)\.(\d+)", output_of(candidate, "--version")) if candidate else None
        if version and (int(version[1]), int(version[2])) >= OLDEST_UV:
            return str(candidate)
    return ""


def fetch_uv(environment: "dict[str, str]") -> str:
    """Fetch uv into .tools: pip obeys --target even where PEP 668 forbids a plain install."""
    install = ("-m", "pip", "install", "--quiet", f"uv=={UV_VERSION}")
    if succeeds(sys.executable, "-m", "pip", "--version"):
        call(environment, sys.executable, *install, "--upgrade", "--target", str(TOOLS))
        return str(TOOLS / "bin/uv")
    if not succeeds(sys.executable, "-m", "venv", "--clear", TOOLS / "venv"):
        sys.exit("uv is needed, and Python has no pip to fetch it: install uv, python3-pip or python3-venv.")
    call(environment, str(TOOLS / "venv/bin/python"), *install)
    return str(TOOLS / "venv/bin/uv")


def installer_environment() -> "dict[str, str]":
    """The user's variables for uv and pip, with what they lack and without what would stand in the way."""
    environment = {
        **os.environ,
        "UV_PYTHON_DOWNLOADS": "never",
        "PIP_USER": "0",
        "PIP_REQUIRE_VIRTUALENV": "0",
    }
    environment.setdefault("PIP_RETRIES", "2")  # its own five take half a minute to say that there is no network
    # uv reads none of pip's settings, but a company's mirror is often told to pip alone.
    mirror = os.environ.get("PIP_INDEX_URL") or output_of(
        sys.executable, "-m", "pip", "config", "get", "global.index-url"
    )
    if mirror and "UV_INDEX_URL" not in environment:
        environment.setdefault("UV_DEFAULT_INDEX", mirror)
    if not has_writable_cache():
        environment.setdefault("UV_CACHE_DIR", str(TOOLS / "cache"))
        environment.setdefault("PIP_NO_CACHE_DIR", "1")
    return environment


def has_writable_cache() -> bool:
    """Whether uv's usual folder is there to write to, or can be made."""
    home, cache = os.environ.get("HOME", ""), os.environ.get("XDG_CACHE_HOME", "")
    if not cache and not (home and Path(home).is_dir()):
        return False
    folder = Path(cache or f"{home}/.cache") / "uv"
    while not os.access(folder, os.F_OK):
        folder = folder.parent
    return os.access(folder, os.W_OK | os.X_OK)


def call(environment: "dict[str, str]", *command: str) -> None:
    """Run one step of the preparation; its own words are shown only if it fails."""
    result = subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        close_fds=False,  # hands on the lock of one_at_a_time
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if result.returncode:
        sys.stderr.write(result.stdout.decode(errors="replace"))
        sys.exit(
            "the environment could not be prepared, for the reason above. If it is the package index, check "
            "the network or name yours in UV_DEFAULT_INDEX and PIP_INDEX_URL, and run the same command again."
        )


def succeeds(*command: "str | Path") -> bool:
    """Whether the command can be run and ends well."""
    return answer(*command).returncode == 0


def output_of(*command: "str | Path") -> str:
    """What the command says on standard output; nothing if it cannot be run or fails."""
    result = answer(*command)
    return result.stdout.decode(errors="replace").strip() if result.returncode == 0 else ""


def answer(*command: "str | Path") -> "subprocess.CompletedProcess[bytes]":
    """Run a question quietly; a program that cannot be run counts as one that fails."""
    try:
        return subprocess.run(
            [str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False
        )
    except OSError:
        return subprocess.CompletedProcess(command, 127, b"")
