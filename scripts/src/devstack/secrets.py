"""`./scripts/secrets`: the compose file's settings, with a new secret behind each name that has no value."""

import argparse
import base64
import os
import re
import secrets
from pathlib import Path

from devstack.places import ROOT
from devstack.processes import StackError

EXAMPLE = ROOT / "docker/env.example"
TARGET = ROOT / "docker/.env"
EMPTY = re.compile(r"^([A-Z_]+)=$", re.MULTILINE)
KEYS = "JWT_KEYS"


def main(argv: list[str]) -> int:
    """Write the file once; 0 when it is there now and was not before."""
    parser = argparse.ArgumentParser("./scripts/secrets", description="Make the secrets of docker/compose.yaml.")
    parser.add_argument("file", nargs="?", type=Path, default=TARGET, help="where to (docker/.env)")
    path: Path = parser.parse_args(argv).file
    write(path, filled(EXAMPLE.read_text(encoding="utf-8")))
    print(f"wrote {path}; only you can read it. It is not made again: what runs knows these secrets.")
    return 0


def filled(example: str) -> str:
    """The text with a secret of its own behind each empty name."""
    return EMPTY.sub(lambda match: f"{match[1]}={made(match[1])}", example)


def made(name: str) -> str:
    """A signing key, or a password of 192 bits that may stand in an address."""
    if name == KEYS:
        return f"k1:{base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip('=')}"
    return secrets.token_hex(24)


def write(path: Path, text: str) -> None:
    """Nobody else may read it at any moment.

    Raises:
        StackError: it is there already, or cannot be made.

    """
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise StackError(f"{path} is there already, and its secrets may be in use: remove it to make others") from None
    except OSError as error:
        raise StackError(f"{path} cannot be written: {error.strerror}") from error
    with os.fdopen(file, "w", encoding="utf-8") as opened:
        opened.write(text)
