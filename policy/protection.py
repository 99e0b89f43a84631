"""In production nothing that holds data, or that users depend on, is deleted by a slip.

Production is told by the stack's name, which nobody changes in passing: the patterns are in policy-config.json. A stack
that is to be taken down is listed there as `retiring`, in a change that somebody else reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatch
from typing import Any

from pulumi_policy import EnforcementLevel, PolicyConfigSchema, ResourceValidationPolicy

from policy.judging import Judge, Resource, at, judge_types, stack_of

#: For each type, the properties that must have a value. The engine's own `protect` is asked of all.
PROTECTED: Mapping[str, Mapping[tuple[str, ...], Any]] = {
    "digitalocean:index/kubernetesCluster:KubernetesCluster": {},
    "digitalocean:index/containerRegistry:ContainerRegistry": {},
    "digitalocean:index/databaseCluster:DatabaseCluster": {},
    "digitalocean:index/databaseDb:DatabaseDb": {},
    "gcp:container/cluster:Cluster": {("deletionProtection",): True},
    "gcp:artifactregistry/repository:Repository": {},
    "gcp:sql/database:Database": {},
    "gcp:sql/databaseInstance:DatabaseInstance": {
        ("deletionProtection",): True,
        ("settings", "deletionProtectionEnabled"): True,
        ("settings", "backupConfiguration", "enabled"): True,
    },
    "aws:eks/cluster:Cluster": {("deletionProtection",): True},
    "aws:ecr/repository:Repository": {},
    "aws:kms/key:Key": {},
    "aws:rds/instance:Instance": {("deletionProtection",): True},
    "aws:rds/cluster:Cluster": {("deletionProtection",): True},
}
#: Properties that must not be true: they take along what the stack did not make, or leave no way back.
FORBIDDEN: Mapping[str, tuple[str, ...]] = {
    "digitalocean:index/kubernetesCluster:KubernetesCluster": ("destroyAllAssociatedResources",),
    "aws:ecr/repository:Repository": ("forceDelete",),
    "aws:rds/instance:Instance": ("skipFinalSnapshot",),
    "aws:rds/cluster:Cluster": ("skipFinalSnapshot",),
}
REMEDY = {
    "skipFinalSnapshot": "`pulumi config set finalSnapshot true`",
    "": "`pulumi config set deletionProtection true`",
}


def _is_production(resource: Resource) -> bool:
    config, stack = resource.get_config(), stack_of(resource)
    return stack not in config.get("retiring", []) and any(fnmatch(stack, each) for each in config.get("stacks", []))


def _protected(resource: Resource) -> str | None:
    return None if resource.opts.protect else _message(resource, "`protect` is not set")


def _demanded(path: tuple[str, ...], value: Any) -> Judge[Resource]:
    def judge(resource: Resource) -> str | None:
        return None if at(resource.props, *path) == value else _message(resource, f"{'.'.join(path)} is not {value!r}")

    return judge


def _forbidden(key: str) -> Judge[Resource]:
    def judge(resource: Resource) -> str | None:
        return _message(resource, f"{key} is true", REMEDY.get(key)) if resource.props.get(key) is True else None

    return judge


def _message(resource: Resource, wrong: str, remedy: str | None = None) -> str:
    stack = stack_of(resource)
    return (
        f"`{stack}` is a production stack, and {wrong}: {remedy or REMEDY['']}. To take the stack down, list it first"
        " at deletion-protection.retiring in policy/policy-config.json"
    )


def _in_production(judge: Judge[Resource]) -> Judge[Resource]:
    return lambda resource: judge(resource) if _is_production(resource) else None


_NAMES = {"type": "array", "items": {"type": "string"}}

POLICIES = [
    ResourceValidationPolicy(
        name="deletion-protection",
        description="Clusters, registries, databases and their keys are protected in production.",
        enforcement_level=EnforcementLevel.MANDATORY,
        config_schema=PolicyConfigSchema(
            properties={"stacks": _NAMES, "retiring": _NAMES}, required=["stacks", "retiring"]
        ),
        validate=judge_types(
            {
                kind: [
                    _in_production(judge)
                    for judge in (
                        _protected,
                        *[_demanded(path, value) for path, value in demanded.items()],
                        *[_forbidden(key) for key in FORBIDDEN.get(kind, ())],
                    )
                ]
                for kind, demanded in PROTECTED.items()
            }
        ),
    ),
]
