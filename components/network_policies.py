"""Which connections the pods of a release's namespace may have.

Every workload has a policy of its own, which its pods wait for. Whatever has none is denied everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.pod import Labels, migration_app
from contract.platform import HTTP_PORT, HTTPS_PORT, TRAEFIK_METRICS_PORT, PodIdentity
from contract.settings import ServiceSettings

DNS_PORT = 53
#: Label that Kubernetes sets on every namespace (Kubernetes documentation, Well-known labels).
NAMESPACE_LABEL = "kubernetes.io/metadata.name"
#: Label of a Gateway's own pods, in classes that run it in its namespace (Gateway API, GEP-1762).
GATEWAY_LABEL = "gateway.networking.k8s.io/gateway-name"
#: Ports of API servers: of the Service `kubernetes` and the clouds', of kubeadm and the lab, of minikube. No selector
#: selects an API server.
API_SERVER_PORTS = (443, 6443, 8443)
BOTH_DIRECTIONS = ["Ingress", "Egress"]
#: Where a server without a public address can be (RFC 1918, RFC 6598, RFC 4193).
PRIVATE_RANGES = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")

EgressRule = k8s.networking.v1.NetworkPolicyEgressRuleArgsDict
IngressRule = k8s.networking.v1.NetworkPolicyIngressRuleArgsDict
Peer = k8s.networking.v1.NetworkPolicyPeerArgsDict
#: Name resolution. Any address: a node's own cache has one that no selector selects.
DNS: EgressRule = {"ports": [{"port": DNS_PORT, "protocol": protocol} for protocol in ("UDP", "TCP")]}


@dataclass(frozen=True)
class ServicePolicyArgs:
    """Whose pods, and what they serve and need."""

    labels: Labels
    namespace: pulumi.Input[str]
    #: Settings of stable and of the canary.
    service: ServiceSettings
    canary: ServiceSettings
    database_port: pulumi.Input[int]
    #: The pods' identity in the cloud; None for none.
    identity: PodIdentity | None


@dataclass(frozen=True)
class TraefikPolicyArgs:
    """Whose Traefik, and what it forwards to."""

    #: Of Traefik's pods.
    labels: Labels
    namespace: pulumi.Input[str]
    #: Settings of stable and of the canary.
    service: ServiceSettings
    canary: ServiceSettings


def service_policy(args: ServicePolicyArgs, opts: pulumi.ResourceOptions) -> k8s.networking.v1.NetworkPolicy:
    """Declare the policy of the service's pods and its migrations.

    In: the service's port from anywhere, metrics from the namespace and ``metricsNamespaces``. Out: DNS, the database,
    ``egressPorts``, and credentials of the cloud. Ports are named for pods that a new port of the config replaces, and
    numbered because not every network plugin resolves names in every direction (EKS user guide, network policy
    considerations).
    """
    service, canary = args.service, args.canary
    ingress: list[IngressRule] = [{"ports": _tcp("http", *sorted({service.port, canary.port}))}]
    if metrics_ports := {each.metrics_port for each in (service, canary) if each.metrics_port}:
        scrapers: list[Peer] = [{"pod_selector": {}}, *map(_namespace, service.metrics_namespaces)]
        ingress.append({"from_": scrapers, "ports": _tcp("metrics", *sorted(metrics_ports))})
    egress: list[EgressRule] = [DNS, {"ports": _tcp(args.database_port, *service.egress_ports)}]
    if identity := args.identity:
        credentials: Peer = {"ip_block": {"cidr": identity.credentials_range}}
        egress.append({"to": [credentials], "ports": _tcp(identity.credentials_port)})
    return k8s.networking.v1.NetworkPolicy(
        "network-policy",
        metadata={"name": service.name, "namespace": args.namespace, "labels": args.labels.all},
        spec={
            "pod_selector": {
                "match_expressions": [
                    {"key": "app", "operator": "In", "values": [service.name, migration_app(service.name)]}
                ]
            },
            "policy_types": BOTH_DIRECTIONS,
            "ingress": ingress,
            "egress": egress,
        },
        opts=opts,
    )


def gateway_policy(
    gateway: str, labels: Labels, namespace: pulumi.Input[str], opts: pulumi.ResourceOptions
) -> k8s.networking.v1.NetworkPolicy:
    """Declare the policy of a Gateway's own pods: everything is allowed, because each class has other ports."""
    return k8s.networking.v1.NetworkPolicy(
        "gateway",
        metadata={"name": f"{gateway}-gateway", "namespace": namespace, "labels": labels.all},
        spec={
            "pod_selector": {"match_labels": {GATEWAY_LABEL: gateway}},
            "policy_types": BOTH_DIRECTIONS,
            "ingress": [{}],
            "egress": [{}],
        },
        opts=opts,
    )


