"""Traefik as the controller of the stack's own Gateway."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pytest

from components import gateway_definitions
from tests.unit.components.clouds import CLOUDS
from tests.unit.components.graphs import all_before
from tests.unit.components.simulated import SimulatedCloud
from tests.unit.components.test_gateway import GATEWAY

TRAEFIK = {"hostname": "addressbook.example.com", "gateway": "traefik", "tls": "addressbook-tls"}
NAME = "addressbook-traefik"
DIGEST = "sha256:" + "a" * 64
LOAD_BALANCER_NAME = "service.beta.kubernetes.io/do-loadbalancer-name"


@pytest.fixture(params=[each for each in CLOUDS if each.name != "local"], ids=lambda cloud: cloud.name)
def simulated(request: pytest.FixtureRequest) -> SimulatedCloud:
    return request.param


@pytest.fixture(autouse=True)
def answering_controller(cloud: Any) -> None:
    cloud.computed[GATEWAY] = lambda _: {"status": {"addresses": [{"type": "IPAddress", "value": "203.0.113.8"}]}}


def test_the_gateway_has_the_class_of_its_own_traefik(declare: Callable[..., Any]):
    stack = declare(**TRAEFIK, namespace="shop")
    gateway, its_class = stack.one("Gateway"), stack.one("GatewayClass")
    assert gateway.inputs["spec"]["gatewayClassName"] == its_class.inputs["metadata"]["name"] == "shop-traefik"
    assert {each.urn for each in stack.resources if each.inputs.get("metadata", {}).get("name") == NAME} <= all_before(
        stack, gateway
    )


def test_traefik_serves_its_own_class_and_namespace_alone(declare: Callable[..., Any]):
    stack = declare(**TRAEFIK, namespace="shop")
    arguments = container(stack)["args"]
    assert "--providers.kubernetesgateway.namespaces=shop" in arguments
    assert "--providers.kubernetesgateway.labelselector=addressbook/gateway=shop" in arguments
    assert stack.one("GatewayClass").inputs["metadata"]["labels"]["addressbook/gateway"] == "shop"


def test_traefik_reads_only_what_gateways_refer_to(declare: Callable[..., Any]):
    stack = declare(**TRAEFIK)
    assert "secrets" not in [name for rule in stack.one("ClusterRole").inputs["rules"] for name in rule["resources"]]
    written = [
        (rule["resources"], rule["verbs"])
        for rule in [*stack.one("Role").inputs["rules"], *stack.one("ClusterRole").inputs["rules"]]
        if rule["verbs"] != ["list", "watch"]
    ]
    assert written == [
        (["gateways/status", "httproutes/status"], ["update"]),
        (["gatewayclasses/status"], ["update"]),
    ]


def test_traefiks_pods_run_only_with_rights_and_policy(declare: Callable[..., Any]):
    stack = declare(**TRAEFIK)
    deployment = stack.one("Deployment", NAME)
    needed = [stack.one("NetworkPolicy", NAME), stack.one("RoleBinding"), stack.one("ClusterRoleBinding")]
    assert {each.urn for each in needed} <= all_before(stack, deployment)


def test_gateway_replicas_decides_on_the_disruption_budget(declare: Callable[..., Any]):
    alone = declare(**TRAEFIK, gatewayReplicas=1)
    assert alone.one("Deployment", NAME).inputs["spec"]["replicas"] == 1
    assert [each.inputs["metadata"]["name"] for each in alone.all("PodDisruptionBudget")] == ["addressbook"]


def test_two_replicas_have_a_disruption_budget(declare: Callable[..., Any]):
    assert declare(**TRAEFIK).one("PodDisruptionBudget", NAME).inputs["spec"]["maxUnavailable"] == 1


def test_an_image_by_digest_comes_from_the_own_registry(
    graph: Callable[..., Any], simulated: SimulatedCloud, account: Path
):
    regctl = account / "regctl"
    regctl.write_text("#!/bin/sh\n")
    regctl.chmod(0o755)
    stack = graph(**TRAEFIK, gatewayImage=f"mirror.example.com/traefik@{DIGEST}")
    assert container(stack)["image"] == f"{simulated.access.repository}@{DIGEST}"


def test_traefik_has_the_load_balancers_settings(graph: Callable[..., Any], simulated: SimulatedCloud):
    plain = graph().one("Service", "addressbook-lb").inputs
    stack = graph(**TRAEFIK, allowedSources=["203.0.113.0/24"])
    service = stack.one("Service", NAME).inputs
    own, public = dict(service["metadata"]["annotations"]), dict(plain["metadata"]["annotations"])
    assert own.pop(LOAD_BALANCER_NAME, "") != public.pop(LOAD_BALANCER_NAME, None), "the two exist side by side"
    assert own == public
    assert service["spec"]["type"] == "LoadBalancer"
    assert service["spec"]["loadBalancerSourceRanges"] == ["203.0.113.0/24"]
    assert [(each["port"], each["targetPort"]) for each in service["spec"]["ports"]] == [(80, "http"), (443, "https")]
    assert stack.one("Service", "addressbook-lb").inputs["spec"]["type"] == "ClusterIP"


ALL = gateway_definitions.KINDS | gateway_definitions.OWN_KINDS
LACKING = [
    (frozenset[str](), "gateway = 'traefik'", "/v1.4.1/standard-install.yaml`, or unset gateway"),
    (ALL - {"backendtlspolicies"}, "gateway = 'traefik'", "/v1.4.1/standard-install.yaml`, or unset gateway"),
    (gateway_definitions.KINDS, "sticky", "/kubernetes-crd-definition-v1.yml`, or unset sticky"),
]


@pytest.mark.parametrize(("known", "key", "remedy"), LACKING, ids=["none", "older", "Traefik's own"])
def test_a_cluster_without_definitions_is_named(
    known: frozenset[str], key: str, remedy: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(gateway_definitions, "known_kinds", lambda *_: known)
    with pytest.raises(pulumi.RunError) as raised:
        gateway_definitions.require("kind-kind", "", sticky=bool(known))
    assert f"{key}: the cluster lacks" in str(raised.value)
    assert "`kubectl apply --server-side -f https://" in str(raised.value)
    assert remedy in str(raised.value)


def test_a_silent_cluster_is_left_to_the_provider(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gateway_definitions, "known_kinds", lambda *_: None)
    gateway_definitions.require("kind-kind", "", sticky=True)


def test_sticky_alone_needs_traefiks_own_kinds(declare: Callable[..., Any]):
    for sticky, groups in (("false", 0), ("true", 1)):
        stack = declare(**TRAEFIK, sticky=sticky)
        assert sum("kubernetescrd.namespaces" in each for each in container(stack)["args"]) == groups
        assert sum(rule["apiGroups"] == ["traefik.io"] for rule in stack.one("Role").inputs["rules"]) == groups


def container(stack: Any) -> dict[str, Any]:
    (only,) = stack.one("Deployment", NAME).inputs["spec"]["template"]["spec"]["containers"]
    return only
