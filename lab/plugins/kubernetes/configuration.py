"""The provider's own arguments, and when a change of them means another cluster."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lab.plugins.difference import Difference, difference
from lab.plugins.kubernetes.kinds import INSTALL_OFFICIAL
from lab.plugins.kubernetes.kubeconfig import active_cluster
from lab.plugins.properties import UNKNOWN, Properties, plain
from lab.plugins.provider import Failure

_CLUSTER_ARGUMENTS = ("kubeconfig", "context")
_COVERED = {
    *_CLUSTER_ARGUMENTS,
    "clusterIdentifier",
    "deleteUnreachable",
    "enableConfigMapMutable",
    "enablePatchForce",
    "enableSecretMutable",
    "enableServerSideApply",
    "namespace",
    "pluginDownloadURL",
    "suppressDeprecationWarnings",
    "suppressHelmHookWarnings",
    "version",
}


@dataclass(frozen=True)
class Settings:
    """The provider's arguments, with the environment's values where an argument is unset."""

    namespace: str = ""
    patch_force: bool | None = None
    """None: not configured, so the object decides."""
    mutable_config_maps: bool = False
    mutable_secrets: bool = False
    delete_unreachable: bool = False

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> Settings:
        """Read the settings from the provider's arguments."""
        return cls(
            namespace=arguments.get("namespace") or "",
            patch_force=_flag(arguments, "enablePatchForce", "PULUMI_K8S_ENABLE_PATCH_FORCE"),
            mutable_config_maps=bool(_flag(arguments, "enableConfigMapMutable", "PULUMI_K8S_ENABLE_CONFIGMAP_MUTABLE")),
            mutable_secrets=bool(_flag(arguments, "enableSecretMutable", "PULUMI_K8S_ENABLE_SECRET_MUTABLE")),
            delete_unreachable=bool(_flag(arguments, "deleteUnreachable", "PULUMI_K8S_DELETE_UNREACHABLE")),
        )


def _flag(arguments: Mapping[str, Any], name: str, variable: str) -> bool | None:
    value = arguments.get(name)
    if value is None:
        value = os.environ.get(variable)
    # The engine passes a provider's booleans as text.
    return None if value is None else value is True or value == "true"


def failures(arguments: Mapping[str, Any]) -> list[Failure]:
    """Return a failure for each argument that this stand-in does not cover."""
    given = {name for name, value in plain(dict(arguments)).items() if value not in (None, False, "false", "")}
    wrong = given - _COVERED
    if arguments.get("enableServerSideApply") in (False, "false"):
        wrong.add("enableServerSideApply")
    return [Failure(name, f"is not covered by the lab's stand-in. {INSTALL_OFFICIAL}") for name in sorted(wrong)]


def compare(old: Properties, new: Properties) -> Difference:
    """Compare the provider's arguments. Another cluster replaces the provider and everything it made.

    An equal `clusterIdentifier` means the same cluster, whatever else changes. Without one, a different cluster entry
    in the kubeconfig means another cluster, and so does a value that is still unknown.
    """
    olds, news = plain(old), plain(new)
    changes = difference(olds, news, ignore=["version"])
    before, after = olds.get("clusterIdentifier"), news.get("clusterIdentifier")
    if not changes or (before is not None and before == after):
        return changes
    if before is not None and after is not None:
        changes.replace.add(("clusterIdentifier",))
    old_cluster, new_cluster = active_cluster(olds), active_cluster(news)
    known = old_cluster is not None and new_cluster is not None
    if new_cluster is UNKNOWN or (known and old_cluster != new_cluster):
        changes.replace |= {(name,) for name in _CLUSTER_ARGUMENTS if (name,) in changes.paths}
    return changes
