"""A track of a release: the pods of stable or canary, their settings, and a Service that reaches only them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pulumi
import pulumi_kubernetes as k8s

from components.component import Component
from components.container_defaults import SERVICE_UID, rollout_wait, service_resources, temporary_files
from components.environment import track_environment
from components.metrics_discovery import scrape_annotations
from components.pod import Labels, restricted_container, restricted_pod
from contract.platform import PodIdentity
from contract.settings import ServiceSettings

TrackName = Literal["stable", "canary"]

#: Seconds that a pod gets to finish its open requests after the preStop pause.
DRAIN_SECONDS = 20
#: Share of pods that a rollout may add at a time (at least one), so that 30 are not replaced one by one.
MAX_SURGE = "25%"
#: Annotation with the fingerprint of the platform's values that the pods read when they start. A change restarts them.
SETTINGS_ANNOTATION = "addressbook/settings-fingerprint"
#: Kubernetes' labels of a node.
HOST_LABEL, ZONE_LABEL = "kubernetes.io/hostname", "topology.kubernetes.io/zone"
#: The provider returns once the Deployment is gone (pulumi-kubernetes documentation, deletionPropagationPolicy), while
#: its pods finish their requests. A promotion would otherwise wait for the slowest of them.
DELETE_IN_BACKGROUND = {"pulumi.com/deletionPropagationPolicy": "background"}


@dataclass(frozen=True)
class TrackArgs:
    """Which version runs, in how many pods, with which settings."""

    track: TrackName
    image: pulumi.Input[str]
    replicas: int
    #: The service with this track's settings.
    service: ServiceSettings
    namespace: pulumi.Input[str]
    #: Source of the platform's variables, which all tracks share.
    platform: k8s.core.v1.EnvFromSourceArgsDict
    #: Fingerprint of those variables.
    fingerprint: pulumi.Input[str]
    #: Name of the Secret with the registry's login; None if the nodes have one.
    pull_secret: pulumi.Input[str] | None = None
    #: HTTP path of the pods' metrics.
    metrics_path: str = "/metrics"
    #: Whether the nodes are in several zones.
    has_zones: bool = False
    #: The pods' identity in the cloud; None for none.
    identity: PodIdentity | None = None
    #: Resources that the pods wait for: their image's migration, another track's pods.
    after: Sequence[pulumi.Resource] = ()


class Track(Component):
    """One version of the service in the cluster.

    Creates the ConfigMap and the Secret of this track's settings, a Deployment that keeps all its replicas during a
    rollout, and a ClusterIP Service that selects only this track.
    """

    #: The image that the pods run.
    image: pulumi.Output[str]
    deployment: k8s.apps.v1.Deployment
    service: k8s.core.v1.Service

    def __init__(self, args: TrackArgs, kubernetes: k8s.Provider, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("release:Track", args.track, opts)
        self._args = args
        self._name = f"{args.service.name}-{args.track}"
        self._labels = Labels(app=args.service.name, part_of=args.service.name, track=args.track)
        self._options = pulumi.ResourceOptions(parent=self, provider=kubernetes)
        self.image = pulumi.Output.from_input(args.image)
        self._sources = track_environment(self._labels, args.service, args.namespace, self._options)
        self.deployment = self._deployment()
        self.service = self._service()
        self.register_outputs({"image": self.image, "replicas": args.replicas})

    def _deployment(self) -> k8s.apps.v1.Deployment:
        service = self._args.service
        return k8s.apps.v1.Deployment(
            self._name,
            metadata={
                "name": self._name,
                "namespace": self._args.namespace,
                "labels": self._labels.all,
                "annotations": {
                    **rollout_wait(self._args.service),
                    # Stable is deleted only with its database, which must not go before its pods.
                    **(DELETE_IN_BACKGROUND if self._args.track == "canary" else {}),
                },
            },
            spec={
                "replicas": self._args.replicas,
                "selector": {"match_labels": self._labels.selector},
                "progress_deadline_seconds": service.rollout_timeout_seconds,
                "revision_history_limit": 3,
                "strategy": {
                    "type": "RollingUpdate",
                    "rolling_update": {"max_surge": MAX_SURGE, "max_unavailable": 0},
                },
                "template": {
                    "metadata": {
                        "labels": self._labels.all,
                        "annotations": {
                            SETTINGS_ANNOTATION: self._args.fingerprint,
                            **scrape_annotations(service, self._args.metrics_path),
                        },
                    },
                    "spec": self._pod(),
                },
            },
            opts=pulumi.ResourceOptions.merge(self._options, pulumi.ResourceOptions(depends_on=list(self._args.after))),
        )

    def _pod(self) -> k8s.core.v1.PodSpecArgsDict:
        service = self._args.service
        ports: list[k8s.core.v1.ContainerPortArgsDict] = [{"name": "http", "container_port": service.port}]
        if service.metrics_port:
            ports.append({"name": "metrics", "container_port": service.metrics_port})
        live: k8s.core.v1.ProbeArgsDict = {"http_get": {"path": service.liveness_path, "port": "http"}}
        ready: k8s.core.v1.ProbeArgsDict = {"http_get": {"path": service.readiness_path, "port": "http"}}
        container = restricted_container(
            {
                "name": service.name,
                "image": self._args.image,
                "ports": ports,
                "env_from": [self._args.platform, *self._sources],
                "resources": service_resources(service),
                "startup_probe": {**live, "period_seconds": 1, "failure_threshold": service.rollout_timeout_seconds},
                "liveness_probe": {**live, "period_seconds": 10, "timeout_seconds": 5, "failure_threshold": 3},
                "readiness_probe": {**ready, "period_seconds": 2, "timeout_seconds": 5, "failure_threshold": 3},
                # The pod serves on while endpoints update. Needs no shell in the image, but Kubernetes 1.30 or later.
                "lifecycle": {"pre_stop": {"sleep": {"seconds": service.pre_stop_seconds}}}
                if service.pre_stop_seconds
                else {},
                "volume_mounts": [{"name": "tmp", "mount_path": "/tmp"}],  # noqa: S108 inside the container
            }
        )
        return restricted_pod(
            SERVICE_UID,
            {
                "containers": [container],
                "volumes": [temporary_files(service)],
                "termination_grace_period_seconds": service.pre_stop_seconds + DRAIN_SECONDS,
                "topology_spread_constraints": self._spread(),
            },
            self._args.pull_secret,
            self._args.identity,
        )

    def _spread(self) -> list[k8s.core.v1.TopologySpreadConstraintArgsDict]:
        """Spread the pods over nodes, and over zones if there are any.

        Both are preferences: when a zone is down, its pods must start in the others. Where nodes have no zone label,
        the scheduler would ignore all of them for both.
        """
        keys = [*([ZONE_LABEL] if self._args.has_zones else []), HOST_LABEL]
        return [
            {
                "max_skew": 1,
                "topology_key": key,
                "when_unsatisfiable": "ScheduleAnyway",
                "label_selector": {"match_labels": self._labels.selector},
                "match_label_keys": ["pod-template-hash"],
            }
            for key in keys
        ]

    def _service(self) -> k8s.core.v1.Service:
        service = self._args.service
        ports: list[k8s.core.v1.ServicePortArgsDict] = [{"name": "http", "port": 80, "target_port": "http"}]
        if service.metrics_port:
            ports.append({"name": "metrics", "port": service.metrics_port, "target_port": "metrics"})
        return k8s.core.v1.Service(
            self._name,
            metadata={
                "name": self._name,
                "namespace": self._args.namespace,
                "labels": self._labels.all,
                # The Deployment is awaited already; its endpoints need no second wait.
                "annotations": {"pulumi.com/skipAwait": "true"},
            },
            spec={"selector": self._labels.selector, "ports": ports},
            opts=self._options,
        )
