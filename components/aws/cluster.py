"""A managed Kubernetes cluster (EKS) with its nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s

from components.aws.access import access_entries, has_access_already
from components.aws.account import stack_tags
from components.aws.addons import AddonName, AddonsArgs, NodeAddons, addon
from components.aws.network import ExistingNetwork, Network
from components.aws.nodes import Nodes, NodesArgs
from components.aws.roles import Role, RoleArgs, service_trust
from components.component import Component
from components.existing_cluster import check_not_own
from components.invokes import ask
from components.kubernetes_access import ExecCredentials, exec_kubeconfig, kubernetes_provider
from contract.errors import invalid_config

#: All log types of the control plane.
LOG_TYPES = ["api", "audit", "authenticator", "controllerManager", "scheduler"]
LOG_DAYS = 90
#: It only counts when a cluster is created, and a change would replace the cluster.
CREATOR = "accessConfig.bootstrapClusterCreatorAdminPermissions"
#: Authentication mode of a cluster that takes no access entries.
WITHOUT_ENTRIES = "CONFIG_MAP"
#: Days in which the deletion of a key can be undone; the minimum that KMS allows.
KEY_DAYS = 7


@dataclass(frozen=True)
class ClusterArgs:
    """Version, size and access of the cluster."""

    name: str
    region: str
    #: ARN of the permissions boundary of IAM roles, or "".
    boundary: str
    #: Minor version of Kubernetes, such as 1.37.
    version: str
    #: Whether the cluster runs this version or a newer one, so that nothing is to be upgraded.
    version_runs: bool
    #: Pinned versions of add-ons.
    addon_versions: Mapping[AddonName, str]
    #: Number of worker nodes.
    nodes: int
    #: EC2 instance type of the nodes.
    node_size: str
    #: ARNs of IAM roles and users that administer the cluster.
    administrators: Sequence[str]
    #: ARNs of IAM roles and users that may read everything in the cluster.
    viewers: Sequence[str]
    #: CIDR blocks that may reach the API server from outside the VPC.
    api_ranges: Sequence[str]
    tags: Mapping[str, str]
    #: Whether the engine and AWS refuse to delete the cluster and its key. Without it, the control plane logs nothing.
    protect: bool


class Cluster(Component):
    """EKS in the private subnets, with access through IAM only.

    Creates the control plane with its role, log and encryption key for Secrets; access entries; the add-ons; the nodes;
    and the Kubernetes provider.
    """

    #: URL of the API server.
    endpoint: pulumi.Output[str]
    #: Identifies this cluster; a later one of the same name has another.
    identifier: pulumi.Output[str]
    #: Secret. It asks the AWS command line for short-lived credentials.
    kubeconfig: pulumi.Output[str]
    #: Id of the security group of the nodes and the control plane.
    security_group: pulumi.Output[str]
    kubernetes: k8s.Provider

    def __init__(
        self,
        name: str,
        args: ClusterArgs,
        network: Network | ExistingNetwork,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("aws:Cluster", name, opts)
        self._args = args
        self._options = pulumi.ResourceOptions(parent=self)
        cluster = self._control_plane(network)
        access = access_entries(cluster.name, args.administrators, args.viewers, self._options)
        issuer = cluster.identities.apply(lambda identities: (identities[0].oidcs or [])[0].issuer or "")
        common = AddonsArgs(
            name=args.name,
            boundary=args.boundary,
            cluster=cluster.name,
            version=cluster.version,
            issuer=issuer,
            pinned=args.addon_versions,
        )
        node_addons = NodeAddons("addons", common, opts=self._options)
        nodes = Nodes(
            "nodes",
            NodesArgs(
                name=args.name,
                boundary=args.boundary,
                cluster=cluster.name,
                version=cluster.version,
                subnets=network.private_subnets,
                count=args.nodes,
                size=args.node_size,
                tags=args.tags,
            ),
            # Nodes pull images through the NAT gateway, and become ready once the network plugin runs.
            after=[*network.resources, *node_addons.addons],
            opts=self._options,
        )
        dns = addon("coredns", common, self, after=[nodes.group])
        self.endpoint = cluster.endpoint
        # Unlike name and ARN, the issuer's URL is never reused by a later cluster.
        self.identifier = issuer
        self.security_group = cluster.vpc_config.apply(lambda vpc: vpc.cluster_security_group_id or "")
        authority = cluster.certificate_authority.apply(lambda ca: ca.data or "")
        self.kubeconfig = pulumi.Output.secret(
            pulumi.Output.all(cluster.endpoint, authority).apply(
                lambda values: _kubeconfig(args.name, args.region, *values)
            )
        )
        self.kubernetes = kubernetes_provider(
            self.kubeconfig,
            self.identifier,
            # Workloads are created after everything they need, NAT included, and `destroy` deletes them first.
            pulumi.ResourceOptions(
                parent=self, depends_on=[*network.resources, *node_addons.addons, nodes.group, dns, *access]
            ),
        )
        self.register_outputs({"endpoint": self.endpoint, "kubeconfig": self.kubeconfig})

    def _control_plane(self, network: Network | ExistingNetwork) -> aws.eks.Cluster:
        args = self._args
        return aws.eks.Cluster(
            "cluster",
            # Fixed, because the subnets' tags and the log's name contain it before the cluster exists.
            name=args.name,
            version=args.version,
            role_arn=self._role(),
            # The program declares all access entries itself, whoever runs it first. There is no aws-auth ConfigMap.
            access_config={"authentication_mode": "API", "bootstrap_cluster_creator_admin_permissions": False},
            # The program declares all add-ons itself.
            bootstrap_self_managed_addons=False,
            vpc_config={
                "subnet_ids": network.private_subnets,
                "endpoint_private_access": True,
                "endpoint_public_access": True,
                "public_access_cidrs": list(args.api_ranges),
            },
            encryption_config={"resources": ["secrets"], "provider": {"key_arn": self._key()}},
            # A cluster that is deleted while it logs creates its log group again, and the next `up` fails on the name.
            # Nothing can prevent that: EKS uses its service-linked role. So the logs stop when the protection does.
            enabled_cluster_log_types=LOG_TYPES if args.protect else [],
            # AWS must not upgrade by itself: Git would name an older version.
            upgrade_policy={"support_type": "EXTENDED"},
            deletion_protection=args.protect,
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=args.protect,
                # If the log group does not exist, EKS creates one that never expires.
                depends_on=[self._log()],
                ignore_changes=[CREATOR, *(["version"] if args.version_runs else [])],
            ),
        )

    def _role(self) -> pulumi.Output[str]:
        role = Role(
            "cluster-role",
            RoleArgs(
                name=f"{self._args.name}-cluster",
                trust=service_trust("eks.amazonaws.com"),
                policies=["AmazonEKSClusterPolicy"],
                boundary=self._args.boundary,
            ),
            opts=self._options,
        )
        return role.arn

    def _log(self) -> aws.cloudwatch.LogGroup:
        return aws.cloudwatch.LogGroup(
            "cluster-log",
            name=f"/aws/eks/{self._args.name}/cluster",
            retention_in_days=LOG_DAYS,
            opts=self._options,
        )

    def _key(self) -> pulumi.Output[str]:
        key = aws.kms.Key(
            "cluster-secrets",
            description=f"Kubernetes Secrets of cluster {self._args.name}",
            enable_key_rotation=True,
            deletion_window_in_days=KEY_DAYS,
            # Without the key the cluster can never read its Secrets again.
            opts=pulumi.ResourceOptions(parent=self, protect=self._args.protect),
        )
        aws.kms.Alias(
            "cluster-secrets",
            name=f"alias/{self._args.name}-cluster",
            target_key_id=key.key_id,
            # Nothing depends on the alias, so `destroy` would delete it before it stops at a protected resource.
            opts=pulumi.ResourceOptions(parent=self, protect=self._args.protect),
        )
        return key.arn


@dataclass(frozen=True)
class ExistingCluster:
    """A cluster that the stack uses and does not manage. Fields that Cluster has too mean the same."""

    endpoint: str
    identifier: str
    kubeconfig: pulumi.Output[str]
    security_group: str
    #: The cluster's VPC and subnets.
    network: ExistingNetwork
    kubernetes: k8s.Provider


def existing_cluster(
    name: str, region: str, administrators: Sequence[str], viewers: Sequence[str], provider: pulumi.ProviderResource
) -> ExistingCluster:
    """Return the cluster, and declare access for administrators and viewers who have none.

    Raises pulumi.RunError, before anything is registered, if the account has no such cluster, if the stack created it,
    or if it does not take access entries.
    """
    asking = pulumi.InvokeOptions(provider=provider)
    found = ask(
        lambda: aws.eks.get_cluster(name=name, opts=asking),
        f"cluster {name}",
        "set the config key `cluster` to one that `aws eks list-clusters` lists (it needs eks:DescribeCluster)",
    )
    check_not_own(name, stack_tags({}).items() <= dict(found.tags or {}).items())
    if (administrators or viewers) and found.access_configs[0].authentication_mode == WITHOUT_ENTRIES:
        raise invalid_config(
            [
                f"cluster = {name!r}: grants access only through the ConfigMap aws-auth (authentication mode"
                f" {WITHOUT_ENTRIES}); add the administrators and viewers there, and unset clusterAdministrators and"
                " clusterViewers"
            ]
        )
    entries = access_entries(
        name,
        [each for each in administrators if not has_access_already(name, each, asking)],
        [each for each in viewers if not has_access_already(name, each, asking)],
        pulumi.ResourceOptions(provider=provider),
    )
    issuer = found.identities[0].oidcs[0].issuer
    kubeconfig = pulumi.Output.secret(_kubeconfig(name, region, found.endpoint, found.certificate_authorities[0].data))
    return ExistingCluster(
        endpoint=found.endpoint,
        identifier=issuer,
        kubeconfig=kubeconfig,
        security_group=found.vpc_config.cluster_security_group_id,
        network=ExistingNetwork(found.vpc_config.vpc_id, list(found.vpc_config.subnet_ids)),
        kubernetes=kubernetes_provider(kubeconfig, issuer, pulumi.ResourceOptions(depends_on=entries)),
    )


def _kubeconfig(name: str, region: str, endpoint: str, ca: str) -> str:
    arguments = ["--region", region, "eks", "get-token", "--cluster-name", name, "--output", "json"]
    return exec_kubeconfig(name, endpoint, ca, ExecCredentials(command="aws", args=arguments))
