"""The Gateway in front of the public Service, on any class."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contract.project import declared_defaults
from stacks.local import PlatformKeys
from stacks.parsing import ConfigError, parse
from tests.unit.components.clouds import CLOUDS
from tests.unit.components.digitalocean.simulated import DIGITALOCEAN
from tests.unit.components.graphs import all_before
from tests.unit.components.simulated import SimulatedCloud
from tests.unit.conftest import LOCAL

HOSTNAME = "addressbook.example.com"
OURS = {"hostname": HOSTNAME, "gateway": "ours", "tls": "addressbook-tls"}
GATEWAY = "kubernetes:gateway.networking.k8s.io/v1:Gateway"
CANARY = {"canaryImage": "source", "canaryReplicas": 1}


@pytest.fixture(autouse=True)
def answering_controller(cloud: Any) -> None:
    cloud.computed[GATEWAY] = lambda _: {"status": {"addresses": [{"type": "IPAddress", "value": "203.0.113.8"}]}}


def route(stack: Any, listener: str) -> dict[str, Any]:
    (found,) = [
        each.inputs["spec"]
        for each in stack.all("HTTPRoute")
        if each.inputs["spec"]["parentRefs"] == [{"name": "addressbook", "sectionName": listener}]
    ]
    return found


def test_a_gateway_ends_tls_and_redirects(declare: Callable[..., Any]):
    stack = declare(**OURS)
    gateway = stack.one("Gateway")
    assert gateway.inputs["spec"] == {
        "gatewayClassName": "ours",
        "listeners": [
            {"name": "http", "protocol": "HTTP", "port": 80},
            {
                "name": "https",
                "protocol": "HTTPS",
                "port": 443,
                "tls": {"mode": "Terminate", "certificateRefs": [{"name": "addressbook-tls"}]},
            },
        ],
    }
    secure, plain = route(stack, "https"), route(stack, "http")
    assert secure["hostnames"] == plain["hostnames"] == [HOSTNAME]
    assert secure["rules"] == [{"backendRefs": [{"name": "addressbook-lb", "port": 80}]}]
    redirect = {"type": "RequestRedirect", "requestRedirect": {"scheme": "https", "statusCode": 301}}
    assert plain["rules"] == [{"filters": [redirect]}]
    assert stack.outputs["url"] == f"https://{HOSTNAME}"
    assert stack.outputs["address"] == "203.0.113.8"


def test_the_gateway_is_awaited_after_its_routes(declare: Callable[..., Any]):
    """It is programmed with them then, and `destroy` deletes it before what it forwards to."""
    stack = declare(**OURS)
    gateway = stack.one("Gateway")
    annotations = gateway.inputs["metadata"]["annotations"]
    assert annotations["pulumi.com/waitFor"] == "condition=Programmed"
    before = all_before(stack, gateway)
    assert {each.urn for each in stack.all("HTTPRoute")} <= before
    assert stack.one("Service", "addressbook-lb").urn in before


@pytest.mark.parametrize(("traffic", "track"), [("split", None), ("stable", "stable"), ("canary", "canary")])
def test_the_service_behind_a_gateway_follows_traffic(declare: Callable[..., Any], traffic: str, track: str | None):
    service = declare(**OURS, **CANARY, traffic=traffic).one("Service", "addressbook-lb").inputs
    assert service["spec"] == {
        "type": "ClusterIP",
        "selector": {"app": "addressbook", **({"track": track} if track else {})},
        "ports": [{"name": "http", "port": 80, "targetPort": "http"}],
    }
    assert service["metadata"]["annotations"] == {"pulumi.com/skipAwait": "true"}, "it gets no address"


@pytest.mark.parametrize("simulated", [DIGITALOCEAN], ids=["digitalocean"])
def test_destroy_stops_before_the_gateway(graph: Callable[..., Any], simulated: SimulatedCloud):
    stack = graph(**OURS)
    assert all(each.options.protect for each in [stack.one("Gateway"), *stack.all("HTTPRoute")])


WRONG = [
    ({"gateway": "traefik", "tls": "ours"}, "gateway = 'traefik': needs `hostname`"),
    ({"hostname": HOSTNAME, "gateway": "traefik"}, "tls: must name the certificate of the Gateway"),
    ({"hostname": HOSTNAME, "tls": "ours"}, "tls = 'ours': needs `gateway`"),
    ({**OURS, "gateway": "Traefik"}, "gateway = 'Traefik': does not have the form"),
    ({**OURS, "tls": "managed"}, "tls = 'managed': is for gateway `managed`"),
    ({**OURS, "gateway": "managed"}, "gateway = 'managed': this cloud has no Gateway of its own"),
]


@pytest.mark.parametrize(("config", "message"), WRONG, ids=lambda value: value if isinstance(value, str) else "")
@pytest.mark.usefixtures("kubeconfig")
def test_a_gateway_that_cannot_work_is_refused(config: dict[str, str], message: str):
    with pytest.raises(ConfigError) as raised:
        parse({**declared_defaults(), **LOCAL, **config}, PlatformKeys)
    (error,) = str(raised.value).splitlines()
    assert error.startswith(message)


ELSEWHERE = [
    ("aws", {"certificateArn": "arn:aws:acm:eu-central-1:123456789012:certificate/1234"}),
    ("aws", {"dnsZone": "Z0123456789ABC"}),
    ("aws", {"staticAddress": "true"}),
    ("digitalocean", {"certificate": "ours"}),
    ("digitalocean", {"dnsZone": "example.com"}),
    ("gcp", {"staticAddress": "true"}),
    *((cloud.name, {"allowedSources": '["203.0.113.0/24"]'}) for cloud in CLOUDS),
]


@pytest.mark.parametrize(
    ("simulated", "config"),
    [({cloud.name: cloud for cloud in CLOUDS}[name], config) for name, config in ELSEWHERE],
    ids=[f"{name}-{next(iter(config))}" for name, config in ELSEWHERE],
)
def test_settings_of_a_services_load_balancer_are_refused(
    errors: Callable[..., list[str]], simulated: SimulatedCloud, config: dict[str, str], account: Path
):
    (error,) = errors(**OURS, **config)
    assert error.startswith(next(iter(config)))
    assert "and `gateway` replaces that: unset one of the two" in error
