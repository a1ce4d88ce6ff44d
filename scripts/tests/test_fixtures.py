"""The fixtures of the whole repository, with the real services."""

import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from devstack import fixtures
from devstack.fixtures import DatabaseFactory, RunningStack
from devstack.probes import http_status
from devstack.up import demo, report


@pytest.mark.parametrize("service", ["user_svc", "todo_svc"])
async def test_database_is_migrated_and_fresh(database: DatabaseFactory, service: str) -> None:
    """It has the service's tables, and each call gives another one."""
    first, second = await database(service), await database(service)
    assert first != second
    connection = await asyncpg.connect(first)
    tables = await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
    await connection.close()
    assert tables > 1


def test_folder_in_memory_ends_with_its_run(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is gone after its use, and after a kill at the latest with the next run; others' are left alone."""
    monkeypatch.setattr(fixtures, "MEMORY", tmp_path)
    with subprocess.Popen(["true"]) as ended:
        pass
    killed, living = (tmp_path / f"{fixtures.OURS}{pid}-x" for pid in (ended.pid, os.getpid()))
    killed.mkdir()
    living.mkdir()
    with fixtures.quick_folder(tmp_path_factory, "postgres") as folder:
        assert folder.parent == tmp_path
        assert not killed.exists()
    assert list(tmp_path.iterdir()) == [living]


def test_folder_is_on_disk_where_memory_is_small(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container with its 64 MB of it."""
    monkeypatch.setattr(fixtures, "MEMORY", tmp_path)
    monkeypatch.setattr(fixtures, "PLENTY", sys.maxsize)
    with fixtures.quick_folder(tmp_path_factory, "postgres") as folder:
        assert folder.is_relative_to(tmp_path_factory.getbasetemp())


@pytest.mark.e2e
@pytest.mark.xdist_group("stack")
def test_stack_is_whole_again(stack: RunningStack) -> None:
    """After the kill of every piece, `restore` brings all back to ready at the same addresses."""
    for name in ("postgres", "redis", "user-svc", "todo-svc"):
        stack.kill(name)
    stack.restore()
    for url in (stack.user_url, stack.todo_url):
        assert http_status(urlsplit(url).port or 0, "/health/ready") == 200


@pytest.mark.e2e
@pytest.mark.xdist_group("stack")
def test_line_to_paste_works_as_it_stands(stack: RunningStack) -> None:
    """The demo user's list is what the printed pipeline shows."""
    ports = [urlsplit(url).port or 0 for url in (stack.user_url, stack.todo_url)]
    for _ in range(2):  # a second time changes nothing
        demo.seed(ports[0], ports[1])
    line = report.try_it(stack.todo_url)
    shown = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True).stdout
    assert shown.count(demo.LIST["title"]) == 1