def traefik_policy(args: TraefikPolicyArgs, opts: pulumi.ResourceOptions) -> k8s.networking.v1.NetworkPolicy:
    """Declare the policy of the stack's own Traefik.

    In: users from anywhere, metrics from the namespace and ``metricsNamespaces``. Out: DNS, the API server, and the
    service's pods.
    """
    service = args.service
    scrapers: list[Peer] = [{"pod_selector": {}}, *map(_namespace, service.metrics_namespaces)]
    pods: Peer = {"pod_selector": {"match_labels": {"app": service.name}}}
    return k8s.networking.v1.NetworkPolicy(
        "traefik",
        metadata={"name": args.labels.app, "namespace": args.namespace, "labels": args.labels.all},
        spec={
            "pod_selector": {"match_labels": args.labels.selector},
            "policy_types": BOTH_DIRECTIONS,
            "ingress": [
                {"ports": _tcp(HTTP_PORT, HTTPS_PORT)},
                {"from_": scrapers, "ports": _tcp(TRAEFIK_METRICS_PORT)},
            ],
            "egress": [
                DNS,
                {"ports": _tcp(*API_SERVER_PORTS)},
                {"to": [pods], "ports": _tcp("http", *sorted({service.port, args.canary.port}))},
            ],
        },
        opts=opts,
    )


def database_client_policy(
    name: str,
    labels: Labels,
    namespace: pulumi.Input[str],
    port: pulumi.Input[int],
    opts: pulumi.ResourceOptions,
    ranges: Sequence[str] = (),
) -> k8s.networking.v1.NetworkPolicy:
    """Declare the policy of a Job that only talks to the database server; nothing may connect to its pods.

    ``ranges`` are the address ranges (CIDR) that the server is in; empty: any address. A policy cannot name a host.
    """
    to_server: EgressRule = {"ports": _tcp(port)}
    if ranges:
        to_server["to"] = [{"ip_block": {"cidr": each}} for each in ranges]
    return k8s.networking.v1.NetworkPolicy(
        name,
        metadata={"name": labels.app, "namespace": namespace, "labels": labels.all},
        spec={
            "pod_selector": {"match_labels": labels.selector},
            "policy_types": BOTH_DIRECTIONS,
            "egress": [DNS, to_server],
        },
        opts=opts,
    )


def deny_by_default(
    labels: Labels, namespace: pulumi.Input[str], opts: pulumi.ResourceOptions
) -> k8s.networking.v1.NetworkPolicy:
    """Declare the policy that denies every connection which no other policy allows.

    ``opts`` must make it wait for the policies of pods that may run already.
    """
    return k8s.networking.v1.NetworkPolicy(
        "default-deny",
        metadata={"name": "default-deny", "namespace": namespace, "labels": labels.all},
        spec={"pod_selector": {}, "policy_types": BOTH_DIRECTIONS},
        opts=opts,
    )


def _namespace(name: str) -> Peer:
    return {"namespace_selector": {"match_labels": {NAMESPACE_LABEL: name}}}


def _tcp(*ports: pulumi.Input[str] | pulumi.Input[int]) -> list[k8s.networking.v1.NetworkPolicyPortArgsDict]:
    return [{"port": port, "protocol": "TCP"} for port in ports]
