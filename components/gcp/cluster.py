"""A managed Kubernetes cluster (GKE Autopilot)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import pulumi
import pulumi_gcp as gcp
import pulumi_kubernetes as k8s

from components.component import Component
from components.gcp.network import PODS_RANGE, SERVICES_RANGE
from components.gcp.project import AUTH_PLUGIN
from components.kubernetes_access import ExecCredentials, exec_kubeconfig, kubernetes_provider
from components.random_name import random_name

RELEASE_CHANNEL = "REGULAR"
#: Hours of the weekly window: GKE wants 48 hours of them in any 32 days, which may hold only four windows.
WINDOW_HOURS = 12
#: A Monday; windows are counted from the first week after it.
_FIRST_MONDAY = datetime(2024, 1, 1)
#: What the nodes may do is said by their account's roles, which scopes would only cut down.
NODE_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
ANYWHERE = "0.0.0.0/0"


@dataclass(frozen=True)
class ClusterArgs:
    """``version`` is the least that the control plane runs; the release channel upgrades from there.

    ``clients`` are the ranges (CIDR) that reach the API server, any where empty. ``maintenance`` is the day of the
    week (Monday is 1) and the hour (UTC) when the window opens. ``ready`` are resources that workloads can't do
    without.
    """

    name: str
    region: str
    version: str
    network: pulumi.Input[str]
    subnetwork: pulumi.Input[str]
    node_account: pulumi.Input[str]
    clients: Sequence[str]
    maintenance: tuple[int, int]
    labels: dict[str, str]
    protect: bool
    ready: Sequence[pulumi.Resource]


class Cluster(Component):
    """GKE Autopilot over all zones of a region: nodes come and go with the pods, and have no public addresses.

    Dataplane V2 (network policies are enforced), workload identity and shielded nodes are Autopilot's own, always on.
    Makes the cluster and the Kubernetes provider. Outputs ``name``, ``endpoint`` (URL), ``identifier`` (of this cluster
    and no later one), ``kubeconfig`` (a secret; it asks Google's plugin for short-lived credentials), ``kubernetes``.
    """

    name: pulumi.Output[str]
    endpoint: pulumi.Output[str]
    identifier: pulumi.Output[str]
    kubeconfig: pulumi.Output[str]
    kubernetes: k8s.Provider

    def __init__(self, name: str, args: ClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gcp:Cluster", name, opts)
        cluster = self._cluster(args)
        self.name = cluster.name
        self.endpoint = pulumi.Output.concat("https://", cluster.endpoint)
        # The name in it is another one for each cluster that is made.
        self.identifier = cluster.id
        authority = cluster.master_auth.apply(lambda auth: auth.cluster_ca_certificate or "")
        self.kubeconfig = pulumi.Output.secret(
            pulumi.Output.all(cluster.name, self.endpoint, authority).apply(lambda known: _kubeconfig(*known))
        )
        self.kubernetes = kubernetes_provider(
            self.kubeconfig,
            self.identifier,
            # Workloads come after what they need, and `destroy` takes them first.
            pulumi.ResourceOptions(parent=self, depends_on=args.ready),
        )
        self.register_outputs({"name": self.name, "endpoint": self.endpoint, "kubeconfig": self.kubeconfig})

    def _cluster(self, args: ClusterArgs) -> gcp.container.Cluster:
        ranges = args.clients or [ANYWHERE]
        return gcp.container.Cluster(
            args.name,
            name=random_name(
                "cluster-name",
                args.name,
                {"region": args.region, "network": args.network, "subnetwork": args.subnetwork},
                pulumi.ResourceOptions(parent=self),
            ),
            location=args.region,
            description=f"Pulumi project {pulumi.get_project()}, stack {pulumi.get_stack()}",
            enable_autopilot=True,
            min_master_version=args.version,
            release_channel={"channel": RELEASE_CHANNEL},
            maintenance_policy={"recurring_window": maintenance_window(*args.maintenance)},
            network=args.network,
            subnetwork=args.subnetwork,
            ip_allocation_policy={
                "cluster_secondary_range_name": PODS_RANGE,
                "services_secondary_range_name": SERVICES_RANGE,
            },
            private_cluster_config={"enable_private_nodes": True, "enable_private_endpoint": False},
            # Said even where any address may come: left out, an earlier list would stay.
            master_authorized_networks_config={
                "cidr_blocks": [{"cidr_block": cidr} for cidr in ranges],
                # Else anybody's machine at Google is let in beside the ranges.
                "gcp_public_cidrs_access_enabled": False,
            },
            cluster_autoscaling={
                "auto_provisioning_defaults": {
                    "service_account": args.node_account,
                    "oauth_scopes": list(NODE_SCOPES),
                }
            },
            resource_labels=args.labels,
            deletion_protection=args.protect,
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=args.protect,
                depends_on=args.ready,
                # Two clusters can't share the range of services.
                delete_before_replace=True,
            ),
        )


def maintenance_window(weekday: int, hour: int) -> gcp.container.ClusterMaintenancePolicyRecurringWindowArgsDict:
    """The weekly window that opens on that day (Monday is 1) at that hour (UTC)."""
    opens = _FIRST_MONDAY + timedelta(days=weekday - 1, hours=hour)
    closes = opens + timedelta(hours=WINDOW_HOURS)
    return {
        "start_time": f"{opens:%Y-%m-%dT%H:%M:%SZ}",
        "end_time": f"{closes:%Y-%m-%dT%H:%M:%SZ}",
        "recurrence": f"FREQ=WEEKLY;BYDAY={f'{opens:%a}'[:2].upper()}",
    }


def _kubeconfig(name: str, endpoint: str, ca: str) -> str:
    # The application default credentials, those of the provider: there is one login, and CI needs no gcloud.
    plugin = ExecCredentials(command=AUTH_PLUGIN, args=["--use_application_default_credentials"])
    return exec_kubeconfig(name, endpoint, ca, plugin)
