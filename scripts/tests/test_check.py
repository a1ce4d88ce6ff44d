"""The checks: each passes a good example and finds what is wrong in a bad one."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import msgspec
import pytest
from msgspec import Meta

from common.settings import Settings
from common.values import HttpUrl
from devstack import check
from devstack.check import addresses, docs, markdown, sources, surface, tools, tree

ROOT = Path(__file__).resolve().parents[2]
Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write one file of a small tree."""

    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write


class TestMain:
    """The command itself."""

    def test_all_good_is_zero(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        """A step without findings is a line with its time, and the end says how many passed."""
        monkeypatch.setattr(check, "STEPS", {"good": lambda _: []})
        assert check.main([]) == 0
        first, *_, last = capsys.readouterr().out.splitlines()
        assert first.split()[:2] == ["ok", "good"]
        assert last == "1 passed, 0 failed"

    def test_every_step_runs(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        """A failing or breaking step shows why, exits 1, and keeps no other from being run."""
        steps = {"bad": lambda _: ["a.py:1 is wrong"], "broken": lambda _: 1 / 0, "good": lambda _: []}
        monkeypatch.setattr(check, "STEPS", steps)
        assert check.main([]) == 1
        out = capsys.readouterr().out
        assert "a.py:1 is wrong" in out
        assert "could not be checked: ZeroDivisionError" in out
        assert "1 passed, 2 failed" in out

    def test_one_step(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A named step runs alone."""
        monkeypatch.setattr(check, "STEPS", {"bad": lambda _: ["no"], "good": lambda _: []})
        assert check.main(["good"]) == 0

    def test_unknown_step(self, capsys: pytest.CaptureFixture[str]) -> None:
        """A step that is not there is a usage error that lists those that are."""
        with pytest.raises(SystemExit, match="2"):
            check.main(["lnit"])
        assert "no step is called lnit" in capsys.readouterr().err


class TestTree:
    """Which files are looked at."""

    def test_with_git(self, tmp_path: Path, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
        """What git tracks, and is still there, is what is checked."""
        write("bin/git", "#!/bin/sh\nprintf 'a.py\\0gone.py\\0'\n").chmod(0o755)
        kept = write("a.py", "")
        write("ignored.py", "")
        monkeypatch.setenv("PATH", str(tmp_path / "bin"))
        assert tree.files(tmp_path) == [kept]

    def test_without_git(self, tmp_path: Path, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
        """A tree unpacked from an archive is walked, past environments and caches."""
        kept = [write(".ci/run", ""), write("a.py", "")]
        write(".venv/lib/b.py", "")
        write("pkg/__pycache__/c.py", "")
        monkeypatch.setenv("PATH", "")
        assert tree.files(tmp_path) == kept

    def test_python_without_suffix(self, tmp_path: Path, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
        """An executable that starts Python is Python; a shell script is not."""
        monkeypatch.setenv("PATH", "")
        script = write("scripts/up", "#!/usr/bin/env python3\n")
        write("scripts/old", "#!/bin/sh\n")
        assert tree.python_files(tmp_path) == [script]


class TestTools:
    """Tools of the field."""

    def test_output_only_if_failed(self, tmp_path: Path, write: Write) -> None:
        """A tool that is content says nothing; one that is not shows its own words."""
        write("good.py", '"""Good."""\n')
        assert tools.output_if_failed(tmp_path, "ruff", "check", "--isolated", "good.py") == []
        write("bad.py", "import os\n")
        found = tools.output_if_failed(tmp_path, "ruff", "check", "--isolated", "bad.py")
        assert any("F401" in line for line in found)


class TestSources:
    """Rules over the syntax tree."""

    def test_limits(self) -> None:
        """A short documented module passes; a long file, a long function, a missing docstring are found."""
        assert list(sources.beyond_limits('"""Here."""\n\ndef f():\n    pass\n')) == []
        body = "    pass\n" * 50
        assert [line for line, _ in sources.beyond_limits(f"async def f():\n{body}")] == [1, 1]
        assert "301 lines" in str(list(sources.beyond_limits('"""Here."""\n' + "x = 1\n" * 300)))

    @pytest.mark.parametrize(
        "source", ["import jwt\njwt.encode({})", "from jwt import encode", "import jwt as j\nj.encode({})"]
    )
    def test_signing_is_found(self, source: str) -> None:
        """Signing is seen under any name."""
        assert len(list(sources.signing_calls(source))) == 1

    def test_other_encoding_is_not_signing(self) -> None:
        """Verifying, and other things called encode, pass."""
        assert list(sources.signing_calls("import jwt\njwt.decode(t)\n'x'.encode()")) == []

    @pytest.mark.parametrize(
        "source", ["import os\nos.environ['A']", "from os import getenv", "import os as o\no.getenv('A')"]
    )
    def test_environment_is_found(self, source: str) -> None:
        """Reading the environment is seen under any name."""
        assert len(list(sources.environment_reads(source))) == 1

    def test_other_uses_of_os_pass(self) -> None:
        """The rest of `os` is free."""
        assert list(sources.environment_reads("import os\nos.getpid()")) == []

    def test_exempt_modules(self, tmp_path: Path, write: Write) -> None:
        """The one module that may is passed over, another is not."""
        write("pyproject.toml", '[tool.uv.workspace]\nmembers = ["common", "*-svc"]\n')
        for name in ("common", "todo-svc"):
            write(f"{name}/pyproject.toml", f'[project]\nname = "{name}"\n')
        for name in ("common/src/common/settings.py", "todo-svc/src/todo_svc/app.py"):
            write(name, "import os, jwt\nos.environ\njwt.encode\n")
        write("common/src/common/testing.py", "import jwt\njwt.encode\n")
        assert [found.split()[0] for found in sources.environ(tmp_path)] == ["todo-svc/src/todo_svc/app.py:2"]
        assert [found.split()[0] for found in sources.signing(tmp_path)] == [
            "common/src/common/settings.py:3",
            "todo-svc/src/todo_svc/app.py:3",
        ]


class TestDocs:
    """Documents against the tree."""

    @pytest.fixture(autouse=True)
    def _no_git(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", "")

    def test_links(self, tmp_path: Path, write: Write) -> None:
        """Links to files and headings that are there pass; others are found with their line."""
        write("docs/b.md", "# The `guard`, twice\n## The guard, twice\n")
        write(
            "a.md",
            "[b](docs/b.md#the-guard-twice-1) [web](https://example.com) [top](#here)\n# Here\n`[x](y)`\n",
        )
        assert docs.links(tmp_path) == []
        write("a.md", "[gone](c.md)\n\n[no heading](docs/b.md#nowhere)\n")
        assert docs.links(tmp_path) == [
            "a.md:1 links to c.md, which is not there",
            "a.md:3 links to #nowhere, and b.md has no such heading",
        ]

    def test_commands(self, tmp_path: Path, write: Write) -> None:
        """A script to type is one that can be run; outside such blocks nothing is looked at."""
        write("scripts/up", "").chmod(0o755)
        write("a.md", "```sh\nLOG_LEVEL=DEBUG ./scripts/up\n```\n```text\n./scripts/old\n```\n")
        assert docs.commands(tmp_path) == []
        write("a.md", "```sh\n./scripts/upp --data x\n```\n")
        assert docs.commands(tmp_path) == ["a.md:2 ./scripts/upp is no program"]

    def test_tables(self) -> None:
        """Rows know their line and the heading of the first column; text between ends a table."""
        text = "| Variable | x |\n|---|---|\n| `A` | a \\| b |\n\n| Route |\n| --- |\n| `GET /` |\n"
        rows = markdown.table_rows(text)
        assert [(row.line, row.heading, row.code()) for row in rows] == [
            (3, "variable", ["A"]),
            (7, "route", ["GET /"]),
        ]


class TestSurface:
    """Documents against the services."""

    def test_routes(self) -> None:
        """Parameter names, queries and joined verbs do not matter; a missing or invented route does."""
        described = {"GET /todos", "GET /todos/{todo_id}", "PATCH /todos/{todo_id}"}
        good = "| route |\n|---|\n| `GET /todos?list_id=` |\n| `GET/PATCH /todos/{id}` |\n| `GET /metrics` |\n"
        assert surface.compare_routes(good, described, {"GET /metrics"}) == []
        bad = "| route |\n|---|\n| `GET/PATCH /todos/{id}` |\n| `PUT /todos` |\n"
        assert surface.compare_routes(bad, described, set()) == [
            (1, "lists no route GET /todos"),
            (4, "lists PUT /todos, which no service has"),
        ]

    def test_settings(self) -> None:
        """Each real setting is listed in an example, and no other."""
        assert surface.compare({"REDIS_URL": 1}, {"REDIS_URL"}, "setting") == []
        assert surface.compare({"REDIS_URL": 1, "OLD_URL": 4}, {"REDIS_URL", "LOG_LEVEL"}, "setting") == [
            (1, "lists no setting LOG_LEVEL"),
            (4, "lists OLD_URL, a setting that no code reads"),
        ]

    def test_settings_table(self) -> None:
        """One row per variable, whatever structs have it: those that must be set and those of all first."""

        class One(Settings, frozen=True, kw_only=True):
            days: Annotated[int, Meta(ge=1, le=9, description="how long")] = 3

        class Two(Settings, frozen=True, kw_only=True):
            other_url: Annotated[HttpUrl, Meta(description="where it is")]

        lines = surface.settings_table({"one-svc": One, "two-svc": Two}).splitlines()
        assert len(lines) == 2 + len({field.name for struct in (One, Two) for field in msgspec.structs.fields(struct)})
        assert [line.split("`")[1] for line in lines[2:5]] == ["DATABASE_URL", "REDIS_URL", "OTHER_URL"]
        assert lines[4] == "| `OTHER_URL` | two-svc | required | `http://host:port`, `https://` | where it is |"
        assert lines[-1] == "| `DAYS` | one-svc | `3` | 1 to 9 | how long |"

    def test_stale_settings_are_found_and_mended(self, tmp_path: Path) -> None:
        """A README whose table is another is a finding, until `--fix` has written it."""
        for name in ("user-svc", "todo-svc"):
            (tmp_path / name).symlink_to(ROOT / name)
        (tmp_path / "pyproject.toml").symlink_to(ROOT / "pyproject.toml")
        (tmp_path / "README.md").write_text(f"# Before\n{surface.BEGIN}\nold\n{surface.END}\nafter\n")
        assert surface.settings(tmp_path) == [f"README.md:1 {surface.STALE}"]
        surface.write_settings(tmp_path)
        assert surface.settings(tmp_path) == []
        assert (tmp_path / "README.md").read_text().startswith("# Before\n")
        assert (tmp_path / "README.md").read_text().endswith("\nafter\n")

    def test_example_file(self) -> None:
        """A variable set, or shown commented out, counts; prose does not."""
        assert surface.assignments("# About A=1 and\nREDIS_URL=x\n# LOG_LEVEL=INFO\n") == {
            "REDIS_URL": 2,
            "LOG_LEVEL": 3,
        }

    def test_service_that_cannot_be_built(self) -> None:
        """A service whose app does not build is one line, not a traceback."""
        with pytest.raises(RuntimeError, match="no-such-svc could not be built: ModuleNotFoundError"):
            surface.described_routes("no-such-svc")


class TestAddresses:
    """Addresses that hold only on one machine."""

    def test_good(self, tmp_path: Path) -> None:
        """Relative paths, containers' paths and web pages pass."""
        text = "see ~/work/x, ./home/y, /app and /etc/hosts; https://example.com/home/page\n"
        assert addresses.addresses(text, tmp_path) == []

    @pytest.mark.parametrize("folder", ["home/ann", "root/x", "Users/ann", "work/main"])
    def test_folders(self, tmp_path: Path, folder: str) -> None:
        """Somebody's folder is found, with its line."""
        (found,) = addresses.addresses(f"\nDATA=/{folder}", tmp_path)
        assert found[0] == 2

    def test_own_folder(self, tmp_path: Path) -> None:
        """The folder the tree stands in is found wherever that is."""
        assert addresses.addresses(json.dumps(str(tmp_path / "x")), tmp_path)

    @pytest.mark.parametrize("host", ["https://mirror.example/{}", "see py{}.org", "https://files.python{}.org"])
    def test_package_indexes(self, tmp_path: Path, host: str) -> None:
        """The address of an index is found, the default one's and any other's."""
        fill = {
            "https://mirror.example/{}": "simple",
            "see py{}.org": "pi",
            "https://files.python{}.org": "hosted",
        }
        assert addresses.addresses(host.format(fill[host]), tmp_path)
