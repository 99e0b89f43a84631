"""The node group, and images that run on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pulumi
import pytest

from components.aws.nodes import is_arm


def test_resizing_the_nodes_replaces_nothing(graph: Callable[..., Any]):
    before, after = graph(), graph(nodeCount=7, nodeSize="m7i.large")
    assert before.one("NodeGroup").inputs["scalingConfig"] == {"desiredSize": 3, "minSize": 3, "maxSize": 3}
    assert after.one("NodeGroup").inputs["scalingConfig"]["desiredSize"] == 7
    # These properties are immutable. The size is in the launch template, whose new version replaces the nodes.
    for immutable in ("amiType", "capacityType", "clusterName", "nodeRoleArn", "subnetIds"):
        assert before.one("NodeGroup").inputs[immutable] == after.one("NodeGroup").inputs[immutable], immutable
    for graph_ in (before, after):
        assert not {"instanceTypes", "diskSize"} & graph_.one("NodeGroup").inputs.keys()
    assert after.one("LaunchTemplate").inputs["instanceType"] == "m7i.large"
    assert after.one("NodeGroup").inputs["updateConfig"] == {"maxUnavailable": 1}
    assert "releaseVersion" not in after.one("NodeGroup").inputs, "it would undo patches"
    assert after.one("NodeGroup").inputs["launchTemplate"] == {"id": "nodes-id", "version": "4"}
    assert before.one("RandomId").inputs == after.one("RandomId").inputs, "a new name replaces the group"


def test_the_node_groups_random_name_is_kept_in_the_state(graph: Callable[..., Any]):
    stack = graph()
    nodes = stack.one("NodeGroup").inputs
    assert nodes["nodeGroupName"] == "nodes-0a1b2c"
    assert stack.one("RandomId").inputs["keepers"] == {
        "cluster": nodes["clusterName"],
        "image": nodes["amiType"],
        "role": nodes["nodeRoleArn"],
        "subnets": ",".join(nodes["subnetIds"]),
        "template": nodes["launchTemplate"]["id"],
    }, "each of these replaces the group, whose successor needs another name"


@pytest.mark.parametrize(
    ("size", "arm"), [("t3.small", False), ("t4g.small", True), ("m7gd.large", True), ("g5.xlarge", False)]
)
def test_processors_by_instance_type(size: str, arm: bool):
    assert is_arm(size) is arm


def test_images_must_run_on_the_nodes(graph: Callable[..., Any]):
    with pytest.raises(pulumi.RunError, match=r"t4g\.small run linux/arm64"):
        graph(nodeSize="t4g.small")
    stack = graph(nodeSize="t4g.small", buildPlatform="linux/arm64")
    assert stack.one("NodeGroup").inputs["amiType"] == "AL2023_ARM_64_STANDARD"
