"""`./scripts/test`: pytest on real servers; without arguments every test, and `--coverage` holds that to its gate."""

import faulthandler
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest
from coverage import Coverage

ROOT = Path(__file__).resolve().parents[3]
CONFIGURATION = str(ROOT / "pyproject.toml")
# What these do is covered by other tests too, and would take twice the time.
UNMEASURED = "e2e or tools or contract"
LONGEST = 1200  # seconds, after which the suite hangs, and says where


def main(argv: list[str]) -> int:
    """Run the tests that pytest's own options choose, or all of them; `--coverage` measures these besides."""
    words = [absolute(word) for word in argv]
    os.chdir(ROOT)
    if words == ["--coverage"]:
        return everything(measure=True)
    return int(pytest.main(words)) if words else everything()


def absolute(word: str) -> str:
    """A path the user typed, as it is meant from where they stand; any other word as it is."""
    name = word.partition("::")[0]
    typed_elsewhere = Path.cwd() != ROOT and not name.startswith("-") and Path(name).exists()
    return str(Path.cwd() / word) if typed_elsewhere else word


def everything(*, measure: bool = False) -> int:
    """Run every test; fail if one does or, measured, if the services' own tests covered too little."""
    faulthandler.dump_traceback_later(LONGEST, exit=True)
    cores = os.cpu_count() or 1
    with measuring() if measure else nullcontext():
        code = side_by_side(f"not ({UNMEASURED})", cores + 2)  # half of such a test is waiting
    code = side_by_side(UNMEASURED, cores + 1) or code  # these have busy processes of their own
    faulthandler.cancel_dump_traceback_later()
    return code or (gate(Coverage(config_file=CONFIGURATION)) if measure else 0)


@contextmanager
def measuring() -> Iterator[None]:
    """Measure this process and those it starts."""
    measured = Coverage(config_file=CONFIGURATION)
    measured.erase()
    measured.start()
    yield
    measured.stop()
    measured.save()
    for name in [name for name in os.environ if name.startswith("COVERAGE_PROCESS")]:
        del os.environ[name]


def side_by_side(chosen: str, workers: int) -> int:
    """Run the tests of these marks in so many processes, up to four."""
    return int(pytest.main(["-n", str(min(4, workers)), "--dist", "loadgroup", "-m", chosen]))


def gate(coverage: Coverage) -> int:
    """Put the processes' measurements together; say what was covered, and where not if that is too little."""
    table = io.StringIO()
    coverage.combine()
    covered, needed = coverage.report(file=table), coverage.get_option("report:fail_under")
    enough = covered >= float(str(needed))
    if not enough:
        print(table.getvalue())
    print(f"coverage: {covered:.1f} % ({needed} % are needed)")
    return 0 if enough else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
