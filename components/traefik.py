"""Traefik as the controller of the stack's own class of Gateways, in the release's namespace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.component import Component
from components.container_defaults import rollout_wait
from components.gateway import API_VERSION
from components.gateway_definitions import require_definitions
from components.network_policies import TraefikPolicyArgs, traefik_policy
from components.pod import Labels, restricted_container, restricted_pod
from components.public_service import load_balancer
from components.track import HOST_LABEL, ZONE_LABEL
from components.traefik_rights import traefik_rights
from contract.platform import (
    HTTP_PORT,
    HTTPS_PORT,
    TRAEFIK_CONTROLLER,
    TRAEFIK_METRICS_PORT,
    OwnTraefik,
    Platform,
    traefik_app,
)
from contract.settings import ServiceSettings

#: Label of a GatewayClass, with the namespace of the only Traefik that serves it.
CLASS_LABEL = "addressbook/gateway"
#: User and group of the containers. Any will do: Traefik owns no files.
UID = 65532
#: Seconds for which a stopping Traefik accepts new connections, while load balancers learn of it.
ACCEPT_SECONDS = 10
#: Seconds that it then has for open requests. An answer of the service may take as long.
DRAIN_SECONDS = 30
#: Seconds until a new Traefik gets users. It answers 404 until it has read its routes, which takes less than a second,
#: and gives no sign when it has.
ROUTES_SECONDS = 4
#: Time between two changes of its routes. Traefik's default of 2 s would send requests to pods that have left.
THROTTLE = "250ms"
#: Upper bounds in seconds of the histogram: those of the addressbook's own metrics.
BUCKETS = "0.001,0.0025,0.005,0.01,0.025,0.05,0.1,0.25,0.5,1,2.5,5,10"
DISK = "64Mi"
RESOURCES: k8s.core.v1.ResourceRequirementsArgsDict = {
    "requests": {"cpu": "50m", "memory": "96Mi", "ephemeral-storage": DISK},
    # No CPU limit: it would slow down every request.
    "limits": {"memory": "256Mi", "ephemeral-storage": DISK},
}


@dataclass(frozen=True)
class TraefikArgs:
    """Which Traefik, for whose pods."""

    traefik: OwnTraefik
    #: The image that its pods run.
    image: pulumi.Input[str]
    service: ServiceSettings
    #: The canary's settings, whose port may differ.
    canary: ServiceSettings
    namespace: pulumi.Input[str]
    #: The cluster, its registry's login, and the load balancer's settings.
    platform: Platform
    #: Whether there is a listener for HTTPS.
    ends_tls: bool
    #: Whether a route may refer to a TraefikService, which needs Traefik's own definitions in the cluster.
    sticky: bool


class Traefik(Component):
    """Traefik for the Gateways of one namespace.

    Creates a GatewayClass ``<namespace>-traefik``, the rights to read what a Gateway refers to in the namespace, a
    Service with a load balancer, the pods' NetworkPolicy and PodDisruptionBudget, and a Deployment. Another stack on
    the same cluster has a Traefik and a class of its own.
    """

    class_name: pulumi.Output[str]

    def __init__(
        self, name: str, args: TraefikArgs, kubernetes: k8s.Provider, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("release:Traefik", name, opts)
        self._args = args
        self._labels = Labels(app=traefik_app(args.service.name), part_of=args.service.name)
        self._options = pulumi.ResourceOptions(parent=self, provider=kubernetes)
        checked = require_definitions(args.platform.cluster, args.sticky)
        # The name is known only after the check, so that nothing refers to a class which cannot exist.
        self.class_name = pulumi.Output.concat(args.namespace, "-traefik", checked.apply(lambda _: ""))
        rights = traefik_rights(self._labels, args.namespace, self.class_name, args.sticky, self._options)
        first = [self._gateway_class(), *rights, self._load_balancer(), self._policy()]
        if args.traefik.replicas > 1:
            first.append(self._disruption_budget())
        self._deployment(first)
        self.register_outputs({"className": self.class_name})

    def _gateway_class(self) -> pulumi.Resource:
        return k8s.apiextensions.CustomResource(
            "traefik-class",
            api_version=API_VERSION,
            kind="GatewayClass",
            metadata={"name": self.class_name, "labels": {**self._labels.all, CLASS_LABEL: self._args.namespace}},
            spec={"controllerName": TRAEFIK_CONTROLLER},
            opts=self._options,
        )

    def _load_balancer(self) -> k8s.core.v1.Service:
        protect = pulumi.ResourceOptions(protect=self._args.platform.protect)
        return load_balancer(
            "traefik",
            self._metadata(),
            self._labels.selector,
            self._args.platform.entrance,
            {HTTP_PORT: "http", **({HTTPS_PORT: "https"} if self._args.ends_tls else {})},
            pulumi.ResourceOptions.merge(self._options, protect),
        )

    def _policy(self) -> k8s.networking.v1.NetworkPolicy:
        args = self._args
        return traefik_policy(TraefikPolicyArgs(self._labels, args.namespace, args.service, args.canary), self._options)

    def _disruption_budget(self) -> k8s.policy.v1.PodDisruptionBudget:
        return k8s.policy.v1.PodDisruptionBudget(
            "traefik",
            metadata=self._metadata(),
            spec={
                "max_unavailable": 1,
                "unhealthy_pod_eviction_policy": "AlwaysAllow",
                "selector": {"match_labels": self._labels.selector},
            },
            opts=self._options,
        )

    def _deployment(self, after: Sequence[pulumi.Resource]) -> k8s.apps.v1.Deployment:
        service = self._args.service
        return k8s.apps.v1.Deployment(
            "traefik",
            metadata=self._metadata(rollout_wait(service)),
            spec={
                "replicas": self._args.traefik.replicas,
                "selector": {"match_labels": self._labels.selector},
                "progress_deadline_seconds": service.rollout_timeout_seconds,
                "revision_history_limit": 3,
                "strategy": {"type": "RollingUpdate", "rolling_update": {"max_surge": 1, "max_unavailable": 0}},
                "template": {"metadata": {"labels": self._labels.all}, "spec": self._pod()},
            },
            opts=pulumi.ResourceOptions.merge(self._options, pulumi.ResourceOptions(depends_on=list(after))),
        )

    def _pod(self) -> k8s.core.v1.PodSpecArgsDict:
        ping: k8s.core.v1.ProbeArgsDict = {"http_get": {"path": "/ping", "port": "metrics"}}
        container = restricted_container(
            {
                "name": "traefik",
                "image": self._args.image,
                "args": self._arguments(),
                "ports": [
                    {"name": "http", "container_port": HTTP_PORT},
                    {"name": "https", "container_port": HTTPS_PORT},
                    {"name": "metrics", "container_port": TRAEFIK_METRICS_PORT},
                ],
                "resources": RESOURCES,
                "liveness_probe": {**ping, "period_seconds": 10, "timeout_seconds": 5, "failure_threshold": 3},
                "readiness_probe": {
                    **ping,
                    "initial_delay_seconds": ROUTES_SECONDS,
                    "period_seconds": 2,
                    "timeout_seconds": 5,
                    "failure_threshold": 1,
                },
            }
        )
        pod = restricted_pod(UID, {"containers": [container]}, self._args.platform.registry.pull_secret)
        return {
            **pod,
            "service_account_name": self._labels.app,
            "automount_service_account_token": True,
            "security_context": {
                **pod["security_context"],  # type: ignore[typeddict-item]
                # A listener's port is the container's, and this user may not open one below 1024.
                "sysctls": [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}],
            },
            "termination_grace_period_seconds": ACCEPT_SECONDS + DRAIN_SECONDS + 5,
            "topology_spread_constraints": self._spread(),
        }

    def _arguments(self) -> list[pulumi.Input[str]]:
        own, provider = self._args.namespace, "--providers.kubernetesgateway"
        lifecycle = {
            f"--entrypoints.{entry}.transport.lifecycle.{key}={seconds}"
            for entry in ("http", "https")
            for key, seconds in (("requestacceptgracetimeout", ACCEPT_SECONDS), ("gracetimeout", DRAIN_SECONDS))
        }
        return [
            "--global.checknewversion=false",
            "--global.sendanonymoususage=false",
            f"--entrypoints.http.address=:{HTTP_PORT}",
            f"--entrypoints.https.address=:{HTTPS_PORT}",
            f"--entrypoints.metrics.address=:{TRAEFIK_METRICS_PORT}",
            *sorted(lifecycle),
            "--ping.entrypoint=metrics",
            "--metrics.prometheus.entrypoint=metrics",
            "--metrics.prometheus.addserviceslabels=true",
            "--metrics.prometheus.addentrypointslabels=false",
            f"--metrics.prometheus.buckets={BUCKETS}",
            f"--providers.providersthrottleduration={THROTTLE}",
            pulumi.Output.concat(f"{provider}.namespaces=", own),
            pulumi.Output.concat(f"{provider}.labelselector={CLASS_LABEL}=", own),
            f"{provider}.statusaddress.service.name={self._labels.app}",
            pulumi.Output.concat(f"{provider}.statusaddress.service.namespace=", own),
            *(self._own_kinds() if self._args.sticky else []),
        ]

    def _own_kinds(self) -> list[pulumi.Input[str]]:
        provider = "--providers.kubernetescrd"
        return [
            pulumi.Output.concat(f"{provider}.namespaces=", self._args.namespace),
            f"{provider}.disableclusterscoperesources=true",
            # A canary without ready pods gets no requests, instead of making the whole route invalid.
            f"{provider}.allowemptyservices=true",
        ]

    def _spread(self) -> list[k8s.core.v1.TopologySpreadConstraintArgsDict]:
        return [
            {
                "max_skew": 1,
                "topology_key": key,
                "when_unsatisfiable": "ScheduleAnyway",
                "label_selector": {"match_labels": self._labels.selector},
            }
            for key in [*([ZONE_LABEL] if self._args.platform.has_zones else []), HOST_LABEL]
        ]

    def _metadata(self, annotations: Mapping[str, pulumi.Input[str]] | None = None) -> k8s.meta.v1.ObjectMetaArgsDict:
        metadata: k8s.meta.v1.ObjectMetaArgsDict = {
            "name": self._labels.app,
            "namespace": self._args.namespace,
            "labels": self._labels.all,
        }
        return {**metadata, "annotations": annotations} if annotations else metadata
