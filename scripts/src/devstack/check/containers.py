"""What runs the services elsewhere, judged by the programs that would read it: hadolint, Compose, Caddy, kubectl."""

import tempfile
from pathlib import Path

from devstack.check.tools import output_if_failed
from devstack.secrets import filled

RECIPE = "docker/Dockerfile"
COMPOSE = "docker/compose.yaml"
GATEWAY = "docker/gateway/Caddyfile"
MANIFESTS = "docker/kubernetes"


def containers(root: Path) -> list[str]:
    """All of `docker/`."""
    return [
        *output_if_failed(root, "hadolint", "--no-color", RECIPE),
        *compose(root),
        *output_if_failed(root, "caddy", "fmt", "--diff", GATEWAY),
        *output_if_failed(root, "caddy", "adapt", "--config", GATEWAY, USER_UPSTREAMS="u:1", TODO_UPSTREAMS="t:1 t:2"),
        *(line for folder in kustomized(root) for line in output_if_failed(root, "kubectl", "kustomize", str(folder))),
    ]


def kustomized(root: Path) -> list[Path]:
    """What may be given to `kubectl apply -k`: each kind of cluster, and examples of stores."""
    return sorted(path.parent for path in (root / MANIFESTS).glob("*/*/kustomization.yaml"))


def compose(root: Path) -> list[str]:
    """The compose file, with what `./scripts/secrets` would write and with every profile."""
    with tempfile.TemporaryDirectory() as folder:
        variables = Path(folder, "env")
        variables.write_text(filled((root / "docker/env.example").read_text(encoding="utf-8")), encoding="utf-8")
        words = ["--file", COMPOSE, "--env-file", str(variables), "--profile", "*", "config", "--quiet"]
        return output_if_failed(root, "docker-compose", *words)
