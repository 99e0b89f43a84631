"""The provider's own arguments: which it understands, and when a change of them means another cluster."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lab.plugins.difference import Difference, difference
from lab.plugins.kubernetes.kubeconfig import active_cluster
from lab.plugins.kubernetes.writing import Mode
from lab.plugins.properties import Properties, Unknown, plain
from lab.plugins.provider import Failure

# Any of these may lead to another cluster.
_CLUSTER_ARGUMENTS = ("kubeconfig", "context", "cluster")
OFFICIAL_ONLY = "that is what the official provider can do and this stand-in can't"


@dataclass(frozen=True)
class Settings:
    """The provider's arguments, with what the environment adds."""

    namespace: str = ""
    mode: Mode = field(default_factory=Mode)
    mutable_config_maps: bool = False
    mutable_secrets: bool = False
    delete_unreachable: bool = False
    skip_update_unreachable: bool = False


def _flag(arguments: Mapping[str, Any], name: str, variable: str) -> bool | None:
    """An argument, else the environment's value, else None. The engine passes booleans as text, too."""
    value = arguments.get(name)
    if value is None:
        value = os.environ.get(variable)
    return None if value is None else value is True or value == "true"


def settings(arguments: Mapping[str, Any]) -> Settings:
    """The settings in the provider's arguments."""
    server_side = _flag(arguments, "enableServerSideApply", "PULUMI_K8S_ENABLE_SERVER_SIDE_APPLY")
    force = arguments.get("enablePatchForce")
    return Settings(
        namespace=arguments.get("namespace") or "",
        mode=Mode(
            server_side_apply=server_side is not False,
            upsert=bool(_flag(arguments, "upsertExistingObjects", "PULUMI_K8S_UPSERT_EXISTING_OBJECTS")),
            patch_force=None if force is None else force is True or force == "true",
        ),
        mutable_config_maps=bool(_flag(arguments, "enableConfigMapMutable", "PULUMI_K8S_ENABLE_CONFIGMAP_MUTABLE")),
        mutable_secrets=bool(_flag(arguments, "enableSecretMutable", "PULUMI_K8S_ENABLE_SECRET_MUTABLE")),
        delete_unreachable=bool(_flag(arguments, "deleteUnreachable", "PULUMI_K8S_DELETE_UNREACHABLE")),
        skip_update_unreachable=bool(_flag(arguments, "skipUpdateUnreachable", "PULUMI_K8S_SKIP_UPDATE_UNREACHABLE")),
    )


def failures(arguments: Mapping[str, Any]) -> list[Failure]:
    """What is wrong with the provider's arguments."""
    found: list[Failure] = []
    if arguments.get("renderYamlToDirectory"):
        found.append(Failure("renderYamlToDirectory", f"rendering YAML files: {OFFICIAL_ONLY}."))
    if _strict(arguments):
        found += [
            Failure(name, f'strict mode requires Provider "{name}" argument')
            for name in ("kubeconfig", "context")
            if not arguments.get(name) and not isinstance(arguments.get(name), Unknown)
        ]
    return found


def _strict(arguments: Mapping[str, Any]) -> bool:
    configured = json.loads(os.environ.get("PULUMI_CONFIG") or "{}").get("strictMode")
    return arguments.get("strictMode", configured) in (True, "true")


def compare(old: Properties, new: Properties) -> Difference:
    """What changed, and whether it means another cluster: then everything that the provider made is replaced.

    With an unchanged `clusterIdentifier` it is the same cluster whatever else changes. Without one, a change of the
    cluster's entry in the kubeconfig is taken for another cluster, and so is a value that isn't known yet.
    """
    olds, news = plain(old), plain(new)
    changes = difference(olds, news, ignore=["version"])
    if not changes:
        return changes
    before, after = olds.get("clusterIdentifier"), news.get("clusterIdentifier")
    if before is not None and after is not None:
        if before != after:
            changes.replace.add(("clusterIdentifier",))
        if before == after:
            return changes
    unknown = [name for name in _CLUSTER_ARGUMENTS if isinstance(news.get(name), Unknown)]
    if unknown:
        changes.replace |= {(name,) for name in unknown}
        return changes
    old_cluster, new_cluster = (active_cluster(each.get("kubeconfig"), each) for each in (olds, news))
    if old_cluster is not None and new_cluster is not None and old_cluster != new_cluster:
        changes.replace |= {(name,) for name in _CLUSTER_ARGUMENTS if (name,) in changes.paths}
    return changes
