"""Who may connect to whom: a row per connection, and each workload's policy before its pods."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from components.namespace import PLATFORM_LABEL
from stacks.platform_reference import OUTPUT, READ_OUTPUTS
from tests.network import Pod, allowed, selected
from tests.unit.components.clouds import CLOUDS
from tests.unit.components.graphs import all_before, named
from tests.unit.components.simulated import SimulatedCloud

WORKLOADS = ("Deployment", "StatefulSet", "Job")
INTERNET, PRIVATE = "203.0.113.7", "10.64.0.3"
STRANGER = Pod("addressbook", {"app": "stranger"})
#: Pods of other namespaces.
MONITOR, OTHER = Pod("monitoring", {"app": "prometheus"}), Pod("other", {"app": "addressbook"})


def policies(*graphs: Any) -> list[dict[str, Any]]:
    return [each.inputs for graph in graphs for each in graph.all("NetworkPolicy")]


def workloads(graph: Any) -> list[tuple[Any, Pod]]:
    """Return each workload and a pod of it."""
    found: list[tuple[Any, Pod]] = []
    for resource in (each for kind in WORKLOADS for each in graph.all(kind)):
        template = resource.inputs["spec"]["template"]
        namespace = resource.inputs["metadata"]["namespace"]
        found.append((resource, Pod.of(namespace, template["metadata"], template["spec"])))
    return found


def pod(graph: Any, app: str) -> Pod:
    return next(each for _, each in workloads(graph) if each.labels["app"] == app)


def check(of: Sequence[dict[str, Any]], rows: dict[str, tuple[Any, Any, int, bool]]) -> None:
    wrong = [
        name for name, (source, end, port, expected) in rows.items() if allowed(of, source, end, port) is not expected
    ]
    assert wrong == []


def test_connections_of_a_laptops_stack(declare: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "dump.sql").write_text("CREATE TABLE person ();\n")
    monkeypatch.setattr("stacks.local.PROJECT_ROOT", tmp_path)
    graph = declare(metricsNamespaces=["monitoring"], egressPorts=[443], databaseRestore={"dump": "dump.sql"})
    service, migration, database = (pod(graph, f"addressbook{each}") for each in ("", "-migrate", "-db"))
    loader = pod(graph, "addressbook-db-restore")
    release = Pod("branch", {"app": "addressbook"}, namespace_labels={PLATFORM_LABEL: "addressbook"})
    check(
        policies(graph),
        {
            "users -> service": (INTERNET, service, 3000, True),
            "users -> metrics": (INTERNET, service, 9464, False),
            "own namespace -> metrics": (Pod("addressbook", {"app": "x"}), service, 9464, False),
            "monitoring -> metrics": (MONITOR, service, 9464, True),
            "monitoring -> database": (MONITOR, database, 5432, False),
            "other namespace -> metrics": (OTHER, service, 9464, False),
            "service -> database": (service, database, 5432, True),
            "service -> egress port": (service, INTERNET, 443, True),
            "service -> other port": (service, INTERNET, 22, False),
            "migration -> database": (migration, database, 5432, True),
            "loader -> database": (loader, database, 5432, True),
            "loader -> anywhere": (loader, INTERNET, 443, False),
            "loader -> names": (loader, INTERNET, 53, True),
            "users -> loader": (INTERNET, loader, 8080, False),
            "release stack -> database": (release, database, 5432, True),
            "database -> anywhere": (database, INTERNET, 443, False),
            "stranger -> anywhere": (STRANGER, INTERNET, 443, False),
            "stranger -> names": (STRANGER, INTERNET, 53, False),
            "stranger -> database": (STRANGER, database, 5432, False),
            "users -> stranger": (INTERNET, STRANGER, 8080, False),
        },
    )


def test_only_listed_namespaces_read_metrics(declare: Callable[..., Any]):
    graph = declare()
    check(policies(graph), {"monitoring -> metrics": (MONITOR, pod(graph, "addressbook"), 9464, False)})


def test_a_gateways_own_pods_are_free(declare: Callable[..., Any]):
    proxy = Pod("addressbook", {"gateway.networking.k8s.io/gateway-name": "addressbook"})
    rows = {"users -> proxy": (INTERNET, proxy, 8443, True), "proxy -> control plane": (proxy, OTHER, 15012, True)}
    graph = declare(gateway="istio", hostname="addressbook.example.com", tls="certificate")
    check(policies(graph), {**rows, "proxy -> service": (proxy, pod(graph, "addressbook"), 3000, True)})
    own, gateway = (named(graph, kind, "gateway") for kind in ("NetworkPolicy", "Gateway"))
    assert own.urn in all_before(graph, gateway) & all_before(graph, graph.one("NetworkPolicy", "default-deny"))
    assert not [each for each in declare().all("NetworkPolicy") if each.name == "gateway"]


def _administrator_reaches(
    administrator: Pod, stack: Any, addresses: dict[str, bool]
) -> dict[str, tuple[Any, Any, int, bool]]:
    port = int(named(stack, "Secret", "database-administrator").inputs["stringData"]["PGPORT"])
    return {
        **{f"administrator -> {address}": (administrator, address, port, ok) for address, ok in addresses.items()},
        "administrator -> web": (administrator, PRIVATE, 443, False),
        "administrator -> names": (administrator, PRIVATE, 53, True),
        "users -> administrator": (INTERNET, administrator, 8080, False),
        "own namespace -> administrator": (Pod(administrator.namespace, {"app": "x"}), administrator, 8080, False),
    }


@pytest.fixture(params=CLOUDS, ids=lambda cloud: cloud.name)
def simulated(request: pytest.FixtureRequest) -> SimulatedCloud:
    return request.param


def test_the_administrators_job_reaches_the_database_only(graph: Callable[..., Any], simulated: SimulatedCloud):
    stack = graph(**simulated.extra)
    jobs = [each for _, each in workloads(stack) if each.labels["app"] == "addressbook-db-rights"]
    assert len(jobs) == (0 if simulated.name == "aws" else 1)
    for job in jobs:
        check(policies(stack), _administrator_reaches(job, stack, {PRIVATE: True, INTERNET: False}))


def test_a_release_stacks_administrator_reaches_its_server_only(
    graph: Callable[..., Any], simulated: SimulatedCloud, cloud: Any
):
    platform = dict(graph().outputs)
    cloud.functions[READ_OUTPUTS] = lambda args: {"name": args["name"], "outputs": platform, "secretOutputNames": []}
    stack = graph(platformStack="prod", namespace="branch-one", **dict.fromkeys(simulated.of_platform, ""))
    job = pod(stack, "addressbook-db-release")
    check(policies(stack), _administrator_reaches(job, stack, {PRIVATE: True, INTERNET: False}))


def test_a_laptops_release_stack_reaches_the_platforms_pod(declare: Callable[..., Any], cloud: Any):
    platform = declare(namespace="platform")
    outputs = {OUTPUT: platform.outputs[OUTPUT]}
    cloud.functions[READ_OUTPUTS] = lambda args: {"name": args["name"], "outputs": outputs, "secretOutputNames": []}
    stack = declare(platformStack="plat", namespace="branch-one", kubeContext="", registry="")
    job, labels = pod(stack, "addressbook-db-release"), stack.one("Namespace").inputs["metadata"]["labels"]
    job = Pod(job.namespace, job.labels, job.ports, labels)
    database = pod(platform, "addressbook-db")
    rows = {"administrator -> database": (job, database, 5432, True)}
    check(policies(platform, stack), {**rows, **_administrator_reaches(job, stack, {INTERNET: True})})


def test_pods_wait_for_a_policy_of_their_own(graph: Callable[..., Any], simulated: SimulatedCloud):
    _assert_policies_come_first(graph(canaryImage="source", canaryReplicas=1, **simulated.extra))


def test_local_pods_wait_for_a_policy_of_their_own(declare: Callable[..., Any]):
    _assert_policies_come_first(declare(canaryImage="source", canaryReplicas=1))


def _assert_policies_come_first(stack: Any) -> None:
    """A namespace that denies everything would cut off pods whose policy comes later, or goes earlier on `destroy`."""
    denied = stack.one("NetworkPolicy", "default-deny")
    assert denied.inputs["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert stack.one("NetworkPolicy", "addressbook").urn in all_before(stack, denied)
    assert len(workloads(stack)) >= 3
    for resource, each in workloads(stack):
        own = [
            policy for policy in stack.all("NetworkPolicy") if policy is not denied and selected(policy.inputs, each)
        ]
        assert own, resource.urn
        assert {policy.urn for policy in own} <= all_before(stack, resource), resource.urn
