"""The resource graph of a release on the local cloud."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pulumi
import pytest

from components.shares import Share, traffic_shares
from contract.settings import ReleaseSettings
from tests.unit.components.graphs import in_component
from tests.unit.conftest import IMAGE_DIGEST

Declare = Callable[..., Any]
DIGEST = "sha256:" + "cd" * 32
PINNED = f"localhost:5001/addressbook@{DIGEST}"
BUILT = f"localhost:5001/addressbook@{IMAGE_DIGEST}"


def jobs(graph: Any) -> dict[str, Any]:
    return {job.name: job for job in graph.all("Job")}


def aliases(resource: Any) -> set[str]:
    """Return the resource's other names in the state."""
    return {
        name
        for alias in resource.options.aliases
        if (name := alias.spec.name or alias.urn.rpartition("::")[2]) not in ("", resource.name)
    }


def test_a_canary_does_not_change_stable(declare: Declare):
    before = {r.urn: r.inputs for r in declare().resources}
    after = {r.urn: r.inputs for r in declare(canaryImage="source", canaryReplicas=2).resources}
    assert {urn: after[urn] for urn in before} == before
    added = {urn.rsplit("::", 1)[1] for urn in after.keys() - before.keys()}
    config = next(name for name in added if name.startswith("addressbook-canary-config-"))
    assert added == {"canary", "addressbook-canary", config}


def test_each_image_migrates_once(declare: Declare):
    """Neither a promotion nor pinning a built image migrates; a canary migrates before its pods."""
    before = jobs(declare())
    assert before.keys() == {"addressbook-migrate-source"}
    trial = jobs(declare(stableImage=BUILT, canaryImage=PINNED, canaryReplicas=1))
    assert trial.keys() == {"addressbook-migrate-ababab", "addressbook-migrate-cdcdcd"}
    pinned = trial["addressbook-migrate-ababab"]
    spec = json.dumps(before["addressbook-migrate-source"].inputs["spec"])
    assert json.dumps(pinned.inputs["spec"]).replace("migrate-ababab", "migrate-source") == spec, (
        "but for a name that the alias keeps"
    )
    assert aliases(pinned) == {"addressbook-migrate-source"}
    assert aliases(trial["addressbook-migrate-cdcdcd"]) == set()
    promoted = jobs(declare(stableImage=PINNED))
    assert promoted.keys() == {"addressbook-migrate-cdcdcd"}
    assert promoted["addressbook-migrate-cdcdcd"].inputs == trial["addressbook-migrate-cdcdcd"].inputs
    assert promoted["addressbook-migrate-cdcdcd"].urn == trial["addressbook-migrate-cdcdcd"].urn


def test_an_image_that_ran_before_does_not_migrate_again(declare: Declare):
    """`rollback --to` notes it; another image still migrates."""
    note = {"migratedImage": DIGEST}
    graph = declare(stableImage=PINNED, **note)
    assert jobs(graph) == {}
    (deployment,) = graph.all("Deployment")
    assert not any("migrate" in urn for urn in deployment.dependencies)
    assert jobs(declare(stableImage=BUILT, **note)).keys() == {"addressbook-migrate-ababab"}
    assert jobs(declare(**note)).keys() == {"addressbook-migrate-source"}


def test_a_build_keeps_its_migration(declare: Declare):
    """Its name is in use, so another image's migration must not have it as an alias."""
    trial = jobs(declare(stableImage=PINNED, canaryImage="source", canaryReplicas=1))
    assert trial.keys() == {"addressbook-migrate-source", "addressbook-migrate-cdcdcd"}
    assert aliases(trial["addressbook-migrate-cdcdcd"]) == set()


def test_selectors_are_disjoint_and_follow_traffic(declare: Declare):
    for traffic, expected in (
        ("split", {"app": "addressbook"}),
        ("stable", {"app": "addressbook", "track": "stable"}),
        ("canary", {"app": "addressbook", "track": "canary"}),
    ):
        graph = declare(canaryImage=PINNED, canaryReplicas=1, traffic=traffic)
        selectors = {
            d.inputs["metadata"]["name"]: d.inputs["spec"]["selector"]["matchLabels"] for d in graph.all("Deployment")
        }
        assert selectors["addressbook-stable"] == {"app": "addressbook", "track": "stable"}
        assert selectors["addressbook-canary"] == {"app": "addressbook", "track": "canary"}
        public = graph.one("Service", "addressbook-lb")
        assert public.inputs["spec"]["selector"] == expected
        for deployment in graph.all("Deployment"):
            labels = deployment.inputs["spec"]["template"]["metadata"]["labels"]
            assert selectors[deployment.inputs["metadata"]["name"]].items() <= labels.items()


