"""The Gateway in front of the public Service, on any class."""

from __future__ import annotations

import re
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


def test_without_tls_a_gateway_serves_plain_http(declare: Callable[..., Any]):
    stack = declare(gateway="ours")
    assert stack.one("Gateway").inputs["spec"]["listeners"] == [{"name": "http", "protocol": "HTTP", "port": 80}]
    (plain,) = stack.all("HTTPRoute")
    assert plain.inputs["spec"] == {
        "parentRefs": [{"name": "addressbook", "sectionName": "http"}],
        "rules": [{"backendRefs": [{"name": "addressbook-lb", "port": 80}]}],
    }
    assert stack.outputs["url"] == "http://203.0.113.8"


HEADER = {"canaryHeader": "X-Canary: always"}
TO_TESTERS = {
    "matches": [{"headers": [{"type": "Exact", "name": "X-Canary", "value": "always"}]}],
    "backendRefs": [{"name": "addressbook-canary", "port": 80}],
}


def by_weight(**weights: int) -> dict[str, Any]:
    refs = [{"name": f"addressbook-{track}", "port": 80, "weight": weight} for track, weight in weights.items()]
    return {"backendRefs": refs}


#: Config, rules of the route, and the users' share of the canary in the stack's outputs.
WEIGHTS: list[tuple[dict[str, Any], list[dict[str, Any]], float | None]] = [
    ({"canaryWeight": "1"}, [by_weight(stable=1000)], None),
    (HEADER, [by_weight(stable=1000)], None),
    ({**CANARY, "canaryWeight": "1"}, [by_weight(stable=990, canary=10)], 1),
    ({**CANARY, "canaryWeight": "2.5"}, [by_weight(stable=975, canary=25)], 2.5),
    ({**CANARY, "canaryWeight": "0", **HEADER}, [TO_TESTERS, by_weight(stable=1000, canary=0)], 0),
    ({**CANARY, **HEADER}, [TO_TESTERS, by_weight(stable=750, canary=250)], 25),
    ({**CANARY, "canaryWeight": "1", "traffic": "stable"}, [by_weight(stable=1000, canary=0)], 0),
    ({**CANARY, "canaryWeight": "1", "traffic": "canary"}, [by_weight(stable=0, canary=1000)], 100),
]


@pytest.mark.parametrize(("config", "rules", "share"), WEIGHTS, ids=[" ".join(map(str, case[0])) for case in WEIGHTS])
def test_the_route_has_the_weights_of_the_config(
    declare: Callable[..., Any], config: dict[str, Any], rules: list[dict[str, Any]], share: float | None
):
    stack = declare(gateway="ours", **config)
    (shared,) = stack.all("HTTPRoute")
    assert list(shared.inputs["spec"]["rules"]) == rules
    assert stack.outputs["tracks"].get("canary", {}).get("share") == share


def test_the_weight_moves_once_the_pods_are_ready(declare: Callable[..., Any]):
    """The engine deletes last, so a canary's pods also go after its weight."""
    stack = declare(gateway="ours", canaryWeight="1", **CANARY)
    before = all_before(stack, *stack.all("HTTPRoute"))
    for kind in ("Deployment", "Service"):
        assert {stack.one(kind, f"addressbook-{track}").urn for track in ("stable", "canary")} <= before


STICKY = {"gateway": "ours", "sticky": "true", "canaryWeight": "1"}


def test_sticky_gives_a_version_a_cookie_of_its_own(declare: Callable[..., Any]):
    stack = declare(**STICKY, **CANARY)
    shares = stack.one("TraefikService").inputs
    (rule,) = stack.one("HTTPRoute").inputs["spec"]["rules"]
    assert rule["backendRefs"] == [
        {"group": "traefik.io", "kind": "TraefikService", "name": shares["metadata"]["name"]}
    ]
    weighted = shares["spec"]["weighted"]
    assert weighted["services"] == [
        {"name": "addressbook-stable", "port": 80, "weight": 990},
        {"name": "addressbook-canary", "port": 80, "weight": 10},
    ]
    cookie = weighted["sticky"]["cookie"]
    assert (cookie["httpOnly"], cookie["secure"], cookie["sameSite"]) == (True, False, "lax")
    other = declare(**STICKY, **CANARY, canarySettings={"environment": {"LOG_LEVEL": "debug"}})
    names = [
        each.one("TraefikService").inputs["spec"]["weighted"]["sticky"]["cookie"]["name"] for each in (stack, other)
    ]
    assert len(set(names)) == 2
    assert all(re.fullmatch("addressbook-[0-9a-f]{8}", name) for name in names)


def test_without_a_canary_nothing_is_sticky(declare: Callable[..., Any]):
    stack = declare(**STICKY)
    assert stack.all("TraefikService") == []
    assert stack.one("HTTPRoute").inputs["spec"]["rules"] == [by_weight(stable=1000)]


@pytest.mark.parametrize("simulated", [DIGITALOCEAN], ids=["digitalocean"])
def test_destroy_stops_before_the_gateway(graph: Callable[..., Any], simulated: SimulatedCloud):
    stack = graph(**OURS)
    assert all(each.options.protect for each in [stack.one("Gateway"), *stack.all("HTTPRoute")])


WRONG = [
    ({"gateway": "ours", "tls": "ours"}, "tls = 'ours': needs `hostname`"),
    ({"hostname": HOSTNAME, "tls": "ours"}, "tls = 'ours': needs `gateway`"),
    ({**OURS, "gateway": "Traefik"}, "gateway = 'Traefik': does not have the form"),
    ({**OURS, "tls": "managed"}, "tls = 'managed': is for gateway `managed`"),
    ({**OURS, "gateway": "managed"}, "gateway = 'managed': this cloud has no Gateway of its own"),
    ({"canaryWeight": "1"}, "canaryWeight: needs `gateway`"),
    ({"canaryHeader": "X-Canary: always"}, "canaryHeader: needs `gateway`"),
    ({"sticky": "true"}, "sticky: needs `gateway`"),
    ({**OURS, "canaryWeight": "101"}, "canaryWeight = '101': does not have the form"),
    ({**OURS, "canaryWeight": "0.25"}, "canaryWeight = '0.25': does not have the form"),
    ({**OURS, "canaryHeader": "X-Canary"}, "canaryHeader = 'X-Canary': does not have the form"),
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
