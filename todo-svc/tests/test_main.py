"""`python -m todo_svc`: it starts, or ends with one line that says why not."""

import subprocess
import sys

import pytest

from devstack.fixtures import bare_environment


def _run(*words: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "todo_svc", *words]
    return subprocess.run(
        command, env=bare_environment(**variables), capture_output=True, text=True, timeout=30, check=False
    )


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("JWT_KEYS", "", "todo-svc: JWT_KEYS is not set\n"),
        ("JWT_KEYS", "k:c2VjcmV0", "todo-svc: JWT_KEYS holds a key k of 6 bytes; at least 32 are needed\n"),
        ("USER_SVC_URL", "", "todo-svc: USER_SVC_URL is not set\n"),
    ],
)
def test_serve_needs_its_settings(variables: dict[str, str], name: str, value: str, told: str) -> None:
    """Exit code 2 and one line on standard error; nothing listens, no traceback."""
    ended = _run("serve", "--port", "1", **variables | {name: value})
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", told)


def test_migrate_needs_only_the_database(variables: dict[str, str]) -> None:
    """On a database that is up to date it does nothing and says so by its exit code."""
    assert _run("migrate").stderr == "todo-svc: DATABASE_URL is not set\n"
    ended = _run("migrate", DATABASE_URL=variables["DATABASE_URL"])
    assert (ended.returncode, ended.stderr) == (0, "")
