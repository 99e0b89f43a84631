"""How a Prometheus in the cluster finds the pods' metrics: annotations on the pods, or a PodMonitor."""

from __future__ import annotations

import pulumi
import pulumi_kubernetes as k8s

from contract.settings import ServiceSettings


def scrape_annotations(service: ServiceSettings, path: str) -> dict[str, str]:
    """Return the annotations that Prometheus' usual job for pods reads; none unless the service asks for them."""
    if service.metrics_discovery != "annotations" or not service.metrics_port:
        return {}
    return {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": str(service.metrics_port),
        "prometheus.io/path": path,
    }


def pod_monitor(
    service: ServiceSettings, metadata: k8s.meta.v1.ObjectMetaArgsDict, path: str, options: pulumi.ResourceOptions
) -> k8s.apiextensions.CustomResource:
    """Declare the PodMonitor of both tracks' pods, whose series get the pods' labels ``app`` and ``track``."""
    return k8s.apiextensions.CustomResource(
        "pod-monitor",
        api_version="monitoring.coreos.com/v1",
        kind="PodMonitor",
        metadata=metadata,
        spec={
            "selector": {"matchLabels": {"app": service.name}},
            "podTargetLabels": ["app", "track"],
            "podMetricsEndpoints": [{"port": "metrics", "path": path}],
        },
        opts=options,
    )
