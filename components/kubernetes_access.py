"""Access to a cloud's cluster with short-lived credentials that the cloud's own command hands out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s


@dataclass(frozen=True)
class ExecCredentials:
    """A command that prints an ExecCredential of ``api_version`` (client-go credential plugins)."""

    command: str
    args: Sequence[str]
    api_version: str = "client.authentication.k8s.io/v1beta1"


def exec_kubeconfig(name: str, endpoint: str, ca: str, credentials: ExecCredentials) -> str:
    """A kubeconfig (JSON, which is YAML) that holds no credentials, only the command that gets them.

    ``endpoint`` is the API server's URL; ``ca`` its authority's certificate, PEM in base64.
    """
    user = {
        "exec": {
            "apiVersion": credentials.api_version,
            "command": credentials.command,
            "args": list(credentials.args),
            "interactiveMode": "Never",
        }
    }
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [{"name": name, "cluster": {"server": endpoint, "certificate-authority-data": ca}}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
    }
    return json.dumps(document, indent=2)


def kubernetes_provider(
    kubeconfig: pulumi.Input[str], identifier: pulumi.Input[str], opts: pulumi.ResourceOptions
) -> k8s.Provider:
    """The provider for what runs on a cluster.

    ``identifier`` is what makes it that cluster: with the same one, new credentials or a new endpoint replace nothing.
    """
    return k8s.Provider(
        "kubernetes",
        kubeconfig=kubeconfig,
        cluster_identifier=identifier,
        enable_server_side_apply=True,
        # What Git says holds: a field that somebody took over by hand (`kubectl scale`) is taken back.
        enable_patch_force=True,
        # Secrets and ConfigMaps keep their names when they change; the pods are rolled by a hash.
        enable_config_map_mutable=True,
        enable_secret_mutable=True,
        opts=opts,
    )
