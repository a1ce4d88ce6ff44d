"""seed, the command: its options, its exit codes, and what it prints."""

import json
import signal
import subprocess
import sys

import pytest

from devstack.fixtures import RunningStack
from devstack.seed import main
from devstack.seed.options import MOST_OBJECTS, Options, UsageError, parse

COMMAND = [sys.executable, "-m", "devstack", "seed"]


def run(*options: str) -> subprocess.CompletedProcess[str]:
    """Run it as a person would."""
    return subprocess.run([*COMMAND, *options], capture_output=True, text=True, timeout=50, check=False)


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (["--users", "-1"], "--users: must be a whole number from 1"),
        (["--users", "0"], "--users: must be a whole number from 1"),
        (["--lists", "many"], "--lists: must be a whole number from 0"),
        (["--todos", "1000000000000"], "--todos: must be a whole number from 0"),
        (["--concurrency", "0"], "--concurrency: must be a whole number from 1"),
        (["--seed", "1.5"], "--seed: must be a whole number from 0"),
        (["--user-url", "127.0.0.1:8001"], "--user-url: must look like http://"),
        (["--todo-url", "ftp://127.0.0.1"], "--todo-url: must look like http://"),
        (["--todo-url", "http://127.0.0.1:x"], "--todo-url: must look like http://"),
        (["--todo-url", "http://ann:secret@127.0.0.1"], "--todo-url: must be an address without credentials"),
        (["--bogus"], "--bogus"),
        (["--users", "1000", "--lists", "1000", "--todos", "1000"], f"the most in one run is {MOST_OBJECTS:,}"),
    ],
)
def test_wrong_options_are_one_line(argv: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An option that cannot be meant is named, with what it takes; exit code 2, and a value is not repeated."""
    assert main(argv) == 2

    out, err = capsys.readouterr()
    assert line in err
    assert "secret" not in err
    assert err.count("\n") == 1
    assert out == ""


def test_addresses_lose_their_slash() -> None:
    """An address may end in a slash, and may have a path: behind a gateway it does."""
    assert parse(["--user-url", "https://example.com/users/"]).user_url == "https://example.com/users"


def test_defaults_are_small() -> None:
    """Without options there are a few users with a few lists, at the addresses of `./scripts/up`."""
    assert parse([]) == Options()
    assert Options().objects == 3 * (1 + 3 * (1 + 5))


def test_the_largest_run_is_bounded() -> None:
    """What fits in one run is accepted, and one more is not."""
    parse(["--users", "1000", "--lists", "9", "--todos", "1000"])
    with pytest.raises(UsageError):
        parse(["--users", "1001", "--lists", "10", "--todos", "1000"])


def test_an_absent_service_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody at the address: exit code 2 and one line that names it and says what to do."""
    assert main(["--user-url", "http://127.0.0.1:1"]) == 2

    out, err = capsys.readouterr()
    assert err.startswith("seed: user-svc at http://127.0.0.1:1 does not answer (no connection)")
    assert "./scripts/up" in err
    assert err.count("\n") == 1
    assert out == ""


@pytest.mark.e2e
@pytest.mark.xdist_group("stack")
def test_json_is_all_there_is(stack: RunningStack) -> None:
    """With --json stdout is one object and stderr is empty; who is in it can log in."""
    where = ["--user-url", stack.user_url, "--todo-url", stack.todo_url]
    done = run("--json", "--users", "2", "--lists", "1", "--todos", "2", *where)
    report = json.loads(done.stdout)

    assert (done.returncode, done.stderr) == (0, "")
    assert list(report) == ["users", "created", "existing", "seconds", "requests"]
    assert [list(user) for user in report["users"]] == [["email", "password"]] * 2
    assert report["created"] == {"users": 2, "lists": 2, "todos": 4}
    assert report["existing"] == {"users": 0, "lists": 0, "todos": 0}
    assert report["requests"] >= 2 + 2 + 2 + 4
    assert report["seconds"] > 0


@pytest.mark.e2e
@pytest.mark.xdist_group("stack")
def test_a_person_is_shown_credentials_and_no_token(stack: RunningStack) -> None:
    """Without --json there are lines of progress, then the credentials of the first ten users; never a token."""
    where = ["--user-url", stack.user_url, "--todo-url", stack.todo_url]
    done = run("--users", "11", "--lists", "1", "--todos", "1", "--seed", "2", *where)

    assert (done.returncode, done.stderr) == (0, "")
    assert "33 of 33, " in done.stdout
    assert done.stdout.count("@example.com") == 10
    assert "and 1 more" in done.stdout
    assert "created 11 users, 11 lists, 11 todos" in done.stdout
    assert "eyJ" not in done.stdout


@pytest.mark.e2e
@pytest.mark.xdist_group("stack")
def test_ctrl_c_is_one_line(stack: RunningStack) -> None:
    """Ctrl-C ends it with 130 and says how to finish."""
    where = ["--user-url", stack.user_url, "--todo-url", stack.todo_url]
    command = [*COMMAND, "--users", "60", "--seed", "3", *where]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()  # the first tenth is done
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)

    assert process.returncode == 130
    assert err == "seed: stopped; run the same command again to finish\n"
