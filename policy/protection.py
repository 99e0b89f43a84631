"""Production resources that hold data, or that users depend on, are protected from deletion.

The stack's name decides what is production (patterns in policy-config.json). To take a stack down, list it there as
`retiring`, in a reviewed change.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatch
from typing import Any

from pulumi_policy import EnforcementLevel, PolicyConfigSchema, ResourceValidationPolicy

from policy.rules import Resource, Rule, at, check_types, stack_of

#: Properties that must have this value, by type. Every type must also have the engine's `protect`.
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
        ("settings", "finalBackupConfig", "enabled"): True,
    },
    "aws:eks/cluster:Cluster": {("deletionProtection",): True},
    "aws:ecr/repository:Repository": {},
    "aws:kms/key:Key": {},
    "aws:rds/instance:Instance": {("deletionProtection",): True},
    "aws:rds/cluster:Cluster": {("deletionProtection",): True},
}
#: Properties that must not be true: they delete what the stack did not create, or make a deletion final.
FORBIDDEN: Mapping[str, tuple[str, ...]] = {
    "digitalocean:index/kubernetesCluster:KubernetesCluster": ("destroyAllAssociatedResources",),
    "aws:ecr/repository:Repository": ("forceDelete",),
    "aws:rds/instance:Instance": ("skipFinalSnapshot",),
    "aws:rds/cluster:Cluster": ("skipFinalSnapshot",),
}
LAST_BACKUP = "`pulumi config set finalSnapshot true`"
REMEDY = {
    "skipFinalSnapshot": LAST_BACKUP,
    "settings.finalBackupConfig.enabled": LAST_BACKUP,
    "": "`pulumi config set deletionProtection true`",
}


def _is_production(resource: Resource) -> bool:
    config, stack = resource.get_config(), stack_of(resource)
    return stack not in config.get("retiring", []) and any(fnmatch(stack, each) for each in config.get("stacks", []))


def _protected(resource: Resource) -> str | None:
    return None if resource.opts.protect else _message(resource, "`protect` is not set")


def _required(path: tuple[str, ...], value: Any) -> Rule[Resource]:
    name = ".".join(path)

    def rule(resource: Resource) -> str | None:
        if at(resource.props, *path) == value:
            return None
        return _message(resource, f"{name} is not {value!r}", REMEDY.get(name))

    return rule


def _forbidden(key: str) -> Rule[Resource]:
    def rule(resource: Resource) -> str | None:
        return _message(resource, f"{key} is true", REMEDY.get(key)) if resource.props.get(key) is True else None

    return rule


def _message(resource: Resource, wrong: str, remedy: str | None = None) -> str:
    stack = stack_of(resource)
    return (
        f"`{stack}` is a production stack, but {wrong}: {remedy or REMEDY['']}. To take the stack down, first list it"
        " at deletion-protection.retiring in policy/policy-config.json"
    )


def _in_production(rule: Rule[Resource]) -> Rule[Resource]:
    return lambda resource: rule(resource) if _is_production(resource) else None


_NAMES = {"type": "array", "items": {"type": "string"}}

POLICIES = [
    ResourceValidationPolicy(
        name="deletion-protection",
        description="Clusters, registries, databases and their keys are protected in production.",
        enforcement_level=EnforcementLevel.MANDATORY,
        config_schema=PolicyConfigSchema(
            properties={"stacks": _NAMES, "retiring": _NAMES}, required=["stacks", "retiring"]
        ),
        validate=check_types(
            {
                kind: [
                    _in_production(rule)
                    for rule in (
                        _protected,
                        *[_required(path, value) for path, value in demanded.items()],
                        *[_forbidden(key) for key in FORBIDDEN.get(kind, ())],
                    )
                ]
                for kind, demanded in PROTECTED.items()
            }
        ),
    ),
]
