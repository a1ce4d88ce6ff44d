"""The command line: a wrong setting ends it with one line, and uvicorn is told what it should be told."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import click
import msgspec
import pytest
from click.testing import CliRunner, Result

from common import cli
from common.gc_freeze import SERVED
from common.settings import Settings
from common.telemetry.metrics import FOLDER
from devstack.fixtures import TestPostgres

ENVIRONMENT = {"DATABASE_URL": "postgresql://ann:geheim@127.0.0.1:1/db", "REDIS_URL": "redis://127.0.0.1:1"}
MIGRATION = """
revision = "0001"
down_revision = None

from alembic import op

def upgrade():
    op.create_table("things")

def downgrade():
    op.drop_table("things")
"""
ENV = "import sqlalchemy as sa; from common.migrations import run; run(sa.MetaData())"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The variables of a service, whatever those of the developer are."""
    for name in (*(field.name.upper() for field in msgspec.structs.fields(Settings)), FOLDER):
        monkeypatch.delenv(name, raising=False)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    yield
    for name in (FOLDER, SERVED):
        os.environ.pop(name, None)


@pytest.fixture
def migrations(tmp_path: Path) -> Path:
    """A service's migrations."""
    (tmp_path / "versions").mkdir()
    (tmp_path / "env.py").write_text(ENV)
    (tmp_path / "versions" / "0001.py").write_text(MIGRATION)
    return tmp_path


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What uvicorn was told, instead of serving."""
    told: list[dict[str, Any]] = []

    def run(app: str, **options: Any) -> None:
        folder = os.environ.get(FOLDER)
        told.append(
            {
                "app": app,
                "served": os.environ.get(SERVED),
                "folder": folder,
                "there": bool(folder and Path(folder).is_dir()),
                **options,
            }
        )

    monkeypatch.setattr("uvicorn.run", run)
    return told


def call(migrations: Path, *words: str) -> Result:
    """Run the command line of a service."""
    group: click.Group = cli.commands("notes-svc", settings=Settings, migrations=migrations)
    return CliRunner().invoke(group, words)


def test_serve(migrations: Path, served: list[dict[str, Any]]) -> None:
    """The factory by its name, where the user said; logs and headers are ours."""
    assert call(migrations, "serve", "--port", "8003").exit_code == 0
    (told,) = served
    assert (told["app"], told["factory"]) == ("notes_svc.app:create_app", True)
    assert (told["host"], told["port"], told["workers"]) == ("127.0.0.1", 8003, 1)
    assert (told["served"], told["folder"]) == ("yes", None)
    assert (told["access_log"], told["log_config"], told["server_header"], told["proxy_headers"]) == (
        False,
        None,
        False,
        False,
    )
    assert told["timeout_graceful_shutdown"] == 10


def test_settings_are_shown_without_their_secrets(
    migrations: Path, served: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each as its variable would be written, with where it comes from; nothing is served."""
    (tmp_path / "login").write_text("ann:geheim")
    monkeypatch.setenv("DOCS_LOGIN_FILE", str(tmp_path / "login"))
    monkeypatch.setenv("CORS_ORIGINS", "https://a.example,https://b.example")
    result = call(migrations, "serve", "--print-config")
    assert (result.exit_code, served) == (0, [])
    lines = result.output.splitlines()
    assert len(lines) == len(msgspec.structs.fields(Settings))
    assert lines[:2] == [
        "DATABASE_URL=postgresql://***@127.0.0.1:1/db  # environment",
        "REDIS_URL=redis://127.0.0.1:1  # environment",
    ]
    assert "CORS_ORIGINS=https://a.example,https://b.example  # environment" in lines
    assert "ACCESS_LOG=true  # default" in lines
    assert "DOCS_LOGIN=***  # file" in lines
    assert "geheim" not in result.output


def test_several_workers_share_their_metrics(migrations: Path, served: list[dict[str, Any]]) -> None:
    """In a folder that lives as long as they do."""
    assert call(migrations, "serve", "--port", "8003", "--host", "0.0.0.0", "--workers", "3").exit_code == 0
    (told,) = served
    assert (told["host"], told["workers"], told["there"]) == ("0.0.0.0", 3, True)
    assert not Path(told["folder"]).exists()


@pytest.mark.parametrize("words", [["serve", "--port", "8003"], ["migrate"]])
def test_wrong_setting_is_one_line_and_code_2(
    migrations: Path,
    monkeypatch: pytest.MonkeyPatch,
    served: list[dict[str, Any]],
    words: list[str],
) -> None:
    """No traceback, no value, nothing started."""
    monkeypatch.setenv("DATABASE_URL", "mysql://ann:geheim@h/db")
    result = call(migrations, *words)
    assert result.exit_code == 2
    assert result.stderr == "notes-svc: DATABASE_URL must look like postgresql://host:port\n"
    assert (result.stdout, served) == ("", [])


@pytest.mark.parametrize(
    "words",
    [
        ["serve"],
        ["serve", "--port", "0"],
        ["serve", "--port", "65536"],
        ["serve", "--port", "x"],
        ["serve", "--port", "8003", "--workers", "0"],
        ["fly"],
    ],
)
def test_wrong_words_are_explained(migrations: Path, served: list[dict[str, Any]], words: list[str]) -> None:
    """Usage and what is wrong, code 2."""
    result = call(migrations, *words)
    assert result.exit_code == 2
    assert result.stderr.startswith("Usage: notes-svc")
    assert served == []


def test_help_names_the_commands(migrations: Path) -> None:
    """Without a word of documentation."""
    told = call(migrations, "--help").stdout
    assert "Run and migrate notes-svc" in told
    assert "Answer requests until SIGTERM." in told
    assert "Bring the database up to date." in told


async def test_migrate(migrations: Path, monkeypatch: pytest.MonkeyPatch, postgres_server: TestPostgres) -> None:
    """It needs the database alone, past a pooler if there is one, and does it twice without harm."""
    name = f"cli_{uuid4().hex}"
    dsn = await postgres_server.create_database(name)
    monkeypatch.delenv("REDIS_URL")
    pooled = {"DATABASE_URL": "postgresql://127.0.0.1:1/db", "DATABASE_POOLER": "transaction"}
    for variables in ({"DATABASE_URL": dsn}, pooled | {"DATABASE_DIRECT_URL": dsn}):
        for variable, value in variables.items():
            monkeypatch.setenv(variable, value)
        result = await asyncio.to_thread(call, migrations, "migrate")
        assert (result.exit_code, result.output) == (0, "")
    connection = await asyncpg.connect(dsn)
    assert await connection.fetchval("SELECT to_regclass('things')::text") == "things"
    await connection.close()
    await postgres_server.drop_database(name)


async def test_migrate_says_where_nobody_is(migrations: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line names the variable whose address it took."""
    monkeypatch.setenv("DATABASE_DIRECT_URL", "postgresql://127.0.0.1:2/db")
    result = await asyncio.to_thread(call, migrations, "migrate")
    assert result.exit_code == 1
    assert result.stderr.startswith("notes-svc: DATABASE_DIRECT_URL: the database cannot be reached")


async def test_migrate_without_a_database_is_one_line(migrations: Path) -> None:
    """PostgreSQL away: one clear line and a code that is not 0, not a traceback."""
    result = await asyncio.to_thread(call, migrations, "migrate")
    assert result.exit_code == 1
    assert result.stderr.startswith("notes-svc: ")
    assert result.stderr.count("\n") == 1
    assert "geheim" not in result.output
