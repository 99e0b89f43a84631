"""An existing Kubernetes cluster, named by its context in the kubeconfig."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pulumi
import pulumi_kubernetes as k8s
import yaml

from components.component import Component
from components.kubernetes_access import kubernetes_provider


def kubeconfig_files() -> list[Path]:
    """Return the files that kubectl reads: those of KUBECONFIG, else ~/.kube/config."""
    listed = os.environ.get("KUBECONFIG", "")
    return [Path(part) for part in listed.split(os.pathsep) if part] or [Path.home() / ".kube" / "config"]


def kube_contexts() -> list[str]:
    """Return the names of the contexts in the kubeconfig. Files that cannot be read are skipped, as kubectl does."""
    names: list[str] = []
    for file in kubeconfig_files():
        try:
            content = yaml.safe_load(file.read_text())
        except (OSError, yaml.YAMLError):
            continue
        contexts: list[Any] = cast(dict[str, Any], content).get("contexts") or [] if isinstance(content, dict) else []
        names += [str(context["name"]) for context in contexts]
    return names


@dataclass(frozen=True)
class ClusterArgs:
    """Which cluster to use."""

    #: An existing kubeconfig context.
    context: str


class Cluster(Component):
    """Access to an existing cluster. Credentials stay in the kubeconfig; none enter the state."""

    #: The provider for the cluster.
    kubernetes: k8s.Provider

    def __init__(self, name: str, args: ClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("local:Cluster", name, opts)
        self.kubernetes = kubernetes_provider(
            None, identifier=args.context, opts=pulumi.ResourceOptions(parent=self), context=args.context
        )
        self.register_outputs({"context": args.context})
