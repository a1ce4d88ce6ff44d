"""bench, the command: its options, its result, and what it leaves behind."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec import structs

from devstack.bench import main
from devstack.bench.bed import Bed
from devstack.bench.cases import cases
from devstack.bench.command import Result, show
from devstack.bench.cores import split
from devstack.bench.measure import Row, compare, middle
from devstack.fixtures import bare_environment
from devstack.processes import wait_until

COMMAND = [sys.executable, "-m", "devstack", "bench"]


def row(case: str, rps: float, *, p99: float = 2.0, cpu: float | None = None, baseline: str | None = None) -> Row:
    """One run of a case."""
    return Row(case, rps, 1.0, p99, cpu, 0.0, baseline)


def test_rates_are_compared_with_their_own_baseline() -> None:
    """A ratio is the case's rate over that of the case it names; a baseline has none."""
    rows = [
        row("read, bare", 1000),
        row("read", 900, baseline="read, bare"),
        row("write, bare", 100),
        row("write", 50, baseline="write, bare"),
    ]

    assert [compared.ratio for compared in compare(rows)] == [None, 0.9, None, 0.5]


def test_the_median_is_of_each_figure() -> None:
    """One bad run of three changes nothing, whichever figure it spoils."""
    runs = [
        structs.replace(row("read", 1000, p99=2, cpu=100), ratio=0.8),
        structs.replace(row("read", 10, p99=3, cpu=110), ratio=0.1),
        structs.replace(row("read", 990, p99=900, cpu=105), ratio=0.9),
    ]

    expected = structs.replace(row("read", 990, p99=3, cpu=105), ratio=0.8, spread=(0.1, 0.9))
    assert middle(runs) == expected


def test_the_table_fits_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Every figure can be read in 80 columns; a baseline has the ratio 1, an unknown cost is left empty."""
    monkeypatch.setenv("COLUMNS", "80")
    longest = row("read, new session, asked", 12345, p99=1234.5, baseline="read, bare")
    rows = [middle([row]) for row in compare([row("read, bare", 24690, cpu=357), longest])]
    show(Result(python="3.11.7", cores=2, pinned=True, seconds=3, rounds=3, cases=rows, proof_us=29.0))

    out = capsys.readouterr().out
    assert "read, new session, asked" in out
    assert all(figure in out for figure in ("24,690", "357", "12,345", "1234.5", "0.50-0.50"))
    assert max(map(len, out.splitlines())) <= 80


def test_strays_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    """A case whose answers were partly about something else is named under the table; a clean one is not."""
    rows = [row("read", 100), structs.replace(row("read, new", 50), strays=0.25)]
    show(Result(python="3.11.7", cores=2, pinned=True, seconds=3, rounds=3, cases=rows, proof_us=29.0))

    out = capsys.readouterr().out
    assert "read, new: 25% of the answers were others" in out
    assert "read: " not in out


@pytest.mark.parametrize("argv", [["--seconds", "0"], ["--rounds", "-1"], ["--seconds", "soon"], ["--bogus"]])
def test_wrong_options_are_one_line(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """An option that cannot be meant is named; exit code 2, and nothing is started."""
    assert main(argv) == 2

    out, err = capsys.readouterr()
    assert argv[0] in err
    assert err.count("\n") == 1
    assert out == ""


def test_every_case_has_its_baseline(tmp_path: Path) -> None:
    """Which stands before it; what is compared with nothing is there for others."""
    rows = cases(Bed(tmp_path, split()))
    names = [case.name for case in rows]
    assert len(set(names)) == 22
    assert all(names.index(case.baseline) < names.index(case.name) for case in rows if case.baseline)
    assert {case.name for case in rows if case.baseline is None} <= {case.baseline for case in rows}


@pytest.mark.e2e
@pytest.mark.timeout(180)
def test_one_round_measures(tmp_path: Path) -> None:
    """With --json stdout is one object; each case has figures, the guarded ones a ratio; no file is left."""
    done = subprocess.run(
        [*COMMAND, "--json", "--seconds=0.1", "--rounds=1", "--soak=100", "--only=^(create, guarded|/me, quiet)"],
        capture_output=True, text=True, env=bare_environment(TMPDIR=str(tmp_path)), check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")

    rows = {row["case"]: row for row in json.loads(done.stdout)["cases"]}
    assert [name for name, row in rows.items() if row["ratio"] is None] == [
        "create, bare", "/me, quiet",
    ]  # fmt: skip
    assert len(rows) == 3
    assert 0 < json.loads(done.stdout)["proof_us"] < 1000
    soak = json.loads(done.stdout)["soak"]
    assert 20 < soak["before"] <= soak["after"] < 200
    assert rows["create, guarded"]["stores_us"]["postgresql"] > rows["/me, quiet"]["stores_us"]["postgresql"]
    assert all(row["rps"] > 0 and 0 < row["p50_ms"] <= row["p99_ms"] for row in rows.values())
    assert [path.name for path in tmp_path.glob("gatehouse-bench-*")] == []


@pytest.mark.e2e
@pytest.mark.timeout(180)
def test_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    """Ctrl-C when all is running ends it with 130 and one line, and every process it started with it."""
    environment = bare_environment(TMPDIR=str(tmp_path))
    command = [*COMMAND, "--only=hello, same"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert wait_until(lambda: len(records(tmp_path)) == 5, 120)
        pids = [int(record.read_text().split()[0]) for record in records(tmp_path)]
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)

    assert process.returncode == 130
    assert err == "bench: stopped; nothing is left running\n"
    assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []
    assert [path.name for path in tmp_path.glob("gatehouse-bench-*")] == []


def records(folder: Path) -> list[Path]:
    """The files that name the processes of a running bench."""
    return [
        path for path in folder.glob("gatehouse-bench-*/**/*.pid") if path.stat().st_size and path.parent.name == "logs"
    ]
