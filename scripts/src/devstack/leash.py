"""Becomes the program named after `--`, tied to its parent's life and, if told so, without root's name.

Run as `python -I -S leash.py PARENT SIGNAL [--mapped | --nobody] -- PROGRAM ARGUMENTS`. It is a program of
its own, and no `preexec_fn`, because code between fork and exec is unsafe in a process with threads.
"""

import ctypes
import os
import pwd
import sys
from pathlib import Path

REFUSED = 71
CLONE_NEWUSER = 0x10000000
PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Take the identity asked for, tie the life to the parent's, become the program."""
    split = arguments.index("--")
    (parent, signal, *identity), program = arguments[:split], arguments[split + 1 :]
    try:
        if "--mapped" in identity:
            enter_namespace()
        if "--nobody" in identity:
            become_nobody()
    except OSError as error:
        sys.stderr.write(f"this system refuses {identity[0][2:]}: {error.strerror}\n")
        sys.exit(REFUSED)
    # After the change of identity: the kernel forgets the signal when credentials change.
    end_with(int(parent), int(signal))
    os.execv(program[0], program)  # noqa: S606  this is the purpose


def enter_namespace() -> None:
    """Be `nobody` inside and the caller outside: PostgreSQL sees no root, files stay the caller's."""
    uid, gid, nobody = os.geteuid(), os.getegid(), pwd.getpwnam("nobody").pw_uid
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWUSER):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
    Path("/proc/self/uid_map").write_text(f"{nobody} {uid} 1", encoding="ascii")
    Path("/proc/self/gid_map").write_text(f"{nobody} {gid} 1", encoding="ascii")


def become_nobody() -> None:
    """Give root up for good."""
    nobody = pwd.getpwnam("nobody")
    os.setgroups([])
    os.setgid(nobody.pw_gid)
    os.setuid(nobody.pw_uid)


def end_with(parent: int, signal: int) -> None:
    """Ask the kernel for the signal when the parent dies (Linux); it may be gone already."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
