"""A managed Kubernetes cluster (GKE Autopilot)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import pulumi
import pulumi_gcp as gcp
import pulumi_kubernetes as k8s

from components.component import Component
from components.existing_cluster import check_not_own
from components.gcp.network import ExistingNetwork
from components.gcp.nodes import pull_right
from components.gcp.project import AUTH_PLUGIN, stack_labels
from components.invokes import ask
from components.kubernetes_access import ExecCredentials, exec_kubeconfig, kubernetes_provider
from components.random_name import random_name

RELEASE_CHANNEL = "REGULAR"
#: Hours of the weekly window. GKE requires 48 hours in any 32 days, which may contain only four windows.
WINDOW_HOURS = 12
#: Some Monday; windows recur from its week on.
_FIRST_MONDAY = datetime(2024, 1, 1)
#: All scopes: the roles of the nodes' account limit what nodes may do.
NODE_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
ANYWHERE = "0.0.0.0/0"
#: How GKE names the account of Compute Engine that nodes have unless they are given one.
DEFAULT_ACCOUNT = "default"


@dataclass(frozen=True)
class ClusterArgs:
    """Version, network and protection of the cluster."""

    #: Prefix of the cluster's name.
    name: str
    region: str
    #: Minimum version; the release channel upgrades from there.
    version: str
    #: Id of the VPC.
    network: pulumi.Input[str]
    #: Id of the subnetwork.
    subnetwork: pulumi.Input[str]
    #: Names of the subnetwork's secondary ranges.
    pods_range: str
    services_range: str
    #: Email of the nodes' service account.
    node_account: pulumi.Input[str]
    #: CIDR ranges that may reach the API server; empty for any address.
    clients: Sequence[str]
    #: Day of the week (Monday is 1) and hour (UTC) at which the maintenance window opens.
    maintenance: tuple[int, int]
    labels: dict[str, str]
    #: Whether the engine and GKE refuse to delete the cluster.
    protect: bool
    #: Resources that workloads need.
    ready: Sequence[pulumi.Resource]


class Cluster(Component):
    """GKE Autopilot over all zones of a region: nodes are created for the pods, without public addresses.

    Autopilot always enforces NetworkPolicies (Dataplane V2), and has workload identity and shielded nodes. Creates the
    cluster and the Kubernetes provider.
    """

    name: pulumi.Output[str]
    #: URL of the API server.
    endpoint: pulumi.Output[str]
    #: Identifies this cluster; a later one has another.
    identifier: pulumi.Output[str]
    #: Secret. It asks Google's plugin for short-lived credentials.
    kubeconfig: pulumi.Output[str]
    kubernetes: k8s.Provider

    def __init__(self, name: str, args: ClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gcp:Cluster", name, opts)
        cluster = self._cluster(args)
        self.name = cluster.name
        self.endpoint = pulumi.Output.concat("https://", cluster.endpoint)
        # It contains the name, which is different for each new cluster.
        self.identifier = cluster.id
        authority = cluster.master_auth.apply(lambda auth: auth.cluster_ca_certificate or "")
        self.kubeconfig = pulumi.Output.secret(
            pulumi.Output.all(cluster.name, self.endpoint, authority).apply(lambda values: _kubeconfig(*values))
        )
        self.kubernetes = kubernetes_provider(
            self.kubeconfig,
            self.identifier,
            # Workloads are created after what they need, and `destroy` deletes them first.
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
                "cluster_secondary_range_name": args.pods_range,
                "services_secondary_range_name": args.services_range,
            },
            private_cluster_config={"enable_private_nodes": True, "enable_private_endpoint": False},
            # Set even if it allows any address: left out, an earlier list would stay.
            master_authorized_networks_config={
                "cidr_blocks": [{"cidr_block": cidr} for cidr in ranges],
                # Otherwise any virtual machine in Google Cloud may connect too.
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
                # Two clusters cannot share the range of Services.
                delete_before_replace=True,
            ),
        )


@dataclass(frozen=True)
class ExistingCluster:
    """A cluster that the stack uses and does not manage. Fields that Cluster has too mean the same."""

    name: str
    endpoint: str
    identifier: str
    kubeconfig: pulumi.Output[str]
    network: ExistingNetwork
    kubernetes: k8s.Provider


def find_cluster(id: str) -> gcp.container.GetClusterResult:
    """Return the cluster with this id. Call it before any resource is declared.

    Raises pulumi.RunError if there is none, or if the stack created it.
    """
    _, project, _, location, _, name = id.split("/")
    found = ask(
        lambda: gcp.container.get_cluster(project=project, location=location, name=name),
        f"cluster {id}",
        "set the config key `cluster` to one that `gcloud container clusters list` shows (it needs the role"
        " roles/container.clusterViewer in its project)",
    )
    check_not_own(id, stack_labels().items() <= dict(found.effective_labels or {}).items())
    return found


def existing_cluster(
    id: str, found: gcp.container.GetClusterResult, region: str, repository: pulumi.Input[str]
) -> ExistingCluster:
    """Return the cluster as the stack uses it, and let its nodes pull from the repository of the region."""
    _, project, _, _, _, name = id.split("/")
    endpoint = f"https://{found.endpoint}"
    kubeconfig = pulumi.Output.secret(_kubeconfig(name, endpoint, found.master_auths[0].cluster_ca_certificate))
    rights = [pull_right(each, region, repository) for each in _node_accounts(found, project)]
    return ExistingCluster(
        name=name,
        endpoint=endpoint,
        identifier=id,
        kubeconfig=kubeconfig,
        network=ExistingNetwork(found.network, found.subnetwork, "", ""),  # the cluster has its ranges
        kubernetes=kubernetes_provider(kubeconfig, id, pulumi.ResourceOptions(depends_on=rights)),
    )


def _node_accounts(cluster: gcp.container.GetClusterResult, project: str) -> list[str]:
    """Return the emails of the nodes' service accounts. Autopilot, too, reports its account with its pools."""
    pools = [config for pool in cluster.node_pools for config in pool.node_configs]
    accounts = {config.service_account for config in (*pools, *cluster.node_configs)} - {""} or {DEFAULT_ACCOUNT}
    if DEFAULT_ACCOUNT in accounts:
        number = ask(
            lambda: gcp.organizations.get_project(project_id=project),
            f"number of the project {project}",
            "the caller needs the right resourcemanager.projects.get there",
        ).number
        accounts = accounts - {DEFAULT_ACCOUNT} | {f"{number}-compute@developer.gserviceaccount.com"}
    return sorted(accounts)


def maintenance_window(weekday: int, hour: int) -> gcp.container.ClusterMaintenancePolicyRecurringWindowArgsDict:
    """Return the weekly window that opens on that day (Monday is 1) at that hour (UTC)."""
    opens = _FIRST_MONDAY + timedelta(days=weekday - 1, hours=hour)
    closes = opens + timedelta(hours=WINDOW_HOURS)
    return {
        "start_time": f"{opens:%Y-%m-%dT%H:%M:%SZ}",
        "end_time": f"{closes:%Y-%m-%dT%H:%M:%SZ}",
        "recurrence": f"FREQ=WEEKLY;BYDAY={f'{opens:%a}'[:2].upper()}",
    }


def _kubeconfig(name: str, endpoint: str, ca: str) -> str:
    # The provider's application default credentials: one login serves both, and CI needs no gcloud.
    plugin = ExecCredentials(command=AUTH_PLUGIN, args=["--use_application_default_credentials"])
    return exec_kubeconfig(name, endpoint, ca, plugin)
