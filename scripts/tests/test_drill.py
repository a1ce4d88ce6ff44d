"""drill, the command: its options, its exit codes, and the drill itself on a real stack."""

import base64
import hmac
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from devstack import control, process_table
from devstack.drill import command
from devstack.drill.journal import Journal, Record
from devstack.drill.judge import Act
from devstack.drill.options import LIMIT, Options, parse
from devstack.drill.phases import BY_NAME, PHASES, Step
from devstack.drill.processes import serving
from devstack.drill.sessions import Account, Session, forged, signed_by
from devstack.fixtures import RunningStack, bare_environment
from devstack.processes import StackError, wait_until
from devstack.seed.options import UsageError

COMMAND = [sys.executable, "-u", "-m", "devstack", "drill"]
KEY = b"the key"


def encoded(data: bytes) -> str:
    """As a token's parts are."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


PROVEN = ".".join(map(encoded, (b'{"kid":"k2"}', b'{"sid":"s1","exp":9}')))
TOKEN = f"{PROVEN}.{encoded(hmac.digest(KEY, PROVEN.encode(), 'sha256'))}"


def run(*options: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run it as a person would."""
    environment = bare_environment(**variables)
    return subprocess.run(
        [*COMMAND, *options], env=environment, capture_output=True, text=True, timeout=280, check=False
    )


def begun(*options: str) -> "subprocess.Popen[str]":
    """Begin it as a person would."""
    pipe = subprocess.PIPE
    return subprocess.Popen([*COMMAND, *options], env=bare_environment(), stdout=pipe, stderr=pipe, text=True)


def states(stack: RunningStack) -> set[str]:
    """What the stack's pieces do."""
    return {piece["state"] for name, piece in stack.status().items() if name != "mail"}


def test_all_phases_unless_told_otherwise() -> None:
    """Everything the drill can do, at 50 requests a second, on a stack of its own."""
    options = parse([])
    assert (options.phases, options.rate, options.data, options.limit) == (PHASES, 50, None, LIMIT)
    assert options.report.name == "drill.html"


def test_every_outage_is_undone() -> None:
    """What is taken comes back, the last first; who must be there for others comes back before them."""
    for phase in PHASES:
        taken = [step.piece for step in phase.away if step.verb in {"stop", "kill", "pause"}]
        assert [step.piece for step in phase.back] == taken[::-1]
    assert BY_NAME["both-away"].back == (Step("start", "redis"), Step("start", "user-svc"))
    assert BY_NAME["redis-paused"].back == (Step("resume", "redis"),)


def test_every_piece_goes_in_every_way() -> None:
    """user-svc and Redis stopped, paused, killed; PostgreSQL stopped, paused; Redis flushed; the key rotated."""
    played = {(step.piece, step.verb) for phase in PHASES for step in phase.away}
    expected = {(piece, verb) for piece in ("user-svc", "redis") for verb in ("stop", "pause", "kill")}
    expected |= {("postgres", "stop"), ("postgres", "pause"), ("redis", "flush")}
    assert played == expected | {("todo-svc", "rotate"), ("user-svc", "rotate")}


def test_the_short_one_is_short() -> None:
    """Less of it, and in less than a minute."""
    options = parse(["--short"])
    assert {phase.name for phase in options.phases} < set(BY_NAME)
    assert sum(phase.length for phase in options.phases) < options.limit
    assert sum(phase.seconds for phase in options.phases) < 15
    assert options.limit < 60


