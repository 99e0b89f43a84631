"""Resources carry the tags and labels that lead from a bill or a console to the stack."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from pulumi_policy import EnforcementLevel, PolicyConfigSchema, ResourceValidationPolicy

from policy.rules import Resource, Rule, at, check_types

#: Path to the tags of resources that cost money. On AWS, the provider's default tags count too.
TAGGED: Mapping[str, tuple[str, ...]] = {
    "digitalocean:index/kubernetesCluster:KubernetesCluster": ("tags",),
    "digitalocean:index/kubernetesNodePool:KubernetesNodePool": ("tags",),
    "digitalocean:index/databaseCluster:DatabaseCluster": ("tags",),
    "gcp:container/cluster:Cluster": ("resourceLabels",),
    "gcp:sql/databaseInstance:DatabaseInstance": ("settings", "userLabels"),
    "gcp:artifactregistry/repository:Repository": ("labels",),
    "aws:eks/cluster:Cluster": ("tags",),
    "aws:eks/nodeGroup:NodeGroup": ("tags",),
    "aws:rds/instance:Instance": ("tags",),
    "aws:ecr/repository:Repository": ("tags",),
    "aws:kms/key:Key": ("tags",),
    "aws:ec2/vpc:Vpc": ("tags",),
    "aws:ec2/natGateway:NatGateway": ("tags",),
    "aws:ec2/eip:Eip": ("tags",),
}
LABELLED = (
    "kubernetes:apps/v1:Deployment",
    "kubernetes:apps/v1:StatefulSet",
    "kubernetes:apps/v1:DaemonSet",
    "kubernetes:batch/v1:Job",
    "kubernetes:batch/v1:CronJob",
)


def _names(tags: Any) -> Iterable[str]:
    """Return the names of tags: a mapping, or a list of `NAME:VALUE` on DigitalOcean."""
    if isinstance(tags, Mapping):
        return list(cast(Mapping[str, Any], tags))
    return [str(tag).partition(":")[0] for tag in tags or ()]


def _has(config: str, where: Callable[[Resource], Iterable[str]], what: str) -> Rule[Resource]:
    def rule(resource: Resource) -> str | None:
        missing = sorted(set(resource.get_config().get(config, [])) - set(where(resource)))
        return (
            f"{what} {', '.join(missing)} is missing: set it like on the stack's other resources" if missing else None
        )

    return rule


def _tags(path: tuple[str, ...]) -> Callable[[Resource], Iterable[str]]:
    def where(resource: Resource) -> Iterable[str]:
        default = at(resource.provider.props, "defaultTags") if resource.provider else None
        if isinstance(default, str):  # a provider's structured inputs arrive as JSON
            default = json.loads(default)
        return [*_names(at(resource.props, *path)), *_names(at(default, "tags"))]

    return where


def _labels(resource: Resource) -> Iterable[str]:
    return _names(at(resource.props, "metadata", "labels"))


_STRINGS = {"type": "array", "items": {"type": "string"}}

POLICIES = [
    ResourceValidationPolicy(
        name="tags",
        description="Resources that cost money, and workloads, name their owner.",
        enforcement_level=EnforcementLevel.ADVISORY,
        config_schema=PolicyConfigSchema(
            properties={"tags": _STRINGS, "labels": _STRINGS}, required=["tags", "labels"]
        ),
        validate=check_types(
            {
                **{kind: [_has("tags", _tags(path), "tag")] for kind, path in TAGGED.items()},
                **{kind: [_has("labels", _labels, "label")] for kind in LABELLED},
            }
        ),
    ),
]
