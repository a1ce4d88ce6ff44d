"""The manifests, as kubectl renders them: what each pod may, and what happens to it."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from common.settings import Settings
from common.values import RedisUrl
from devstack.check import containers
from devstack.places import ROOT

Manifest = dict[str, Any]
SERVICES = ("user-svc", "todo-svc")
DEPLOYED = (*SERVICES, "gateway")


def render(folder: str) -> list[Manifest]:
    """All objects of an overlay, or of an example."""
    command = [str(Path(sys.executable).with_name("kubectl")), "kustomize", str(ROOT / containers.MANIFESTS / folder)]
    text = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
    return [msgspec.yaml.decode(part) for part in text.split("\n---\n")]


@pytest.fixture(scope="module")
def production() -> list[Manifest]:
    """What runs for others."""
    return render("overlays/production")


@pytest.fixture(scope="module")
def dev() -> list[Manifest]:
    """What runs on one's own machine."""
    return render("overlays/dev")


@pytest.fixture(scope="module")
def sentinel() -> list[Manifest]:
    """The example of a Valkey that outlives its master."""
    return render("examples/valkey-sentinel")


@pytest.fixture(scope="module")
def pooled() -> list[Manifest]:
    """The example of a pooler before PostgreSQL."""
    return render("examples/pooler")


def of(manifests: list[Manifest], kind: str, name: str | None = None) -> list[Manifest]:
    """Those of a kind, or one of them."""
    found = [each for each in manifests if each["kind"] == kind and name in (None, each["metadata"]["name"])]
    assert found, f"no {kind} {name or ''}"
    return found


def pods(manifests: list[Manifest]) -> Iterator[tuple[str, Manifest]]:
    """Each pod there will be, by the name of what makes it."""
    for each in manifests:
        if each["kind"] in {"Deployment", "StatefulSet", "Job"}:
            yield each["metadata"]["name"], each["spec"]["template"]["spec"]


