"""The DOKS cluster and its workers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def test_the_pool_may_grow_by_itself(graph: Callable[..., Any]):
    workers = graph(nodeCount=2, maxNodeCount=6).one("KubernetesNodePool").inputs
    assert workers["autoScale"] is True
    assert (workers["minNodes"], workers["maxNodes"]) == (2, 6)
    assert "nodeCount" not in workers, "setting it would undo what the autoscaler did"


def test_number_and_size_of_the_workers_leave_the_cluster_as_it_is(graph: Callable[..., Any]):
    before, after = graph(), graph(nodeCount=7, nodeSize="s-4vcpu-8gb")
    assert before.one("KubernetesCluster").inputs == after.one("KubernetesCluster").inputs
    assert after.one("KubernetesNodePool").inputs["size"] == "s-4vcpu-8gb"


def test_an_interrupted_up_knows_the_name_that_it_has_begun_the_pool_with(graph: Callable[..., Any]):
    def name(**changed: Any) -> Any:
        return graph(**changed).one("RandomId").inputs

    workers = graph().one("KubernetesNodePool").inputs
    assert workers["name"] == "workers-0a1b2c"
    assert name()["keepers"] == {"cluster": workers["clusterId"], "size": workers["size"]}, "these replace a pool"
    assert name(nodeCount=7, maxNodeCount=9) == name()
    assert name(nodeSize="s-4vcpu-8gb") != name(), "the next pool can't be made while this one has the name"


def test_workloads_come_after_the_nodes(graph: Callable[..., Any]):
    made = graph()
    (provider,) = made.all("kubernetes")
    assert made.one("KubernetesNodePool").urn in provider.dependencies


def test_credentials_in_the_state_are_short_lived(graph: Callable[..., Any]):
    assert graph().one("KubernetesCluster").inputs["kubeconfigExpireSeconds"] <= 3600
