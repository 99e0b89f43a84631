"""Access to a cluster, on clouds with short-lived credentials from the cloud's own command."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as k8s


@dataclass(frozen=True)
class ExecCredentials:
    """A client-go credential plugin: a command that prints an ExecCredential."""

    command: str
    args: Sequence[str]
    #: API version of the ExecCredential.
    api_version: str = "client.authentication.k8s.io/v1beta1"


def exec_kubeconfig(name: str, endpoint: str, ca: str, credentials: ExecCredentials) -> str:
    """Return a kubeconfig (JSON) that contains no credentials, only the command that gets them.

    ``endpoint`` is the API server's URL, ``ca`` its certificate authority (PEM in base64).
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
    kubeconfig: pulumi.Input[str] | None,
    identifier: pulumi.Input[str],
    opts: pulumi.ResourceOptions,
    context: str | None = None,
) -> k8s.Provider:
    """Return the Kubernetes provider of a cluster, reached by a kubeconfig or by a context of the user's kubeconfig.

    ``identifier`` identifies the cluster: as long as it stays the same, new credentials or a new endpoint replace
    nothing.
    """
    return k8s.Provider(
        "kubernetes",
        kubeconfig=kubeconfig,
        context=context,
        cluster_identifier=identifier,
        enable_server_side_apply=True,
        # Git wins: a field changed by hand (`kubectl scale`) is reset.
        enable_patch_force=True,
        # The platform's Secrets change in place, and a fingerprint restarts what reads them. The tracks' settings are
        # immutable objects, which this does not affect.
        enable_config_map_mutable=True,
        enable_secret_mutable=True,
        opts=opts,
    )


def api_client(context: str, kubeconfig: str) -> Any:
    """Return a client (kubernetes.client.ApiClient) of the kubeconfig's cluster, or of a context of the user's own."""
    import yaml
    from kubernetes import config  # takes half a second, which few need

    configurations: Any = config  # the client has no type hints
    if kubeconfig:
        return configurations.new_client_from_config_dict(yaml.safe_load(kubeconfig))
    return configurations.new_client_from_config(context=context)