def test_phases_by_name() -> None:
    """In the order asked for, each as long as it always is or as is said."""
    phases = parse(["--phases", "redis-flushed:0.5,user-svc-killed"]).phases
    assert [(phase.title, phase.seconds) for phase in phases] == [("Redis flushed", 0.5), ("user-svc killed", 5.0)]


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (["--rate", "0"], "--rate: must be a whole number from 5"),
        (["--rate", "fast"], "--rate: must be a whole number from 5"),
        (["--phases", "doom"], "doom is no phase; there are redis-stopped,"),
        (["--phases", "redis-flushed:long"], "long is no number of seconds"),
        (["--bogus"], "--bogus"),
    ],
)
def test_wrong_options_are_one_line(argv: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An option that cannot be meant is named, with what it takes; exit code 2."""
    assert command.main(argv) == 2
    out, err = capsys.readouterr()
    assert line in err
    assert err.count("\n") == 1
    assert out == ""


def test_the_hidden_option_is_hidden(capsys: pytest.CaptureFixture[str]) -> None:
    """--phases is for tests; --help explains the rest."""
    with pytest.raises(SystemExit):
        parse(["--help"])
    said = capsys.readouterr().out
    assert "--phases" not in said
    assert all(option in said for option in ("--short", "--report", "--rate", "--data"))


def test_no_stack_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder on which nothing runs: one line, exit code 2."""
    assert command.main(["--data", str(tmp_path), "--report", str(tmp_path / "r.html")]) == 2
    assert capsys.readouterr().err == f"drill: no stack runs on {tmp_path}: start one with ./scripts/up\n"


def test_a_report_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Is known before the drill begins."""
    assert command.main(["--report", str(tmp_path)]) == 2
    assert capsys.readouterr() == (
        "",
        f"drill: {tmp_path} cannot be written (Is a directory): choose another place with --report\n",
    )


@pytest.mark.parametrize(
    ("failure", "code", "line"),
    [
        (StackError("redis did not start"), 2, "drill: redis did not start\n"),
        (UsageError("no"), 2, "drill: no\n"),
        (KeyboardInterrupt(), 130, "drill: stopped\n"),
    ],
)
def test_trouble_is_one_line(
    failure: BaseException,
    code: int,
    line: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whatever ends the drill early is told in one line."""

    async def drill(_options: Options) -> Journal:
        raise failure

    monkeypatch.setattr(command, "drill", drill)
    assert command.main(["--report", str(tmp_path / "r.html")]) == code
    assert capsys.readouterr().err == line


@pytest.mark.parametrize(("wrong", "code"), [(None, 0), ("a good token got 401", 1)])
def test_the_exit_code_is_the_verdict(
    wrong: str | None, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """0 when all was right, 1 when a decision was wrong; the report is written either way."""

    async def drill(_options: Options) -> Journal:
        journal = Journal()
        journal.begin("all there")
        journal.enter(Record(0.0, Act.READ, 200, "memory", 0.01, wrong=wrong))
        return journal

    monkeypatch.setattr(command, "drill", drill)
    report = tmp_path / "new/r.html"
    assert command.main(["--report", str(report)]) == code
    assert "<svg" in report.read_text()
    assert str(report) in capsys.readouterr().out


def test_a_session_is_read_from_its_token() -> None:
    """What Redis knows it by, and which key signed it."""
    session = Session(Account("a@example.com", "p"), TOKEN)
    assert (session.id, session.key_id) == ("s1", "k2")
    assert signed_by(TOKEN, KEY)
    assert not signed_by(TOKEN, b"another key")


@pytest.mark.parametrize("claims", [None, {"exp": 1}])
def test_a_forged_token_proves_nothing(claims: dict[str, int] | None) -> None:
    """Well-formed, of the same length, signed by nobody."""
    false = forged(TOKEN, claims=claims)
    assert not signed_by(false, KEY)
    assert Session(Account("a@example.com", "p"), false).id == "s1"
    assert len(false.rpartition(".")[2]) == len(TOKEN.rpartition(".")[2])
    assert (false.split(".")[1] == TOKEN.split(".")[1]) is (claims is None)


def test_one_process_serves_alone() -> None:
    """Without workers the first process is the one that answers."""
    assert serving([4_000_002, 4_000_001]) == {4_000_001}


@pytest.mark.e2e
@pytest.mark.timeout(300)
def test_a_good_stack_passes(tmp_path: Path) -> None:
    """A whole drill on a stack of its own, not on what the environment names: every decision right, nothing lost."""
    report = tmp_path / "drill.html"
    environment = {"DATABASE_URL": "postgresql://127.0.0.1:1/none", "JWT_KEYS": "x"}
    done = run("--phases", "redis-flushed:0.5", "--report", str(report), **environment)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert all(f"{title} ..." in done.stdout for title in ("all there", "Redis flushed"))
    assert "requests, 0 wrong decisions" in done.stdout
    assert " 0 of them lost" in done.stdout
    assert "eyJ" not in done.stdout
    assert "Every decision was right" in report.read_text()


@pytest.fixture
def careless(stack: RunningStack) -> Iterator[RunningStack]:
    """The running stack, where writes are allowed blindly as long as the test lasts."""
    for policy in ("all", "read"):
        stack.stop("todo-svc")
        control.ask(stack.data, "start", "todo-svc", {"AUTH_BLIND": policy})
        if policy == "all":
            yield stack


@pytest.mark.e2e
@pytest.mark.xdist_group("stack")
@pytest.mark.timeout(120)
def test_a_careless_stack_fails(careless: RunningStack, tmp_path: Path) -> None:
    """Where writes are allowed blindly the drill says so and ends with 1; a stack that ran before runs on, whole."""
    done = run(f"--data={careless.data}", "--phases=both-away:2", f"--report={tmp_path / 'drill.html'}")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "a change was allowed blindly" in done.stdout
    assert states(careless) == {"running"}


@pytest.mark.e2e
@pytest.mark.xdist_group("stack")
def test_ctrl_c_brings_back_what_was_taken(stack: RunningStack, tmp_path: Path) -> None:
    """In the middle of an outage: one line, code 130, and the stack that was there runs on, whole."""
    options = (f"--data={stack.data}", "--phases=redis-paused:60", f"--report={tmp_path / 'drill.html'}")
    with begun(*options) as process:
        assert any("Redis paused ..." in line for line in process.stdout or ())
        assert wait_until(lambda: states(stack) == {"running", "paused"}, 10)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (130, "drill: stopped\n")
    assert states(stack) == {"running"}


@pytest.mark.e2e
def test_ctrl_c_leaves_nothing_behind(tmp_path: Path) -> None:
    """While its own stack starts: one line, code 130, no process left."""

    def family() -> set[process_table.Entry]:
        return process_table.family(process.pid, process_table.read())

    with begun(f"--report={tmp_path / 'drill.html'}") as process:
        assert wait_until(lambda: len(family()) > 5, 20)
        last = family()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (130, "drill: stopped\n")
    assert wait_until(lambda: not last & set(process_table.read().values()), 5)
