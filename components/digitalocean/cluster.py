"""A managed Kubernetes cluster (DOKS) with a pool of worker nodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_digitalocean as digitalocean
import pulumi_kubernetes as k8s

from components.component import Component
from components.digitalocean.account import stack_tags
from components.digitalocean.live import RUNNING, LiveVersion, look_at_cluster
from components.digitalocean.waiting import upgraded
from components.existing_cluster import check_not_own
from components.invokes import ask
from components.kubernetes_access import ExecCredentials, exec_kubeconfig, kubernetes_provider
from components.random_name import random_name
from contract.errors import invalid_config

#: Size of the pool that every cluster must have. The provider replaces the cluster if this size changes, so it stays
#: at the minimum, and the workers have their own pool.
BASE_NODE_SIZE = "s-1vcpu-2gb"
#: Seconds for which the credentials in the provider's state are valid. Nothing uses them; doctl gets its own.
STATE_CREDENTIALS_SECONDS = 600


@dataclass(frozen=True)
class ClusterArgs:
    """Version, size and protection of the cluster."""

    name: str
    region: str
    #: Version slug, such as 1.34.1-do.0.
    version: str
    #: What runs already; None if the cluster does not exist. A newer version stays.
    live: LiveVersion | None
    #: Id of the VPC.
    vpc: pulumi.Input[str]
    #: Number of worker nodes, or the minimum with autoscaling.
    nodes: int
    #: Maximum number of worker nodes; None switches autoscaling off.
    max_nodes: int | None
    #: Droplet size of the worker nodes.
    node_size: str
    #: Whether the control plane has several nodes.
    high_availability: bool
    #: Weekday and time of day (UTC).
    maintenance: tuple[str, str]
    tags: Sequence[str]
    #: Whether the engine refuses to delete the cluster. If false, load balancers and volumes that were created in the
    #: cluster are deleted with it.
    protect: bool


class Cluster(Component):
    """DOKS in a VPC, with access to the account's registry.

    Creates the cluster with one small base node, a pool of workers whose size and number can change without replacing
    the cluster, and the Kubernetes provider.
    """

    #: UUID.
    id: pulumi.Output[str]
    #: URL of the API server.
    endpoint: pulumi.Output[str]
    #: Secret. It asks doctl for short-lived credentials.
    kubeconfig: pulumi.Output[str]
    kubernetes: k8s.Provider

    def __init__(
        self,
        name: str,
        args: ClusterArgs,
        registry: pulumi.Resource | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("digitalocean:Cluster", name, opts)
        cluster = self._cluster(args, registry)
        workers = self._workers(args, cluster)
        upgrades = args.live is not None and not args.live.reaches(args.version)
        # An upgrade takes the API server away for a while, so workloads wait for its end.
        self.id = upgraded(cluster.id, args.version, RUNNING, look_at_cluster) if upgrades else cluster.id
        self.endpoint = cluster.endpoint
        authority = cluster.kube_configs.apply(lambda configs: configs[0].cluster_ca_certificate or "")
        self.kubeconfig = pulumi.Output.secret(
            pulumi.Output.all(self.id, cluster.endpoint, authority).apply(
                lambda values: _kubeconfig(args.name, *values)
            )
        )
        self.kubernetes = kubernetes_provider(
            self.kubeconfig,
            self.id,
            # Workloads are created after their nodes, and `destroy` deletes them first.
            pulumi.ResourceOptions(parent=self, depends_on=[workers]),
        )
        self.register_outputs({"id": self.id, "endpoint": self.endpoint, "kubeconfig": self.kubeconfig})

    def _cluster(self, args: ClusterArgs, registry: pulumi.Resource | None) -> digitalocean.KubernetesCluster:
        day, start_time = args.maintenance
        return digitalocean.KubernetesCluster(
            "cluster",
            name=args.name,
            region=args.region,
            version=args.version,
            # The user decides when. DigitalOcean upgrades by itself only what it no longer supports.
            auto_upgrade=False,
            surge_upgrade=True,
            # Has no effect while auto_upgrade is off.
            maintenance_policy={"day": day, "start_time": start_time},
            ha=args.high_availability,
            vpc_uuid=args.vpc,
            registry_integration=True,
            destroy_all_associated_resources=not args.protect,
            kubeconfig_expire_seconds=STATE_CREDENTIALS_SECONDS,
            node_pool={"name": "base", "size": BASE_NODE_SIZE, "node_count": 1, "tags": list(args.tags)},
            tags=list(args.tags),
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=args.protect,
                # A lower version replaces the cluster, and an upgrade that is not done yet would be sent again.
                ignore_changes=["version"] if args.live and args.live.reaches(args.version) else [],
                # The registry integration fails in an account without a registry.
                depends_on=[registry] if registry else [],
            ),
        )

    def _workers(self, args: ClusterArgs, cluster: digitalocean.KubernetesCluster) -> digitalocean.KubernetesNodePool:
        """Declare the pool under a random name, so that its replacement can exist before it is deleted."""
        options = pulumi.ResourceOptions(parent=self)
        replaced_with = {"cluster": cluster.id, "size": args.node_size}
        return digitalocean.KubernetesNodePool(
            "workers",
            name=random_name("workers-name", "workers", replaced_with, options),
            cluster_id=cluster.id,
            size=args.node_size,
            tags=list(args.tags),
            node_count=args.nodes,
            # Never unset: after a refresh the bridge takes an old value of an unset input for its default, and keeps
            # it. To the API, 0 nodes is the same as no limit given.
            auto_scale=args.max_nodes is not None,
            min_nodes=args.nodes if args.max_nodes else 0,
            max_nodes=args.max_nodes or 0,
            opts=pulumi.ResourceOptions.merge(
                options,
                pulumi.ResourceOptions(
                    delete_before_replace=False,
                    # A fixed number would undo what the autoscaler did.
                    ignore_changes=["nodeCount"] if args.max_nodes else [],
                ),
            ),
        )


@dataclass(frozen=True)
class ExistingCluster:
    """A cluster that the stack uses and does not manage. Fields that Cluster has too mean the same."""

    id: str
    endpoint: str
    kubeconfig: pulumi.Output[str]
    #: Id of the cluster's VPC.
    vpc: str
    kubernetes: k8s.Provider


def existing_cluster(name: str, region: str) -> ExistingCluster:
    """Return the account's cluster of this name.

    Raises pulumi.RunError if there is none, if the stack created it, or if it is in another region.
    """
    found = ask(
        lambda: digitalocean.get_kubernetes_cluster(name=name, kubeconfig_expire_seconds=STATE_CREDENTIALS_SECONDS),
        f"cluster {name}",
        "set the config key `cluster` to one that `doctl kubernetes cluster list` shows",
    )
    check_not_own(name, set(stack_tags()) <= set(found.tags or ()))
    if found.region != region:
        raise invalid_config([f"cluster = {name!r}: is in {found.region}, and the stack in {region}; set region"])
    kubeconfig = pulumi.Output.secret(
        _kubeconfig(name, found.id, found.endpoint, found.kube_configs[0].cluster_ca_certificate)
    )
    return ExistingCluster(
        id=found.id,
        endpoint=found.endpoint,
        kubeconfig=kubeconfig,
        vpc=found.vpc_uuid,
        kubernetes=kubernetes_provider(kubeconfig, found.id, pulumi.ResourceOptions()),
    )


def _kubeconfig(name: str, cluster_id: str, endpoint: str, ca: str) -> str:
    arguments = ["kubernetes", "cluster", "kubeconfig", "exec-credential", "--version=v1beta1", cluster_id]
    return exec_kubeconfig(name, endpoint, ca, ExecCredentials(command="doctl", args=arguments))