def test_every_pod_is_confined(production: list[Manifest], sentinel: list[Manifest]) -> None:
    """As the cluster's own `restricted` standard asks, and with nothing to write to."""
    (namespace,) = of(production, "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for name, pod in [*pods(production), *pods(sentinel)]:
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert pod["automountServiceAccountToken"] is False, name
        for container in pod["containers"]:
            context = container["securityContext"]
            assert (context["allowPrivilegeEscalation"], context["readOnlyRootFilesystem"]) == (False, True), name
            assert context["capabilities"]["drop"] == ["ALL"], name
            assert "memory" in container["resources"]["limits"], name


@pytest.mark.parametrize("name", DEPLOYED)
def test_a_pod_is_asked_how_it_is(production: list[Manifest], name: str) -> None:
    """Traffic follows readiness; only a process that does not answer at all is killed."""
    (container,) = of(production, "Deployment", name)[0]["spec"]["template"]["spec"]["containers"]
    assert container["livenessProbe"]["httpGet"]["path"] in {"/health/live", "/health"}
    assert container["readinessProbe"]["httpGet"]["path"] in {"/health/ready", "/health"}
    assert container["livenessProbe"].get("periodSeconds") > container["readinessProbe"]["periodSeconds"]


@pytest.mark.parametrize("name", SERVICES)
def test_a_pod_may_end_in_peace(production: list[Manifest], name: str) -> None:
    """There is time to drain and for the requests under way; a new one is ready before an old one goes."""
    spec = of(production, "Deployment", name)[0]["spec"]
    (settings,) = (
        each["data"] for each in of(production, "ConfigMap") if each["metadata"]["name"].startswith("services")
    )
    assert spec["template"]["spec"]["terminationGracePeriodSeconds"] >= int(settings["DRAIN_SECONDS"]) + 10
    assert spec["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    assert set(settings) <= {field.name.upper() for field in msgspec.structs.fields(Settings)}


@pytest.mark.parametrize("name", DEPLOYED)
def test_there_are_always_some(production: list[Manifest], name: str) -> None:
    """More under load, and never all away at once."""
    scaler, budget = of(production, "HorizontalPodAutoscaler", name)[0], of(production, "PodDisruptionBudget", name)[0]
    assert 2 <= scaler["spec"]["minReplicas"] < scaler["spec"]["maxReplicas"]
    assert scaler["spec"]["scaleTargetRef"]["name"] == name
    assert budget["spec"]["maxUnavailable"] == 1
    assert of(production, "Deployment", name)[0]["spec"]["replicas"] >= 2


def test_postgresql_bears_all_that_there_may_be(production: list[Manifest]) -> None:
    """The pools of the most pods, a release's one more included, fit into the example's `max_connections`."""
    (settings,) = (
        each["data"] for each in of(production, "ConfigMap") if each["metadata"]["name"].startswith("services")
    )
    pool = int(settings["DATABASE_POOL_SIZE"])
    most = {name: of(production, "HorizontalPodAutoscaler", name)[0]["spec"]["maxReplicas"] + 1 for name in SERVICES}
    example = (ROOT / "docker/kubernetes/examples/cloudnative-pg.yaml").read_text()
    allowed = int(re.findall(r'max_connections: "(\d+)"', example)[0])
    assert most["user-svc"] * (2 * pool + 3) + most["todo-svc"] * pool < allowed


def test_who_may_reach_whom(production: list[Manifest]) -> None:
    """todo-svc its stores and user-svc, nobody else; user-svc is reached by todo-svc and the gateway alone."""
    rules = {each["metadata"]["name"]: each["spec"] for each in of(production, "NetworkPolicy")}
    assert rules["nothing-unless-said"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert list(reached(rules["todo-svc"]["egress"])) == ["user-svc 8000", "postgres 5432", "valkey 6379"]
    assert list(reached(rules["user-svc"]["ingress"])) == ["gateway 8000", "todo-svc 8000"]
    assert list(reached(rules["todo-svc"]["ingress"])) == ["gateway 8000"]
    assert list(reached(rules["gateway"]["egress"])) == ["user-svc 8000", "todo-svc 8000"]


def reached(rules: list[Manifest]) -> Iterator[str]:
    """Who stands at the other end of each rule, and the port."""
    for rule in rules:
        for peer in rule.get("to") or rule["from"]:
            [label] = peer["podSelector"]["matchLabels"].values()
            yield f"{label} {rule['ports'][0]['port']}"


@pytest.mark.parametrize("overlay", ["dev", "production", "sentinel", "pooled"])
def test_no_secret_has_a_value(overlay: str, request: pytest.FixtureRequest) -> None:
    """Secrets are named, never written; the services read them as files, that no `env` shows."""
    manifests: list[Manifest] = request.getfixturevalue(overlay)
    assert "Secret" not in {each["kind"] for each in manifests}
    for name, pod in pods(manifests):
        for container in pod["containers"]:
            given = {each["name"]: each.get("value") for each in container.get("env", [])}
            secret = {key for key in given if re.search(r"KEYS$|_URL$|PASSWORD$", key) and given[key]}
            assert secret <= {"USER_SVC_URL", "PUBLIC_URL"}, name
            files = [value for key, value in given.items() if key.endswith("_FILE")]
            assert all(str(value).startswith("/run/secrets/gatehouse/") for value in files), name


@pytest.mark.parametrize("overlay", ["dev", "production", "sentinel", "pooled"])
def test_every_name_leads_somewhere(overlay: str, request: pytest.FixtureRequest) -> None:
    """Selectors find their pods, services their ports, pods their files."""
    manifests: list[Manifest] = request.getfixturevalue(overlay)
    made = [each["spec"] for each in manifests if each["kind"] in {"Deployment", "StatefulSet"}]
    labels = [each["template"]["metadata"]["labels"] for each in made]
    for service in of(manifests, "Service"):
        assert any(service["spec"]["selector"].items() <= found.items() for found in labels), service["metadata"]
    there = {each["metadata"]["name"] for each in of(manifests, "ConfigMap")}
    for name, pod in pods(manifests):
        named = {volume["configMap"]["name"] for volume in pod.get("volumes", []) if "configMap" in volume}
        assert named <= there, name


def test_sentinels_outnumber_a_loss(sentinel: list[Manifest]) -> None:
    """Three pods, of which one may leave at a time; the address in the file's head names each, and is reached."""
    spec = of(sentinel, "StatefulSet", "valkey")[0]["spec"]
    assert (spec["replicas"], spec["serviceName"], spec["podManagementPolicy"]) == (3, "valkey", "Parallel")
    assert of(sentinel, "PodDisruptionBudget", "valkey")[0]["spec"]["maxUnavailable"] == 1
    head = (ROOT / containers.MANIFESTS / "examples/valkey-sentinel/kustomization.yaml").read_text()
    url = RedisUrl.parse(re.findall(r"redis\+sentinel://\S+", head)[0])
    given = [
        {each["name"]: each.get("value") for each in part["env"]} for part in spec["template"]["spec"]["containers"]
    ]
    assert [values["SENTINELS"].split() for values in given] == [url.hosts] * 2
    assert url.hosts == [f"valkey-{number}.valkey:26379" for number in range(3)]
    (asked,) = of(sentinel, "NetworkPolicy", "sentinels-are-asked")
    assert list(reached(asked["spec"]["egress"])) == ["valkey 26379"]
    assert asked["spec"]["podSelector"]["matchExpressions"][0]["values"] == list(SERVICES)
    (store,) = of(sentinel, "NetworkPolicy", "valkey")
    assert list(reached(store["spec"]["egress"])) == ["valkey 6379"]
    assert list(reached(store["spec"]["ingress"])) == ["valkey 6379", "user-svc 6379", "todo-svc 6379"]


def test_migrations_come_first(production: list[Manifest]) -> None:
    """A job for each service that has only its database's address, and may be picked out by a label."""
    for name in SERVICES:
        (job,) = of(production, "Job", f"{name}-migrate")
        assert job["metadata"]["labels"]["app.kubernetes.io/component"] == "migration"
        (volume,) = job["spec"]["template"]["spec"]["volumes"]
        assert [item["key"] for item in volume["secret"]["items"]] == ["DATABASE_URL"]
        (container,) = job["spec"]["template"]["spec"]["containers"]
        assert container["command"] == [name, "migrate"]
        assert (
            container["image"]
            == of(production, "Deployment", name)[0]["spec"]["template"]["spec"]["containers"][0]["image"]
        )


def test_a_pooler_is_gone_past(pooled: list[Manifest]) -> None:
    """Who serves is told of it; whoever serves or migrates has PostgreSQL's own address, as a file."""
    (settings,) = (each["data"] for each in of(pooled, "ConfigMap") if each["metadata"]["name"].startswith("services"))
    assert (settings["DATABASE_POOLER"], settings["DATABASE_POOL_SIZE"]) == ("transaction", "5")
    assert of(pooled, "Pooler")[0]["spec"]["pgbouncer"]["poolMode"] == settings["DATABASE_POOLER"]
    found = dict(pods(pooled))
    for name in (*SERVICES, *(f"{name}-migrate" for name in SERVICES)):
        (container,) = found[name]["containers"]
        given = {each["name"]: each["value"] for each in container["env"]}
        assert given["DATABASE_DIRECT_URL_FILE"] == "/run/secrets/gatehouse/DATABASE_DIRECT_URL"
        (volume,) = found[name]["volumes"]
        items = [item["key"] for item in volume["secret"].get("items", [])]
        assert items == (["DATABASE_URL", "DATABASE_DIRECT_URL"] if "migrate" in name else [])


def test_dev_is_small(dev: list[Manifest]) -> None:
    """One of each, nothing that grows, and stores of its own."""
    assert {each["spec"].get("replicas", 1) for each in of(dev, "Deployment")} == {1}
    assert {"HorizontalPodAutoscaler", "PodDisruptionBudget"}.isdisjoint(each["kind"] for each in dev)
    assert of(dev, "Service", "postgres")
    assert of(dev, "Service", "valkey")
