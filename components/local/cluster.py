"""A Kubernetes cluster that exists already, named by its context in the kubeconfig."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pulumi
import pulumi_kubernetes as k8s
import yaml

from components.component import Component


def kubeconfig_files() -> list[Path]:
    """Files that kubectl would read: those of KUBECONFIG, else ~/.kube/config (Kubernetes documentation)."""
    listed = os.environ.get("KUBECONFIG", "")
    return [Path(part) for part in listed.split(os.pathsep) if part] or [Path.home() / ".kube" / "config"]


def kube_contexts() -> list[str]:
    """Names of the contexts in the kubeconfig; a file that cannot be read as one has none."""
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
    """``context``: the kubeconfig context; it must exist."""

    context: str


class Cluster(Component):
    """Access to an existing cluster.

    Makes the Kubernetes provider; outputs it as ``kubernetes``. Credentials stay in the kubeconfig, none enter the
    state.
    """

    kubernetes: k8s.Provider

    def __init__(self, name: str, args: ClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("local:Cluster", name, opts)
        self.kubernetes = k8s.Provider(
            "kubernetes",
            context=args.context,
            # New credentials or a new address for the same context never replace what runs on it.
            cluster_identifier=args.context,
            enable_server_side_apply=True,
            # What Git says holds: a field that somebody took over by hand (`kubectl scale`) is taken back.
            enable_patch_force=True,
            # Secrets and ConfigMaps keep their names when they change; the pods are rolled by a hash.
            enable_config_map_mutable=True,
            enable_secret_mutable=True,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({"context": args.context})
