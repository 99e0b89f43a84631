"""A managed Kubernetes cluster (DOKS) with a pool of worker nodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_digitalocean as digitalocean
import pulumi_kubernetes as k8s

from components.component import Component
from components.kubernetes_access import ExecCredentials, exec_kubeconfig, kubernetes_provider
from components.random_name import random_name

#: The pool that a cluster can't be made without. The provider replaces the whole cluster when its size changes, so it
#: stays at the smallest there is and the workers are in a pool of their own.
BASE_NODE_SIZE = "s-1vcpu-2gb"
#: Seconds that the credentials are valid which the provider keeps in the state; nothing uses them (doctl gets others).
STATE_CREDENTIALS_SECONDS = 600


@dataclass(frozen=True)
class ClusterArgs:
    """``version`` is an exact slug (``1.34.1-do.0``); ``max_nodes``, where set, lets the pool grow up to it.

    ``maintenance`` is weekday and time of day (UTC). ``throw_away`` clusters may be deleted, and take load balancers
    and volumes along that something other than the stack made on them.
    """

    name: str
    region: str
    version: str
    vpc: pulumi.Input[str]
    nodes: int
    max_nodes: int | None
    node_size: str
    high_availability: bool
    maintenance: tuple[str, str]
    tags: Sequence[str]
    throw_away: bool


class Cluster(Component):
    """DOKS in a VPC, allowed to pull from the account's registry.

    Makes the cluster with one small base node, the pool of workers (of any size and number without replacing the
    cluster), and the Kubernetes provider. Outputs ``id`` (a UUID), ``endpoint`` (URL), ``kubeconfig`` (a secret; it
    asks doctl for short-lived credentials) and ``kubernetes``.
    """

    id: pulumi.Output[str]
    endpoint: pulumi.Output[str]
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
        self.id = cluster.id
        self.endpoint = cluster.endpoint
        authority = cluster.kube_configs.apply(lambda configs: configs[0].cluster_ca_certificate or "")
        self.kubeconfig = pulumi.Output.secret(
            pulumi.Output.all(cluster.id, cluster.endpoint, authority).apply(
                lambda known: _kubeconfig(args.name, known[0], known[1], known[2])
            )
        )
        self.kubernetes = kubernetes_provider(
            self.kubeconfig,
            cluster.id,
            # Workloads come after the nodes they run on, and `destroy` takes them first.
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
            # With it the version would run ahead of the config, and going back replaces a cluster.
            auto_upgrade=False,
            surge_upgrade=True,
            # Without effect while auto_upgrade is off (the provider's documentation); right for whoever switches it on.
            maintenance_policy={"day": day, "start_time": start_time},
            ha=args.high_availability,
            vpc_uuid=args.vpc,
            registry_integration=True,
            destroy_all_associated_resources=args.throw_away,
            kubeconfig_expire_seconds=STATE_CREDENTIALS_SECONDS,
            node_pool={"name": "base", "size": BASE_NODE_SIZE, "node_count": 1, "tags": list(args.tags)},
            tags=list(args.tags),
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=not args.throw_away,
                # The integration fails in an account that has no registry.
                depends_on=[registry] if registry else [],
            ),
        )

    def _workers(self, args: ClusterArgs, cluster: digitalocean.KubernetesCluster) -> digitalocean.KubernetesNodePool:
        """The pool's name ends at random: one of another size can be there before this one goes."""
        grows = args.max_nodes is not None
        options = pulumi.ResourceOptions(parent=self)
        replaced_with = {"cluster": cluster.id, "size": args.node_size}
        return digitalocean.KubernetesNodePool(
            "workers",
            name=random_name("workers-name", "workers", replaced_with, options),
            cluster_id=cluster.id,
            size=args.node_size,
            tags=list(args.tags),
            # A number given beside the range would undo what the autoscaler did.
            node_count=None if grows else args.nodes,
            auto_scale=True if grows else None,
            min_nodes=args.nodes if grows else None,
            max_nodes=args.max_nodes,
            opts=options,
        )


def _kubeconfig(name: str, cluster_id: str, endpoint: str, ca: str) -> str:
    arguments = ["kubernetes", "cluster", "kubeconfig", "exec-credential", "--version=v1beta1", cluster_id]
    return exec_kubeconfig(name, endpoint, ca, ExecCredentials(command="doctl", args=arguments))
