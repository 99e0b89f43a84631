"""Advise on API servers that any address may reach.

Callers need credentials in any case. DigitalOcean offers its firewall by invitation only (its API's reference), so a
cluster without one gets no advice.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_network
from typing import Any

from pulumi_policy import EnforcementLevel, ResourceValidationPolicy

from policy.rules import Resource, at, check_types, is_set, list_at

#: A range with a shorter prefix is no choice of addresses: two of length 1 are all of them.
SHORTEST_PREFIX = 8
REMEDY = "name those of your offices and runners (config key apiServerAccess)"


def _open(blocks: Sequence[Any]) -> list[str]:
    return [str(block) for block in blocks if ip_network(str(block), strict=False).prefixlen < SHORTEST_PREFIX]


def _advice(blocks: Sequence[str]) -> str:
    return f"the cluster's API server accepts connections from {', '.join(blocks) or 'any address'}: {REMEDY}"


def _eks(cluster: Resource) -> str | None:
    config = at(cluster.props, "vpcConfig")
    if at(config, "endpointPublicAccess") is False:
        return None
    blocks = list_at(config, "publicAccessCidrs")
    return _advice(_open(blocks)) if not blocks or _open(blocks) else None


def _gke(cluster: Resource) -> str | None:
    if at(cluster.props, "privateClusterConfig", "enablePrivateEndpoint") is True:
        return None
    if at(cluster.props, "controlPlaneEndpointsConfig", "ipEndpointsConfig", "enabled") is False:
        return None
    if not is_set(cluster.props, "masterAuthorizedNetworksConfig"):
        return _advice([])
    blocks = _open(
        [each.get("cidrBlock") for each in list_at(cluster.props, "masterAuthorizedNetworksConfig", "cidrBlocks")]
    )
    return _advice(blocks) if blocks else None


def _doks(cluster: Resource) -> str | None:
    firewall = at(cluster.props, "controlPlaneFirewall")
    if firewall is None:
        return None
    blocks = _open(list_at(firewall, "allowedAddresses"))
    return _advice(blocks) if blocks or at(firewall, "enabled") is False else None


POLICIES = [
    ResourceValidationPolicy(
        name="api-server-access",
        description="API servers accept connections from chosen addresses.",
        enforcement_level=EnforcementLevel.ADVISORY,
        validate=check_types(
            {
                "aws:eks/cluster:Cluster": [_eks],
                "gcp:container/cluster:Cluster": [_gke],
                "digitalocean:index/kubernetesCluster:KubernetesCluster": [_doks],
            }
        ),
    ),
]
