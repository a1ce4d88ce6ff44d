"""A third service, built from ARCHITECTURE.md's page as a reader would, behind the same door as its sisters."""

import asyncio
import importlib
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from litestar import Litestar
from redis.asyncio import Redis

from common.auth.standing import key
from common.http import lean
from common.settings import load
from common.testing import client_of, random_keys, session_of
from devstack.fixtures import DatabaseFactory
from user_svc.app import create_app as create_user_app
from user_svc.settings import Settings as UserSettings

PAGE = Path(__file__).parents[2] / "ARCHITECTURE.md"
BLOCK = re.compile(r"^`(notes-svc/\S+)`\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CREDENTIALS = {"email": "ann@example.com", "password": "correct-horse-battery"}


@pytest.fixture
def files() -> dict[str, str]:
    """The files that the page shows: each name stands right above its text."""
    return dict(BLOCK.findall(PAGE.read_text(encoding="utf-8")))


@pytest.fixture
def variables(redis_url: str) -> dict[str, str]:
    """What all services of this installation are told."""
    return {
        "DATABASE_URL": "postgresql://127.0.0.1:1/notes_svc",
        "REDIS_URL": redis_url,
        "JWT_KEYS": random_keys(),
        "USER_SVC_URL": "http://user.test",
        "LOG_LEVEL": "ERROR",
    }


@pytest.fixture
async def user_app(variables: dict[str, str], database: DatabaseFactory, monkeypatch: pytest.MonkeyPatch) -> Litestar:
    """The real user-svc; whoever would open a socket to it finds it in this process."""
    cheap = {"ARGON2_MEMORY_KIB": "8", "ARGON2_PASSES": "1", "DATABASE_URL": await database("user_svc")}
    app = create_user_app(load(UserSettings, variables | cheap))
    monkeypatch.setattr(lean, "transport_to", lambda _url: httpx.ASGITransport(app))  # type: ignore[arg-type]
    return app


@pytest.fixture
def notes_app(
    files: dict[str, str], variables: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Litestar]:
    """The service of the page, its files written down and installed as they are, built from the environment."""
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    _install(tmp_path / "notes-svc")
    monkeypatch.syspath_prepend(tmp_path / "notes-svc/src")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    yield importlib.import_module("notes_svc.app").create_app()
    for name in [name for name in sys.modules if name.partition(".")[0] == "notes_svc"]:
        del sys.modules[name]


def _install(project: Path) -> None:
    """Leave what an editable install leaves: the project's name and version, where Python looks for them."""
    about = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    folder = project / f"src/notes_svc-{about['version']}.dist-info"
    folder.mkdir()
    metadata = f"Metadata-Version: 2.1\nName: {about['name']}\nVersion: {about['version']}\n"
    (folder / "METADATA").write_text(metadata, encoding="utf-8")


async def _log_in(user_svc: httpx.AsyncClient) -> str:
    """Ann's token; she registers first."""
    assert (await user_svc.post("/auth/register", json=CREDENTIALS)).status_code == 201
    form = {"username": CREDENTIALS["email"], "password": CREDENTIALS["password"]}
    return str((await user_svc.post("/auth/jwt/login", data=form)).json()["access_token"])


async def _ended(service: httpx.AsyncClient, token: dict[str, str]) -> httpx.Response:
    """The first refusal, within the second that the design allows."""
    async with asyncio.timeout(1):
        while (answer := await service.get("/notes", headers=token)).status_code == 200:
            continue
    return answer


def test_small(files: dict[str, str]) -> None:
    """The whole service is one file of under 25 lines beside its project file and its package's name."""
    expected = ["notes-svc/pyproject.toml", "notes-svc/src/notes_svc/__init__.py", "notes-svc/src/notes_svc/app.py"]
    assert list(files) == expected
    assert len(files["notes-svc/src/notes_svc/app.py"].splitlines()) < 25


async def test_same_door(user_app: Litestar, notes_app: Litestar) -> None:
    """401 without a token, the caller's notes with user-svc's own, and 401 once the caller has logged out there."""
    async with client_of(user_app) as user_svc, client_of(notes_app) as notes_svc:
        assert (await notes_svc.get("/notes")).status_code == 401
        token = {"Authorization": f"Bearer {await _log_in(user_svc)}"}
        ann = (await user_svc.get("/me", headers=token)).json()
        answer = await notes_svc.get("/notes", headers=token)
        assert (answer.status_code, answer.json()) == (200, {ann["id"]: ["call the plumber"]})
        assert (await user_svc.post("/auth/jwt/logout", headers=token)).status_code == 204
        assert 'error="invalid_token"' in (await _ended(notes_svc, token)).headers["WWW-Authenticate"]


async def test_asks_user_svc(user_app: Litestar, notes_app: Litestar, redis_url: str) -> None:
    """A session that Redis has forgotten is asked about at user-svc, with the caller's own token."""
    async with client_of(user_app) as user_svc, client_of(notes_app) as notes_svc, Redis.from_url(redis_url) as redis:
        token = await _log_in(user_svc)
        await redis.delete(key(session_of(token)))
        answer = await notes_svc.get("/notes", headers={"Authorization": f"Bearer {token}"})
        assert (answer.status_code, answer.headers["X-Auth-Source"]) == (200, "user-svc")


async def test_what_comes_with_it(notes_app: Litestar) -> None:
    """Health, documentation, metrics and problem+json are there though the page's file names none of them."""
    async with client_of(notes_app) as notes_svc:
        for path in ("/health/live", "/health/ready", "/docs", "/openapi.json", "/metrics"):
            assert (await notes_svc.get(path)).status_code == 200, path
        missing = await notes_svc.get("/nothing")
        assert (missing.status_code, missing.headers["Content-Type"]) == (404, "application/problem+json")
