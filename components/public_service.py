"""The Service that shares the users between the tracks: with a load balancer of its own, or behind a Gateway."""

from __future__ import annotations

from collections.abc import Mapping

import pulumi
import pulumi_kubernetes as k8s

from components.routing import GATEWAY_PORT
from contract.platform import HTTPS_PORT, Entrance
from contract.settings import Traffic


def public_service(
    metadata: k8s.meta.v1.ObjectMetaArgsDict,
    app: str,
    traffic: Traffic,
    entrance: Entrance,
    opts: pulumi.ResourceOptions,
) -> k8s.core.v1.Service:
    """Declare the public Service of the pods of ``app``."""
    selector = {"app": app, **({} if traffic == "split" else {"track": traffic})}
    if entrance.gateway:
        spec: k8s.core.v1.ServiceSpecArgsDict = {"type": "ClusterIP", "selector": selector}
        return _service("public", metadata, spec, {GATEWAY_PORT: "http"}, BEHIND_A_GATEWAY, opts)
    return load_balancer("public", metadata, selector, entrance, dict.fromkeys(entrance.ports, "http"), opts)


def load_balancer(
    name: str,
    metadata: k8s.meta.v1.ObjectMetaArgsDict,
    selector: Mapping[str, str],
    entrance: Entrance,
    ports: Mapping[int, str],
    opts: pulumi.ResourceOptions,
) -> k8s.core.v1.Service:
    """Declare a Service with the entrance's load balancer. Each of ``ports`` leads to the named port of the pods."""
    sources: k8s.core.v1.ServiceSpecArgsDict = (
        {"load_balancer_source_ranges": list(entrance.sources)} if entrance.sources else {}
    )
    spec: k8s.core.v1.ServiceSpecArgsDict = {"type": "LoadBalancer", "selector": selector, **sources}
    return _service(name, metadata, spec, ports, {**WITH_AN_ADDRESS, **entrance.annotations}, opts)


#: Wait for an address only. The tracks are ready by then, and a roll-back must not wait for the endpoints of a canary
#: that never becomes ready.
WITH_AN_ADDRESS = {"pulumi.com/waitFor": "jsonpath={.status.loadBalancer.ingress}"}
#: Wait for nothing, for the same reason.
BEHIND_A_GATEWAY = {"pulumi.com/skipAwait": "true"}


def _service(
    name: str,
    metadata: k8s.meta.v1.ObjectMetaArgsDict,
    spec: k8s.core.v1.ServiceSpecArgsDict,
    ports: Mapping[int, str],
    annotations: Mapping[str, pulumi.Input[str]],
    opts: pulumi.ResourceOptions,
) -> k8s.core.v1.Service:
    named: list[k8s.core.v1.ServicePortArgsDict] = [
        {"name": "https" if port == HTTPS_PORT else "http", "port": port, "target_port": target}
        for port, target in ports.items()
    ]
    return k8s.core.v1.Service(
        name, metadata={**metadata, "annotations": annotations}, spec={**spec, "ports": named}, opts=opts
    )


def load_balancer_address(service: k8s.core.v1.Service) -> pulumi.Output[str]:
    """Return the IP address or host name of the Service's load balancer."""
    return service.status.apply(_address)


def _address(status: k8s.core.v1.outputs.ServiceStatus | None) -> str:
    balancer = status.load_balancer if status else None
    ingress = (balancer.ingress if balancer else None) or []
    if not ingress:
        return "(pending)"
    return ingress[0].ip or ingress[0].hostname or "(pending)"
