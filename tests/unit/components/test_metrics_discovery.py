"""How a Prometheus in the cluster finds the pods."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from stacks.parsing import ConfigError, parse

CANARY = {"canaryImage": "source", "canaryReplicas": 1}


def pod_annotations(stack: Any) -> Mapping[str, Mapping[str, str]]:
    """Return Prometheus' annotations on the pods of each Deployment."""
    templates = {each.name: each.inputs["spec"]["template"]["metadata"] for each in stack.all("Deployment")}
    return {
        name: {key: value for key, value in metadata["annotations"].items() if key.startswith("prometheus.io/")}
        for name, metadata in templates.items()
        if name.startswith("addressbook-")
    }


def test_unset_nothing_tells_prometheus_of_the_pods(declare: Callable[..., Any]):
    stack = declare(**CANARY)
    assert not any(pod_annotations(stack).values())
    assert stack.all("PodMonitor") == []


def test_annotations_name_each_tracks_own_metrics(declare: Callable[..., Any]):
    settings = {"metricsDiscovery": "annotations", "metricsPath": "/stats", "canarySettings": {"metricsPort": 9999}}
    found = pod_annotations(declare(**CANARY, **settings))
    common = {"prometheus.io/scrape": "true", "prometheus.io/path": "/stats"}
    assert found["addressbook-stable"] == {**common, "prometheus.io/port": "9464"}
    assert found["addressbook-canary"] == {**common, "prometheus.io/port": "9999"}


def test_a_pod_monitor_selects_both_tracks(declare: Callable[..., Any]):
    stack = declare(**CANARY, metricsDiscovery="podMonitor")
    assert not any(pod_annotations(stack).values())
    monitor = stack.one("PodMonitor")
    assert monitor.inputs["metadata"]["namespace"] == "addressbook"
    assert monitor.inputs["spec"] == {
        "selector": {"matchLabels": {"app": "addressbook"}},
        "podTargetLabels": ["app", "track"],
        "podMetricsEndpoints": [{"port": "metrics", "path": "/metrics"}],
    }


def test_discovery_without_metrics_is_refused():
    values = {"cloud": "local", "metricsDiscovery": "podMonitor", "metricsPort": "0"}
    with pytest.raises(ConfigError, match="metricsDiscovery is set but metricsPort is 0"):
        parse(values, None)
