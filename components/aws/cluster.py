"""A managed Kubernetes cluster (EKS) with its nodes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s

from components.aws.addons import AddonName, AddonsArgs, NodeAddons, addon
from components.aws.network import Network
from components.aws.nodes import Nodes, NodesArgs
from components.aws.roles import Role, RoleArgs, service_trust
from components.component import Component
from components.kubernetes_access import ExecCredentials, exec_kubeconfig, kubernetes_provider

#: All that the control plane can log; `audit` says who did what, `authenticator` who came in.
LOG_TYPES = ["api", "audit", "authenticator", "controllerManager", "scheduler"]
LOG_DAYS = 90
ADMINISTRATION = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
#: Days until a deleted key is gone, in which a mistake can be taken back; the fewest that KMS allows.
KEY_DAYS = 7


@dataclass(frozen=True)
class ClusterArgs:
    """``version`` is a minor one (``1.34``); ``addon_versions`` are pins; ``node_size`` is an EC2 instance type.

    ``administrators``: ARNs of IAM roles and users, beside the one who makes the cluster. ``api_ranges``: CIDR blocks
    that reach the API server from outside the VPC; those who do still need credentials.
    """

    name: str
    region: str
    version: str
    addon_versions: Mapping[AddonName, str]
    nodes: int
    node_size: str
    administrators: Sequence[str]
    api_ranges: Sequence[str]
    tags: Mapping[str, str]
    throw_away: bool


class Cluster(Component):
    """EKS in the private subnets, access to it by IAM alone.

    Makes the control plane with its role, its log and the key that Secrets are encrypted with; access entries; the
    add-ons; the nodes; and the Kubernetes provider. Outputs ``endpoint`` (URL), ``identifier`` (of this cluster and no
    later one), ``kubeconfig`` (a secret; it asks the AWS command line for short-lived credentials), ``security_group``
    (id; the nodes' and the control plane's) and ``kubernetes``.
    """

    endpoint: pulumi.Output[str]
    identifier: pulumi.Output[str]
    kubeconfig: pulumi.Output[str]
    security_group: pulumi.Output[str]
    kubernetes: k8s.Provider

    def __init__(
        self, name: str, args: ClusterArgs, network: Network, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("aws:Cluster", name, opts)
        self._args = args
        self._options = pulumi.ResourceOptions(parent=self)
        cluster = self._control_plane(network)
        access = self._access(cluster)
        issuer = cluster.identities.apply(lambda identities: (identities[0].oidcs or [])[0].issuer or "")
        common = AddonsArgs(
            name=args.name,
            cluster=cluster.name,
            version=cluster.version,
            issuer=issuer,
            pinned=args.addon_versions,
        )
        basics = NodeAddons("addons", common, opts=self._options)
        nodes = Nodes(
            "nodes",
            NodesArgs(
                name=args.name,
                cluster=cluster.name,
                version=cluster.version,
                subnets=network.private_subnets,
                count=args.nodes,
                size=args.node_size,
                tags=args.tags,
            ),
            # Nodes get images over the NAT gateway, and are ready once the network plugin runs.
            after=[network, *basics.addons],
            opts=self._options,
        )
        names = addon("coredns", common, self, after=[nodes.group])
        self.endpoint = cluster.endpoint
        # Unlike name and ARN, the issuer's URL is never that of another cluster made later.
        self.identifier = issuer
        self.security_group = cluster.vpc_config.apply(lambda vpc: vpc.cluster_security_group_id or "")
        authority = cluster.certificate_authority.apply(lambda known: known.data or "")
        self.kubeconfig = pulumi.Output.secret(
            pulumi.Output.all(cluster.endpoint, authority).apply(lambda known: _kubeconfig(args, known[0], known[1]))
        )
        self.kubernetes = kubernetes_provider(
            self.kubeconfig,
            self.identifier,
            # Workloads come after all they need, the way out included, and `destroy` takes them first.
            pulumi.ResourceOptions(parent=self, depends_on=[network, *basics.addons, nodes.group, names, *access]),
        )
        self.register_outputs({"endpoint": self.endpoint, "kubeconfig": self.kubeconfig})

    def _control_plane(self, network: Network) -> aws.eks.Cluster:
        args = self._args
        return aws.eks.Cluster(
            "cluster",
            # Fixed, since the subnets' tags and the log's name are made of it before there is a cluster.
            name=args.name,
            version=args.version,
            role_arn=self._role(),
            # The creator becomes administrator by an access entry of EKS's own; there is no aws-auth ConfigMap.
            access_config={"authentication_mode": "API", "bootstrap_cluster_creator_admin_permissions": True},
            # All add-ons are declared; none is there unmanaged.
            bootstrap_self_managed_addons=False,
            vpc_config={
                "subnet_ids": network.private_subnets,
                "endpoint_private_access": True,
                "endpoint_public_access": True,
                "public_access_cidrs": list(args.api_ranges),
            },
            encryption_config={"resources": ["secrets"], "provider": {"key_arn": self._key()}},
            enabled_cluster_log_types=LOG_TYPES,
            # No upgrade but that of the config: AWS's own would leave Git saying an older version.
            upgrade_policy={"support_type": "EXTENDED"},
            deletion_protection=not args.throw_away,
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=not args.throw_away,
                # A cluster whose log isn't there makes it itself, without an end to what it keeps.
                depends_on=[self._log()],
            ),
        )

    def _role(self) -> pulumi.Output[str]:
        role = Role(
            "cluster-role",
            RoleArgs(
                name=f"{self._args.name}-cluster",
                trust=service_trust("eks.amazonaws.com"),
                policies=["AmazonEKSClusterPolicy"],
            ),
            opts=self._options,
        )
        # Else the last words of a cluster being deleted make the log anew, after it was deleted.
        denied = aws.iam.RolePolicy(
            "cluster-role-log",
            role=role.role_name,
            policy=json.dumps(
                {
                    "Version": "2012-10-17",
                    "Statement": [{"Effect": "Deny", "Action": ["logs:CreateLogGroup"], "Resource": "*"}],
                }
            ),
            opts=self._options,
        )
        return pulumi.Output.all(role.arn, denied.id).apply(lambda known: known[0])

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
            # Without it the cluster can't read its Secrets, for ever.
            opts=pulumi.ResourceOptions(parent=self, protect=not self._args.throw_away),
        )
        aws.kms.Alias(
            "cluster-secrets",
            name=f"alias/{self._args.name}-cluster",
            target_key_id=key.key_id,
            # As the key, since nothing needs it: else it is the first to go, before a refused `destroy` stops.
            opts=pulumi.ResourceOptions(parent=self, protect=not self._args.throw_away),
        )
        return key.arn

    def _access(self, cluster: aws.eks.Cluster) -> list[pulumi.Resource]:
        """Administrators beside the creator, named after who they are, so that a changed list moves nobody else."""
        made: list[pulumi.Resource] = []
        for principal in self._args.administrators:
            _, _, who = principal.partition(":iam::")
            entry = aws.eks.AccessEntry(
                f"administrator-{who}", cluster_name=cluster.name, principal_arn=principal, opts=self._options
            )
            made += [
                entry,
                aws.eks.AccessPolicyAssociation(
                    f"administrator-{who}",
                    cluster_name=cluster.name,
                    principal_arn=entry.principal_arn,
                    policy_arn=ADMINISTRATION,
                    access_scope={"type": "cluster"},
                    opts=self._options,
                ),
            ]
        return made


def _kubeconfig(args: ClusterArgs, endpoint: str, ca: str) -> str:
    arguments = ["--region", args.region, "eks", "get-token", "--cluster-name", args.name, "--output", "json"]
    return exec_kubeconfig(args.name, endpoint, ca, ExecCredentials(command="aws", args=arguments))
