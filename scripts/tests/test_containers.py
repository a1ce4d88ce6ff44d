"""What starts the services elsewhere: the compose file, its secrets, the images' recipe."""

import json
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from common.auth import KeyRing
from devstack import images, secrets
from devstack.check import containers
from devstack.places import ROOT
from devstack.processes import StackError

COMPOSE = (ROOT / "docker/compose.yaml").read_text()
SERVICES = ("user-svc", "todo-svc")


@pytest.fixture(scope="module")
def composed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The compose file as the real Compose reads it, with every profile and secrets of its own."""
    file = tmp_path_factory.mktemp("compose") / "env"
    assert secrets.main([str(file)]) == 0
    told: dict[str, Any] = json.loads(compose(file).stdout)
    return told


def compose(variables: Path) -> "subprocess.CompletedProcess[str]":
    """`docker compose config` with these variables and no others."""
    words = ["--file", str(ROOT / containers.COMPOSE), "--env-file", str(variables), "--profile", "*"]
    command = [str(Path(sys.executable).with_name("docker-compose")), *words, "config", "--format", "json"]
    return subprocess.run(command, env={}, capture_output=True, text=True, timeout=30, check=False)


class TestSecrets:
    """`./scripts/secrets`."""

    def test_each_is_made(self, tmp_path: Path) -> None:
        """No name is left empty, no two are alike, and the key signs."""
        secrets.main([str(tmp_path / "env")])
        lines = (tmp_path / "env").read_text().splitlines()
        made = dict(line.split("=", 1) for line in lines if re.match(r"[A-Z_]+=", line))
        passwords = [value for name, value in made.items() if name.endswith("_PASSWORD")]
        assert len(set(passwords)) == len(passwords) == 5
        assert min(map(len, passwords)) >= 48
        assert KeyRing.parse(made["JWT_KEYS"]).signing[0] == "k1"
        assert "" not in made.values()

    def test_only_its_owner_reads_it(self, tmp_path: Path) -> None:
        """From the first moment on."""
        secrets.main([str(tmp_path / "env")])
        assert stat.S_IMODE((tmp_path / "env").stat().st_mode) == 0o600

    def test_none_is_made_anew(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """What runs knows the old ones; and none is printed."""
        secrets.main([str(tmp_path / "env")])
        before = (tmp_path / "env").read_text()
        with pytest.raises(StackError, match="is there already"):
            secrets.main([str(tmp_path / "env")])
        assert (tmp_path / "env").read_text() == before
        assert not re.search(r"[0-9a-f]{48}|k1:", capsys.readouterr().out)

    def test_a_folder_that_is_not_there(self, tmp_path: Path) -> None:
        """One line that says so."""
        with pytest.raises(StackError, match="cannot be written: No such file"):
            secrets.main([str(tmp_path / "gone" / "env")])


class TestCompose:
    """docker/compose.yaml."""

    def test_no_secret_has_a_default(self, tmp_path: Path) -> None:
        """Without docker/.env nothing starts, and every name is told."""
        (tmp_path / "none").touch()
        refused = compose(tmp_path / "none")
        assert refused.returncode != 0
        for name in secrets.EMPTY.findall(secrets.EXAMPLE.read_text()):
            assert f"{name} is missing a value: run ./scripts/secrets" in refused.stderr

    def test_the_example_knows_every_variable(self) -> None:
        """And no other."""
        asked = set(re.findall(r"\$\{([A-Z_]+)", COMPOSE))
        example = (ROOT / "docker/env.example").read_text()
        assert set(re.findall(r"^(?:# )?([A-Z_]+)=", example, re.MULTILINE)) == asked | {"COMPOSE_PROFILES"}

    @pytest.mark.parametrize("name", SERVICES)
    def test_a_service_is_confined(self, composed: dict[str, Any], name: str) -> None:
        """No writable disk but a temporary one, no capability, no way to the outside; and time to end in."""
        service = composed["services"][name]
        assert service["read_only"] is True
        assert (service["cap_drop"], service["security_opt"]) == (["ALL"], ["no-new-privileges:true"])
        assert "ports" not in service
        assert int(service["stop_grace_period"].rstrip("s")) > int(service["environment"]["DRAIN_SECONDS"]) + 10
        assert service["depends_on"][f"{name}-migrate"]["condition"] == "service_completed_successfully"

    def test_every_process_is_behind_the_gateway(self, composed: dict[str, Any]) -> None:
        """As many as there are."""
        told = composed["services"]["gateway"]["environment"]
        for name in SERVICES:
            replicas = composed["services"][name]["deploy"]["replicas"]
            expected = [f"{composed['name']}-{name}-{number}:8000" for number in range(1, replicas + 1)]
            assert told[f"{name.split('-', maxsplit=1)[0].upper()}_UPSTREAMS"].split() == expected

    def test_nothing_is_published_to_the_world(self, composed: dict[str, Any]) -> None:
        """Unless the person who runs it says so."""
        ports = [port for service in composed["services"].values() for port in service.get("ports", [])]
        assert {port["host_ip"] for port in ports} == {"127.0.0.1"}


class TestImages:
    """`./scripts/images`."""

    def test_every_service_is_built(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """By the engine that is there, from the project's root, with the options given."""
        engine = tmp_path / "podman"
        engine.write_text(f'#!/bin/sh\necho "$PWD $*" >> {tmp_path}/told\n')
        engine.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))
        assert images.main(["--tag", "1", "--", "--pull-never"]) == 0
        told = (tmp_path / "told").read_text().splitlines()
        assert [re.findall(r"SERVICE=(\S+)", line) for line in told] == [["todo-svc"], ["user-svc"]]
        assert all(line.startswith(f"{ROOT} build --format=docker") for line in told)
        assert all(line.endswith("-svc:1 --pull-never .") for line in told)

    def test_without_an_engine(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """One line that says what is missing."""
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(StackError, match="docker, podman, buildah"):
            images.main([])

    def test_a_build_that_fails(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Names the service; the next one is not begun."""
        monkeypatch.setitem(images.ENGINES, "docker", ["false"])
        with pytest.raises(StackError, match="docker could not build todo-svc"):
            images.main(["--engine", "docker"])


def test_the_check_passes() -> None:
    """The programs of the field find nothing."""
    assert containers.containers(ROOT) == []


@pytest.mark.parametrize(
    ("name", "old", "new", "says"),
    [
        (containers.RECIPE, "pip install", "cd /x && pip install", "DL3003"),
        (containers.COMPOSE, "service_healthy", "service_well", "condition value must be one of"),
        (containers.GATEWAY, "max_size", "max_syze", "unrecognized request_body"),
        (containers.GATEWAY, "\tadmin off", "  admin off", "admin off"),
    ],
)
def test_the_check_finds(tmp_path: Path, name: str, old: str, new: str, says: str) -> None:
    """What is wrong in any of the files."""
    for file in (containers.RECIPE, containers.COMPOSE, containers.GATEWAY, "docker/env.example"):
        copy = tmp_path / file
        copy.parent.mkdir(parents=True, exist_ok=True)
        text = (ROOT / file).read_text()
        copy.write_text(text.replace(old, new) if file == name else text)
    assert says in "\n".join(containers.containers(tmp_path))
