"""How users reach the release: host name, HTTPS, record, address and who may connect."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from stacks.platform_reference import READ_OUTPUTS
from tests.unit.components.aws.simulated import AWS
from tests.unit.components.clouds import CLOUDS
from tests.unit.components.digitalocean.simulated import DIGITALOCEAN
from tests.unit.components.gcp.simulated import GCP
from tests.unit.components.simulated import SimulatedCloud

HOSTNAME = "addressbook.example.com"
ARN = "arn:aws:acm:eu-central-1:123456789012:certificate/12345678-1234-1234-1234-123456789012"
#: The zone with the name, and all that HTTPS needs.
ZONE = {"aws": "Z0123456789ABC", "digitalocean": "example.com", "gcp": "example-com"}
HTTPS: Mapping[str, Mapping[str, str]] = {"aws": {"certificateArn": ARN}, "digitalocean": {}, "gcp": {}}
SERVICE = "addressbook-lb"
BALANCERS = "aws:lb/getHostedZoneId:getHostedZoneId"


@pytest.fixture(params=CLOUDS, ids=lambda cloud: cloud.name)
def simulated(request: pytest.FixtureRequest) -> SimulatedCloud:
    return request.param


@pytest.fixture
def named(graph: Callable[..., Any], simulated: SimulatedCloud, cloud: Any) -> Callable[..., Any]:
    """Return the graph of a stack with a host name, a record and HTTPS."""
    cloud.functions[BALANCERS] = lambda _: {"id": "Z3F0SRJ5LGBH90", "loadBalancerType": "network", "region": ""}
    keys = {"hostname": HOSTNAME, "dnsZone": ZONE[simulated.name], **HTTPS[simulated.name]}
    return lambda **changed: graph(**{**keys, **changed})


def service_annotations(stack: Any) -> dict[str, str]:
    return stack.one("Service", SERVICE).inputs["metadata"]["annotations"]


def ports(stack: Any) -> list[tuple[str, int, str]]:
    return [
        (port["name"], port["port"], port["targetPort"])
        for port in stack.one("Service", SERVICE).inputs["spec"]["ports"]
    ]


def test_without_keys_the_entrance_is_plain_http(graph: Callable[..., Any]):
    stack = graph()
    assert ports(stack) == [("http", 80, "http")]
    assert "loadBalancerSourceRanges" not in stack.one("Service", SERVICE).inputs["spec"]
    assert stack.outputs["url"].startswith("http://")
    assert "address" not in stack.outputs


def test_only_allowed_sources_reach_the_load_balancer(graph: Callable[..., Any]):
    spec = graph(allowedSources=["203.0.113.0/24"]).one("Service", SERVICE).inputs["spec"]
    assert spec["loadBalancerSourceRanges"] == ["203.0.113.0/24"]


def test_a_host_name_is_in_the_url(graph: Callable[..., Any]):
    stack = graph(hostname=HOSTNAME)
    assert stack.outputs["url"] == f"http://{HOSTNAME}"
    assert f"http://{stack.outputs['address']}" == graph().outputs["url"]


@pytest.mark.parametrize("simulated", [AWS], indirect=True)
def test_aws_ends_tls_with_the_certificate(named: Callable[..., Any]):
    stack = named()
    assert ports(stack) == [("https", 443, "http")], "an NLB cannot redirect port 80"
    prefix = "service.beta.kubernetes.io/aws-load-balancer"
    assert service_annotations(stack)[f"{prefix}-ssl-cert"] == ARN
    assert service_annotations(stack)[f"{prefix}-ssl-ports"] == "443"
    assert stack.outputs["url"] == f"https://{HOSTNAME}"
    record = stack.one("Record").inputs
    assert (record["zoneId"], record["name"], record["type"]) == (ZONE["aws"], HOSTNAME, "A")
    assert record["aliases"] == [
        {"name": stack.outputs["address"], "zoneId": "Z3F0SRJ5LGBH90", "evaluateTargetHealth": False}
    ]


@pytest.mark.parametrize("simulated", [AWS], indirect=True)
def test_aws_keeps_its_addresses_if_asked(graph: Callable[..., Any]):
    before = {each.urn for each in graph().all("Eip")}
    stack = graph(staticAddress=True)
    added = [each for each in stack.all("Eip") if each.urn not in before]
    assert len(added) == 2, "one for each public subnet"
    given = service_annotations(stack)["service.beta.kubernetes.io/aws-load-balancer-eip-allocations"]
    assert len(given.split(",")) == 2


@pytest.mark.parametrize("simulated", [DIGITALOCEAN], indirect=True)
def test_digitalocean_redirects_to_a_managed_certificate(named: Callable[..., Any]):
    stack = named()
    assert ports(stack) == [("http", 80, "http"), ("https", 443, "http")]
    prefix = "service.beta.kubernetes.io/do-loadbalancer"
    certificate = stack.one("Certificate")
    assert certificate.inputs["type"] == "lets_encrypt"
    assert certificate.inputs["domains"] == [HOSTNAME]
    assert certificate.options.deleteBeforeReplaceDefined
    assert service_annotations(stack)[f"{prefix}-certificate-name"] == certificate.inputs["name"]
    assert service_annotations(stack)[f"{prefix}-redirect-http-to-https"] == "true"
    assert service_annotations(stack)[f"{prefix}-disable-lets-encrypt-dns-records"] == "true", (
        "the record is the stack's own"
    )
    record = stack.one("DnsRecord").inputs
    assert (record["domain"], record["name"], record["type"]) == ("example.com", "addressbook", "A")
    assert record["value"] == stack.outputs["address"]
    assert stack.outputs["url"] == f"https://{HOSTNAME}"


@pytest.mark.parametrize("simulated", [DIGITALOCEAN], indirect=True)
def test_digitalocean_takes_a_certificate_of_your_own(named: Callable[..., Any]):
    stack = named(certificate="ours", dnsZone="")
    assert stack.all("Certificate") == []
    assert stack.all("DnsRecord") == []
    assert service_annotations(stack)["service.beta.kubernetes.io/do-loadbalancer-certificate-name"] == "ours"
    assert stack.outputs["url"] == f"https://{HOSTNAME}"


@pytest.mark.parametrize("simulated", [DIGITALOCEAN], indirect=True)
@pytest.mark.parametrize(("hostname", "name"), [("example.com", "@"), ("a.b.example.com", "a.b")])
def test_a_name_is_relative_to_its_domain(named: Callable[..., Any], hostname: str, name: str):
    assert named(hostname=hostname).one("DnsRecord").inputs["name"] == name


@pytest.mark.parametrize("simulated", [GCP], indirect=True)
def test_gcp_reserves_the_address_and_names_it(named: Callable[..., Any], cloud: Any):
    cloud.computed["gcp:compute/address:Address"] = lambda _: {"address": "203.0.113.44"}
    stack = named(staticAddress=True)
    address = stack.one("Address")
    assert address.inputs["addressType"] == "EXTERNAL"
    assert service_annotations(stack)["networking.gke.io/load-balancer-ip-addresses"] == address.inputs["name"]
    (record,) = [each.inputs for each in stack.all("RecordSet") if each.inputs["name"] == f"{HOSTNAME}."]
    assert (record["managedZone"], record["type"]) == ("example-com", "A")
    assert record["rrdatas"] == ["203.0.113.44"], "the Service may still show its earlier address"
    assert stack.outputs["url"] == f"http://{HOSTNAME}", "a passthrough load balancer ends no TLS"


def test_a_record_is_part_of_the_release(named: Callable[..., Any]):
    (record,) = [each for each in named().resources if each.urn.endswith("::hostname")]
    assert ":release:Release$" in record.urn, "a promotion does not change the platform by it"
    assert any(urn.endswith("::public") for urn in record.dependencies)


def test_a_release_stack_has_an_entrance_of_its_own(
    graph: Callable[..., Any], named: Callable[..., Any], cloud: Any, simulated: SimulatedCloud
):
    platform = dict(graph().outputs)
    cloud.functions[READ_OUTPUTS] = lambda args: {"name": args["name"], "outputs": platform, "secretOutputNames": []}
    stack = named(
        platformStack="prod",
        namespace="branch-one",
        **dict.fromkeys(simulated.of_platform, ""),
        hostname="b.example.com",
    )
    assert stack.outputs["url"].endswith("://b.example.com")
    assert [each for each in stack.resources if each.urn.endswith("::hostname")]


@pytest.mark.parametrize(
    ("simulated", "key", "value"),
    [
        (AWS, "certificateArn", ARN),
        (AWS, "dnsZone", ZONE["aws"]),
        (DIGITALOCEAN, "dnsZone", "example.com"),
        (DIGITALOCEAN, "certificate", "ours"),
        (GCP, "dnsZone", "example-com"),
    ],
    indirect=["simulated"],
)
def test_a_zone_and_a_certificate_need_a_host_name(errors: Callable[..., list[str]], key: str, value: str):
    (error,) = errors(**{key: value})
    assert error.startswith(f"{key} = '{value}'")
    assert "needs `hostname`" in error


@pytest.mark.parametrize("simulated", [DIGITALOCEAN], indirect=True)
def test_a_name_outside_its_domain_is_refused(errors: Callable[..., list[str]]):
    (error,) = errors(hostname="addressbook.example.org", dnsZone="example.com")
    assert "must be the domain of `hostname` (addressbook.example.org)" in error
    (error,) = errors(hostname="notexample.com", dnsZone="example.com")
    assert "must be the domain" in error


@pytest.mark.parametrize("hostname", ["addressbook", "https://addressbook.example.com", "-a.example.com", "A.example"])
def test_an_invalid_host_name_is_refused(errors: Callable[..., list[str]], hostname: str):
    (error,) = errors(hostname=hostname)
    assert error.startswith(f"hostname = '{hostname}'")
