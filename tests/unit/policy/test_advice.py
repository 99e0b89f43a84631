"""Advisory policies: large sizes, missing tags."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from pulumi_policy import EnforcementLevel

from policy.costs import cpus
from tests.unit.policy.conftest import BY_NAME, Verdict
from tests.unit.policy.workload import DEPLOYMENT, deployment

Check = Callable[..., Verdict]
POOL = "digitalocean:index/kubernetesNodePool:KubernetesNodePool"


@pytest.mark.parametrize(
    ("size", "processors"),
    [
        ("s-2vcpu-2gb", 2),
        ("s-16vcpu-64gb", 16),
        ("db-s-1vcpu-1gb", 1),
        ("g-32vcpu-128gb", 32),
        ("c-16", 16),
        ("db-custom-4-15360", 4),
        ("db-perf-optimized-N-8", 8),
        ("db-n1-standard-16", 16),
        ("db-f1-micro", None),
        ("t3.small", 2),
        ("m7i.xlarge", 4),
        ("db.m7g.4xlarge", 16),
        ("m7i.metal-24xl", 96),
        ("something", None),
    ],
)
def test_processors_of_a_size(size: str, processors: int | None):
    assert cpus(size) == processors


@pytest.mark.parametrize(
    ("kind", "props", "message"),
    [
        (POOL, {"size": "s-16vcpu-64gb", "nodeCount": 3}, "nodeSize"),
        (POOL, {"size": "s-2vcpu-2gb", "nodeCount": 11}, "nodeCount 11 is more than 10"),
        (POOL, {"size": "s-2vcpu-2gb", "minNodes": 3, "maxNodes": 40}, "maxNodeCount"),
        ("digitalocean:index/databaseCluster:DatabaseCluster", {"size": "db-s-16vcpu-64gb"}, "databaseSize"),
        ("gcp:sql/databaseInstance:DatabaseInstance", {"settings": {"tier": "db-custom-16-61440"}}, "databaseSize"),
        ("aws:ec2/launchTemplate:LaunchTemplate", {"instanceType": "m7i.4xlarge"}, "nodeSize"),
        ("aws:eks/nodeGroup:NodeGroup", {"scalingConfig": {"maxSize": 20}}, "nodeCount"),
        ("aws:rds/instance:Instance", {"instanceClass": "db.m7g.8xlarge"}, "databaseSize"),
    ],
)
def test_large_sizes_get_advice(check: Check, kind: str, props: dict[str, Any], message: str):
    verdict = check("costs", kind, props)
    assert len(verdict.messages) == 1
    assert message in str(verdict)
    assert check("costs", kind, props, config={"cpus": 1000, "nodes": 1000}) == Verdict()


def test_many_replicas_get_advice(check: Check):
    many = deployment()
    many["spec"]["replicas"] = 31
    assert "stableReplicas" in str(check("costs", DEPLOYMENT, many))
    assert check("costs", DEPLOYMENT, deployment()) == Verdict()


TAGS = {"pulumi-project": "addressbook", "pulumi-stack": "prod"}


@pytest.mark.parametrize(
    ("kind", "good", "provider"),
    [
        (POOL, {"tags": ["pulumi-project:addressbook", "pulumi-stack:prod"]}, {}),
        ("gcp:container/cluster:Cluster", {"resourceLabels": TAGS}, {}),
        ("gcp:sql/databaseInstance:DatabaseInstance", {"settings": {"userLabels": TAGS}}, {}),
        ("aws:rds/instance:Instance", {"tags": TAGS}, {}),
        ("aws:rds/instance:Instance", {"tags": {"Name": "x"}}, {"defaultTags": {"tags": TAGS}}),
        ("aws:rds/instance:Instance", {}, {"defaultTags": json.dumps({"tags": TAGS})}),
        (DEPLOYMENT, {"metadata": {"labels": {"app.kubernetes.io/name": "a", "app.kubernetes.io/part-of": "a"}}}, {}),
    ],
)
def test_missing_tags_get_advice(check: Check, kind: str, good: dict[str, Any], provider: dict[str, Any]):
    assert check("tags", kind, good, provider=provider) == Verdict()
    assert "is missing" in str(check("tags", kind, {}))


def test_advisory_policies_block_nothing():
    assert {name for name, policy in BY_NAME.items() if policy.enforcement_level == EnforcementLevel.ADVISORY} == {
        "api-server-access",
        "costs",
        "no-tags-in-production",
        "tags",
    }
