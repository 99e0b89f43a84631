"""Advise on sizes that cost a lot; never block."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pulumi_policy import EnforcementLevel, PolicyConfigSchema, ResourceValidationPolicy

from policy.rules import Resource, Rule, at, check_types

#: How size names encode processors: DigitalOcean's slugs, Google's custom and predefined machine types, AWS's sizes.
_SLUG = re.compile(r"-(\d+)vcpu(?:-|$)|^(?:c|g|gd|m|so|c2)-(\d+)(?:vcpu)?(?:-|$)")
_CUSTOM = re.compile(r"^db-custom-(\d+)-|^db-[A-Za-z0-9-]+-(\d+)$")
_AWS = re.compile(r"\.(\d*)(nano|micro|small|medium|large|xlarge|metal)(?:-|$)")
#: Processors of an AWS size without a number (EC2 and RDS instance types); `xlarge` is 4, and `4xlarge` 4 times that.
_AWS_CPUS = {"nano": 2, "micro": 2, "small": 2, "medium": 2, "large": 2, "xlarge": 4, "metal": 96}


def cpus(size: str) -> int | None:
    """Return the number of processors of a machine size; None if its name does not tell."""
    if match := _AWS.search(size):
        return _AWS_CPUS[match[2]] * int(match[1] or 1)
    if match := _CUSTOM.search(size) or _SLUG.search(size):
        return int(match[1] or match[2])
    return None


def _size(*path: str, key: str) -> Rule[Resource]:
    def rule(resource: Resource) -> str | None:
        size, limit = str(at(resource.props, *path) or ""), int(resource.get_config().get("cpus", 0))
        count = cpus(size)
        if count is None or count <= limit:
            return None
        return _advice(f"{'.'.join(path)} {size} has {count} processors, more than {limit}", key, "cpus")

    return rule


def _number(*path: str, key: str, limit: str) -> Rule[Resource]:
    def rule(resource: Resource) -> str | None:
        number, allowed = int(at(resource.props, *path) or 0), int(resource.get_config().get(limit, 0))
        return _advice(f"{'.'.join(path)} {number} is more than {allowed}", key, limit) if number > allowed else None

    return rule


def _advice(what: str, key: str, limit: str) -> str:
    return f"{what}: check that this is intended (config key {key}; limit costs.{limit} in policy/policy-config.json)"


RULES: Mapping[str, list[Rule[Resource]]] = {
    "digitalocean:index/kubernetesNodePool:KubernetesNodePool": [
        _size("size", key="nodeSize"),
        _number("nodeCount", key="nodeCount", limit="nodes"),
        _number("maxNodes", key="maxNodeCount", limit="nodes"),
    ],
    "digitalocean:index/databaseCluster:DatabaseCluster": [_size("size", key="databaseSize")],
    "gcp:sql/databaseInstance:DatabaseInstance": [_size("settings", "tier", key="databaseSize")],
    "aws:ec2/launchTemplate:LaunchTemplate": [_size("instanceType", key="nodeSize")],
    "aws:eks/nodeGroup:NodeGroup": [_number("scalingConfig", "maxSize", key="nodeCount", limit="nodes")],
    "aws:rds/instance:Instance": [_size("instanceClass", key="databaseSize")],
    "kubernetes:apps/v1:Deployment": [
        _number("spec", "replicas", key="stableReplicas or canaryReplicas", limit="replicas")
    ],
}

POLICIES = [
    ResourceValidationPolicy(
        name="costs",
        description="Expensive sizes are chosen on purpose.",
        enforcement_level=EnforcementLevel.ADVISORY,
        config_schema=PolicyConfigSchema(
            properties={limit: {"type": "integer"} for limit in ("nodes", "cpus", "replicas")},
            required=["nodes", "cpus", "replicas"],
        ),
        validate=check_types(RULES),
    ),
]
