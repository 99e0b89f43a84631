"""Google's own Gateway: address, certificate and policies."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from components.track import DRAIN_SECONDS
from stacks.platform_reference import READ_OUTPUTS
from tests.unit.components.graphs import all_before

HOSTNAME = "addressbook.example.com"
MANAGED = {"hostname": HOSTNAME, "gateway": "managed", "tls": "managed", "preStopSeconds": 40}
ZONE = {"dnsZone": "example-com"}
CHALLENGE = {"name": f"_acme-challenge.{HOSTNAME}.", "type": "CNAME", "data": "1.authorize.certificatemanager.goog."}


@pytest.fixture(autouse=True)
def answers(cloud: Any, account: Any) -> None:
    module = "gcp:certificatemanager"
    cloud.computed[f"{module}/dnsAuthorization:DnsAuthorization"] = lambda _: {"dnsResourceRecords": [CHALLENGE]}
    cloud.computed["gcp:compute/globalAddress:GlobalAddress"] = lambda _: {"address": "203.0.113.44"}
    cloud.computed["kubernetes:gateway.networking.k8s.io/v1:Gateway"] = lambda _: {
        "status": {"addresses": [{"value": "203.0.113.44"}]}
    }


def record(stack: Any, name: str) -> dict[str, Any]:
    (found,) = [each.inputs for each in stack.all("RecordSet") if each.inputs["name"] == name]
    return found


def test_google_issues_the_certificate_by_a_record_in_the_zone(graph: Callable[..., Any]):
    stack = graph(**MANAGED, **ZONE)
    proof = record(stack, CHALLENGE["name"])
    assert (proof["type"], proof["managedZone"], proof["rrdatas"]) == ("CNAME", "example-com", [CHALLENGE["data"]])
    authorization = stack.one("DnsAuthorization")
    assert authorization.inputs["domain"] == HOSTNAME
    managed = stack.one("Certificate").inputs["managed"]
    assert managed["domains"] == [HOSTNAME]
    assert len(managed["dnsAuthorizations"]) == 1
    entry, certificates = stack.one("CertificateMapEntry"), stack.one("CertificateMap")
    assert (entry.inputs["hostname"], entry.inputs["map"]) == (HOSTNAME, certificates.inputs["name"])
    gateway = stack.one("Gateway")
    assert gateway.inputs["metadata"]["annotations"]["networking.gke.io/certmap"] == certificates.inputs["name"]
    assert entry.urn in all_before(stack, gateway), "the Gateway meets a map that has its certificate"
    for replaced in (authorization, stack.one("Certificate"), entry):
        assert replaced.options.deleteBeforeReplaceDefined
    assert record(stack, f"{HOSTNAME}.")["rrdatas"] == ["203.0.113.44"]
    assert stack.outputs["url"] == f"https://{HOSTNAME}"


def test_googles_gateway_has_a_reserved_address(graph: Callable[..., Any]):
    stack = graph(**MANAGED)
    (address,) = [each for each in stack.all("GlobalAddress") if each.inputs["addressType"] == "EXTERNAL"]
    assert stack.one("Gateway").inputs["spec"] == {
        "gatewayClassName": "gke-l7-global-external-managed",
        "addresses": [{"type": "NamedAddress", "value": address.inputs["name"]}],
        "listeners": [
            {"name": "http", "protocol": "HTTP", "port": 80},
            {"name": "https", "protocol": "HTTPS", "port": 443},
        ],
    }
    assert stack.all("DnsAuthorization") == [], "without a zone, the load balancer proves the name"
    assert "l4-rbs" not in json.dumps(stack.one("Service", "addressbook-lb").inputs)


def test_a_certificate_of_your_own_needs_no_map(graph: Callable[..., Any]):
    """GKE refuses a Gateway with both."""
    stack = graph(**{**MANAGED, "tls": "ours"})
    gateway = stack.one("Gateway").inputs
    assert gateway["spec"]["listeners"][1]["tls"]["certificateRefs"] == [{"name": "ours"}]
    assert "networking.gke.io/certmap" not in gateway["metadata"]["annotations"]
    assert not [each for each in stack.resources if each.type.startswith("gcp:certificatemanager")]


def test_the_load_balancer_reaches_the_pods_and_drains(graph: Callable[..., Any]):
    stack = graph(**MANAGED, readinessPath="/healthy")
    health, draining = stack.one("HealthCheckPolicy").inputs["spec"], stack.one("GCPBackendPolicy").inputs["spec"]
    assert health["default"]["config"] == {"type": "HTTP", "httpHealthCheck": {"requestPath": "/healthy"}}
    assert draining["default"]["connectionDraining"] == {"drainingTimeoutSec": DRAIN_SECONDS}
    target = {"group": "", "kind": "Service", "name": "addressbook-lb"}
    assert health["targetRef"] == draining["targetRef"] == target
    # Health checks and proxies come from 130.211.0.0/22 and 35.191.0.0/16, not from the cluster.
    rules = stack.one("NetworkPolicy", "network-policy").inputs["spec"]["ingress"]
    (open_to_all,) = [rule for rule in rules if {"port": "http", "protocol": "TCP"} in rule["ports"]]
    assert "from" not in open_to_all


def test_each_service_behind_googles_gateway_has_policies(graph: Callable[..., Any]):
    stack = graph(**MANAGED, canaryWeight="1", canaryImage="source", canaryReplicas=1)
    (route,) = [each.inputs["spec"]["rules"] for each in stack.all("HTTPRoute") if each.name == "route"]
    behind = {ref["name"] for rule in route for ref in rule["backendRefs"]}
    assert behind == {"addressbook-stable", "addressbook-canary"}
    for kind in ("HealthCheckPolicy", "GCPBackendPolicy"):
        policies = {each.inputs["spec"]["targetRef"]["name"]: each for each in stack.all(kind)}
        assert policies.keys() == {"addressbook-lb", *behind}
        assert not policies["addressbook-canary"].options.protect, "the canary can go"


def test_a_release_stack_has_its_gateway_in_the_clusters_project(graph: Callable[..., Any], cloud: Any):
    outputs = json.loads(json.dumps(graph().outputs))
    outputs["platform"]["access"]["cluster"] = "projects/acme-shared-1/locations/us-central1/clusters/prod"
    cloud.functions[READ_OUTPUTS] = lambda args: {"name": args["name"], "outputs": outputs, "secretOutputNames": []}
    release = {"platformStack": "prod", "namespace": "branch-one", "kubernetesVersion": "", "region": ""}
    stack = graph(**MANAGED, **release)
    kinds = ("GlobalAddress", "Certificate", "CertificateMap", "CertificateMapEntry")
    assert {stack.one(kind).inputs["project"] for kind in kinds} == {"acme-shared-1"}
    assert stack.one("Gateway").inputs["metadata"]["namespace"] == "branch-one"


CANARY = {"canaryImage": "source", "canaryReplicas": "1", "preStopSeconds": "40"}
WRONG = [
    ({"preStopSeconds": "5"}, "preStopSeconds = 5: with gateway `managed`, pods must serve on for 40 seconds"),
    ({**CANARY, "canarySettings": '{"preStopSeconds": 1}'}, "canarySettings.preStopSeconds = 1: with gateway"),
    ({**CANARY, "canarySettings": '{"readinessPath": "/new"}'}, "canarySettings.readinessPath: the managed Gateway"),
    ({"preStopSeconds": "40", "staticAddress": "true"}, "staticAddress"),
    ({"preStopSeconds": "40", "tls": ""}, "tls: must name the certificate of the managed Gateway"),
    ({"preStopSeconds": "40", "sticky": "true"}, "sticky: the cloud's own Gateway cannot keep"),
]


@pytest.mark.parametrize(("config", "message"), WRONG, ids=[message.partition(" ")[0] for _, message in WRONG])
def test_what_googles_gateway_cannot_do_is_refused(
    errors: Callable[..., list[str]], config: dict[str, str], message: str
):
    (error,) = errors(**{**MANAGED, **config})
    assert error.startswith(message)
