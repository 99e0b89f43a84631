"""Whether a cluster knows the kinds of the Gateway API that Traefik must be able to list."""

from __future__ import annotations

from typing import Any

import pulumi

from components.kubernetes_access import api_client
from contract.errors import invalid_config
from contract.platform import ClusterAccess

#: The release whose definitions Traefik 3.6 needs: BackendTLSPolicy is in version 1 since then.
RELEASE = "v1.4.1"
INSTALL = (
    "kubectl apply --server-side -f"
    f" https://github.com/kubernetes-sigs/gateway-api/releases/download/{RELEASE}/standard-install.yaml"
)
NEEDED = {"gatewayclasses", "gateways", "httproutes", "grpcroutes", "backendtlspolicies"}
ANSWER_SECONDS = 20


def require_definitions(cluster: ClusterAccess) -> pulumi.Output[None]:
    """Return once the cluster is known to have the definitions, also in previews of an existing cluster.

    Raises pulumi.RunError if it does not. A cluster that does not answer is left to the provider, which reports it.
    """
    return pulumi.Output.from_input(cluster.kubeconfig).apply(lambda kubeconfig: _require(cluster.context, kubeconfig))


def _require(context: str, kubeconfig: str) -> None:
    known = known_kinds(context, kubeconfig)
    if known is None or known >= NEEDED:
        return
    raise invalid_config(
        [
            f"gateway = 'traefik': the cluster does not have the Gateway API of {RELEASE}; install it with"
            f" `{INSTALL}`, or unset gateway"
        ]
    )


def known_kinds(context: str, kubeconfig: str) -> set[str] | None:
    """Return the resources of the Gateway API's version 1 that the cluster serves; None if it does not answer."""
    from kubernetes.client import CustomObjectsApi
    from kubernetes.client.exceptions import ApiException

    try:
        objects: Any = CustomObjectsApi(api_client(context, kubeconfig))  # the client has no type hints
        answer = objects.get_api_resources("gateway.networking.k8s.io", "v1", _request_timeout=ANSWER_SECONDS)
    except ApiException as exception:
        error: Any = exception
        return set() if error.status == 404 else None
    except Exception:  # credentials, network, TLS: each library under the client raises its own
        return None
    return {each.name for each in answer.resources}
