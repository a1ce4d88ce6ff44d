"""`./scripts/images`: the image of every service, by whichever engine is there."""

import argparse
import shutil
import subprocess
from pathlib import Path

from devstack.check.tree import services
from devstack.places import ROOT
from devstack.processes import StackError

# Podman's own format knows no HEALTHCHECK.
ENGINES = {
    "docker": ["docker", "build"],
    "podman": ["podman", "build", "--format=docker"],
    "buildah": ["buildah", "build", "--format=docker"],
}


def main(argv: list[str]) -> int:
    """Build them in turn; 0 when all are there."""
    parser = argparse.ArgumentParser("./scripts/images", description="Build gatehouse/NAME for every service.")
    parser.add_argument("--engine", choices=ENGINES, help="the first of these that is installed")
    parser.add_argument("--tag", default="latest", help="the images' tag (latest)")
    parser.add_argument("option", nargs="*", help="behind --: options for the engine's build")
    chosen = parser.parse_args(argv)
    engine = chosen.engine or installed()
    for service in services(ROOT):
        command = build(engine, service, chosen.tag, chosen.option)
        if subprocess.run(command, cwd=ROOT, check=False).returncode:
            raise StackError(f"{engine} could not build {service}")
    return 0


def installed() -> str:
    """The engine to build with.

    Raises:
        StackError: none is installed.

    """
    for engine in ENGINES:
        if shutil.which(engine):
            return engine
    raise StackError(f"no engine is installed; one of {', '.join(ENGINES)} is needed")


def build(engine: str, service: str, tag: str, options: list[str]) -> list[str]:
    """The command that builds a service's image from the project's root."""
    recipe = Path("docker/Dockerfile")
    ignore = [] if engine == "docker" else [f"--ignorefile={recipe}.dockerignore"]
    what = [f"--file={recipe}", f"--build-arg=SERVICE={service}", f"--tag=gatehouse/{service}:{tag}"]
    return [*ENGINES[engine], *ignore, *what, *options, "."]
