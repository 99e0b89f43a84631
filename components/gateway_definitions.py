"""Check that a cluster has the definitions of the kinds that Traefik must be able to list."""

from __future__ import annotations

from typing import Any

import pulumi

from components.kubernetes_access import api_client
from components.routing import TRAEFIK_GROUP
from contract.errors import invalid_config
from contract.platform import ClusterAccess

GATEWAY_GROUP = "gateway.networking.k8s.io"
#: What Traefik 3.6 lists of the Gateway API's version 1. BackendTLSPolicy is in it since v1.4.
KINDS = frozenset({"gatewayclasses", "gateways", "httproutes", "grpcroutes", "backendtlspolicies"})
#: What it lists of its own version v1alpha1, if a route may refer to a TraefikService.
OWN_KINDS = frozenset(
    {
        *("ingressroutes", "ingressroutetcps", "ingressrouteudps", "middlewares", "middlewaretcps"),
        *("serverstransports", "serverstransporttcps", "tlsoptions", "tlsstores", "traefikservices"),
    }
)
INSTALL = (
    "kubectl apply --server-side -f"
    " https://github.com/kubernetes-sigs/gateway-api/releases/download/v1.4.1/standard-install.yaml"
)
INSTALL_OWN = (
    "kubectl apply --server-side -f"
    " https://raw.githubusercontent.com/traefik/traefik/v3.6.12/docs/content/reference/dynamic-configuration/"
    "kubernetes-crd-definition-v1.yml"
)
ANSWER_SECONDS = 20


def require_definitions(cluster: ClusterAccess, sticky: bool) -> pulumi.Output[None]:
    """Return once the cluster is known to have the definitions, also in previews of an existing cluster.

    Raises pulumi.RunError if it does not. A cluster that does not answer is left to the provider, which reports it.
    """
    kubeconfig = pulumi.Output.from_input(cluster.kubeconfig)
    return kubeconfig.apply(lambda kubeconfig: require(cluster.context, kubeconfig, sticky))


def require(context: str, kubeconfig: str, sticky: bool) -> None:
    """Raise pulumi.RunError if the cluster answers and does not have the definitions."""
    missing: list[str] = []
    if not _has(context, kubeconfig, GATEWAY_GROUP, "v1", KINDS):
        missing.append(
            f"gateway = 'traefik': the cluster lacks the Gateway API, v1.4 or later; install it with `{INSTALL}`, or"
            " unset gateway"
        )
    if sticky and not _has(context, kubeconfig, TRAEFIK_GROUP, "v1alpha1", OWN_KINDS):
        missing.append(
            f"sticky: the cluster lacks Traefik's definitions; install them with `{INSTALL_OWN}`, or unset sticky"
        )
    if missing:
        raise invalid_config(missing)


def _has(context: str, kubeconfig: str, group: str, version: str, kinds: frozenset[str]) -> bool:
    known = known_kinds(context, kubeconfig, group, version)
    return known is None or known >= kinds


def known_kinds(context: str, kubeconfig: str, group: str, version: str) -> set[str] | None:
    """Return the resources of an API group that the cluster serves; None if it does not answer."""
    from kubernetes.client import CustomObjectsApi
    from kubernetes.client.exceptions import ApiException

    try:
        objects: Any = CustomObjectsApi(api_client(context, kubeconfig))  # the client has no type hints
        answer = objects.get_api_resources(group, version, _request_timeout=ANSWER_SECONDS)
    except ApiException as exception:
        error: Any = exception
        return set() if error.status == 404 else None
    except Exception:  # credentials, network, TLS: each library under the client raises its own
        return None
    return {each.name for each in answer.resources}
