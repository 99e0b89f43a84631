"""The DOKS cluster and its workers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pulumi
import pytest


def test_the_pool_can_autoscale(graph: Callable[..., Any]):
    workers = graph(nodeCount=2, maxNodeCount=6).one("KubernetesNodePool").inputs
    assert workers["autoScale"] is True
    assert (workers["minNodes"], workers["maxNodes"]) == (2, 6)
    assert list(graph(nodeCount=2, maxNodeCount=6).one("KubernetesNodePool").options.ignoreChanges) == ["nodeCount"]
    fixed = graph(nodeCount=2).one("KubernetesNodePool")
    assert (fixed.inputs["autoScale"], fixed.inputs["nodeCount"]) == (False, 2)
    assert not fixed.options.ignoreChanges


def test_a_rollout_shorter_than_a_new_node_is_warned_of(graph: Callable[..., Any], monkeypatch: pytest.MonkeyPatch):
    warnings: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", lambda text, *_, **__: warnings.append(text))
    graph(maxNodeCount=6)
    assert [text.partition(":")[0] for text in warnings] == ["rolloutTimeoutSeconds = 120"]
    del warnings[:]
    graph()
    graph(maxNodeCount=6, rolloutTimeoutSeconds=300)
    assert warnings == []


def test_resizing_the_workers_does_not_change_the_cluster(graph: Callable[..., Any]):
    before, after = graph(), graph(nodeCount=7, nodeSize="s-4vcpu-8gb")
    assert before.one("KubernetesCluster").inputs == after.one("KubernetesCluster").inputs
    assert after.one("KubernetesNodePool").inputs["size"] == "s-4vcpu-8gb"


def test_the_pools_random_name_is_kept_in_the_state(graph: Callable[..., Any]):
    def name(**changed: Any) -> Any:
        return graph(**changed).one("RandomId").inputs

    workers = graph().one("KubernetesNodePool").inputs
    assert workers["name"] == "workers-0a1b2c"
    assert name()["keepers"] == {"cluster": workers["clusterId"], "size": workers["size"]}, (
        "each of these replaces the pool"
    )
    assert name(nodeCount=7, maxNodeCount=9) == name()
    assert name(nodeSize="s-4vcpu-8gb") != name(), "the next pool needs another name"


def test_workloads_wait_for_the_nodes(graph: Callable[..., Any]):
    stack = graph()
    (provider,) = stack.all("kubernetes")
    assert stack.one("KubernetesNodePool").urn in provider.dependencies


def test_credentials_in_the_state_are_short_lived(graph: Callable[..., Any]):
    assert graph().one("KubernetesCluster").inputs["kubeconfigExpireSeconds"] <= 3600