def test_no_service_selects_migration_pods(declare: Declare):
    graph = declare(canaryImage=PINNED, canaryReplicas=1)
    selectors = [service.inputs["spec"]["selector"] for service in graph.all("Service")]
    assert len(graph.all("Job")) == 2
    for job in graph.all("Job"):
        labels = job.inputs["spec"]["template"]["metadata"]["labels"]
        assert not any(selector.items() <= labels.items() for selector in selectors)


def test_stable_waits_for_canary_and_pods_for_migration(declare: Declare):
    graph = declare(canaryImage=PINNED, canaryReplicas=1)
    canary = graph.one("Deployment", "addressbook-canary")
    stable = graph.one("Deployment", "addressbook-stable")
    public = graph.one("Service", "addressbook-lb")
    assert canary.urn in stable.dependencies
    assert {canary.urn, stable.urn} <= set(public.dependencies)
    for deployment, job in ((canary, "addressbook-migrate-cdcdcd"), (stable, "addressbook-migrate-source")):
        assert graph.one("Job", job).urn in deployment.dependencies
    assert canary.urn in graph.one("Job", "addressbook-migrate-source").dependencies


def test_images_are_pinned_or_built_once(declare: Declare):
    graph = declare(canaryImage="source", canaryReplicas=1)
    built = graph.one("Image")
    assert built.inputs["build"]["context"] == "app", "the same from every checkout"
    assert built.inputs["build"]["dockerfile"] == "app/Dockerfile"
    assert built.inputs["buildOnPreview"] is False
    images = {
        container["image"]
        for deployment in graph.all("Deployment")
        for container in deployment.inputs["spec"]["template"]["spec"]["containers"]
    }
    assert images == {f"localhost:5001/addressbook@sha256:{'ab' * 32}"}
    assert not declare(stableImage=PINNED, canaryImage=PINNED, canaryReplicas=1).all("Image")


def test_a_preview_shows_the_whole_graph(declare: Declare):
    graph = declare(preview=True, canaryImage="source", canaryReplicas=1)
    assert len(graph.all("Deployment")) == 2


def test_secrets_stay_secret(declare: Declare):
    graph = declare(secretEnvironment={"TOKEN": "hunter2"}, secret_keys=("secretEnvironment",))
    params = graph.one("Secret", "db-params")
    assert set(params.inputs["data"]) >= {"DB_PASSWORD", "DB_HOST", "DB_USER", "DB_SCHEMA", "DB_SSL", "DB_PORT"}
    assert any(path == "data" or path.startswith("data.DB_PASSWORD") for path in params.secret_paths)
    for resource in graph.resources:
        text = repr(resource.inputs)
        if resource.type.endswith(":Secret"):
            assert any(path.startswith(("data", "stringData")) for path in resource.secret_paths), resource.urn
        else:
            assert "password of" not in text, resource.urn
            assert "hunter2" not in text, resource.urn


def test_pods_meet_the_restricted_standard(declare: Declare):
    graph = declare(canaryImage=PINNED, canaryReplicas=1)
    workloads = graph.all("Deployment") + graph.all("StatefulSet") + graph.all("Job")
    assert len(workloads) == 5
    for workload in workloads:
        pod = workload.inputs["spec"]["template"]["spec"]
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert set(container["resources"]) == {"requests", "limits"}
    namespace = graph.one("Namespace")
    assert namespace.inputs["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_a_rollout_keeps_capacity_and_has_a_deadline(declare: Declare):
    deployment = declare(stableReplicas=10).one("Deployment")
    spec = deployment.inputs["spec"]
    assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert spec["progressDeadlineSeconds"] == 120
    assert int(deployment.inputs["metadata"]["annotations"]["pulumi.com/timeoutSeconds"]) >= 120
    pod = spec["template"]["spec"]
    pause = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod["terminationGracePeriodSeconds"] > pause


def test_another_service(declare: Declare, tmp_path: Any):
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    graph = declare(
        service="shop",
        buildContext=str(tmp_path),
        port=8080,
        metricsPort=0,
        readinessPath="/healthz",
        migrateCommand=[],
        egressPorts=[443],
    )
    assert not graph.all("Job")
    pod = graph.one("Deployment", "shop-stable").inputs["spec"]["template"]["spec"]["containers"][0]
    assert pod["readinessProbe"]["httpGet"]["path"] == "/healthz"
    assert pod["ports"] == [{"name": "http", "containerPort": 8080}]
    assert graph.one("Image").inputs["imageName"].startswith("localhost:5001/shop:src-")
    policy = graph.one("NetworkPolicy", "shop").inputs["spec"]
    assert {"port": 443, "protocol": "TCP"} in policy["egress"][1]["ports"]
    assert policy["ingress"] == [{"ports": [{"port": port, "protocol": "TCP"} for port in ("http", 8080)]}]


def test_network_policies_name_and_number_ports(declare: Declare):
    """EKS' network plugin needs numbers. Names let pods serve on while new ones with another port replace them."""
    graph = declare(canaryImage=PINNED, canaryReplicas=1, canarySettings={"port": 4000, "metricsPort": 4001})
    (service,) = [each for each in graph.all("NetworkPolicy") if each.name == "network-policy"]
    public, metrics = service.inputs["spec"]["ingress"]
    assert [each["port"] for each in public["ports"]] == ["http", 3000, 4000]
    assert [each["port"] for each in metrics["ports"]] == ["metrics", 4001, 9464]
    for policy in graph.all("NetworkPolicy"):
        rules = [*policy.inputs["spec"].get("ingress", []), *policy.inputs["spec"].get("egress", [])]
        assert all(any(isinstance(port["port"], int | float) for port in rule["ports"]) for rule in rules)


def test_every_resource_has_a_parent_and_the_named_cluster(declare: Declare):
    graph = declare(canaryImage=PINNED, canaryReplicas=1)
    (provider,) = graph.all("kubernetes")
    assert provider.inputs["context"] == provider.inputs["clusterIdentifier"] == "kind-kind"
    for resource in graph.resources:
        if resource.type.startswith("kubernetes:"):
            assert resource.provider.startswith(provider.urn), resource.urn
        if resource.custom and not resource.type.endswith((":kubernetes", ":Namespace")):
            assert in_component(resource), resource.urn


def test_components_keep_the_resources_of_older_stacks(declare: Declare):
    components = [each for each in declare().resources if each.type.startswith("delivery:")]
    assert components
    for component in components:
        former = component.type.replace("delivery:", "addressbook:")
        assert any(
            former in (alias.spec.type, *alias.urn.split("$")[-1].split("::")) for alias in component.options.aliases
        )


def test_invalid_config_registers_nothing(declare: Declare, monkeypatch: pytest.MonkeyPatch):
    registered: list[str] = []
    original = pulumi.CustomResource.__init__

    def record(self: Any, kind: str, *args: Any, **options: Any) -> None:
        registered.append(kind)
        original(self, kind, *args, **options)

    monkeypatch.setattr(pulumi.CustomResource, "__init__", record)
    with pytest.raises(pulumi.RunError) as raised:
        declare(stableReplicas=-1, traffic="canary", kubeContext="nowhere")
    assert str(raised.value).count("\n  - ") == 3
    assert not registered
    declare()
    assert registered  # the recorder works


@pytest.mark.parametrize(
    ("traffic", "stable", "canary"), [("split", 66.7, 33.3), ("stable", 100.0, 0.0), ("canary", 0.0, 100.0)]
)
def test_share_of_users_is_the_share_of_public_pods(traffic: Any, stable: float, canary: float):
    release = ReleaseSettings(stableReplicas=2, canaryImage=PINNED, canaryReplicas=1, traffic=traffic)  # pyright: ignore[reportCallIssue]
    assert traffic_shares(release) == {"stable": Share(2, stable), "canary": Share(1, canary)}
