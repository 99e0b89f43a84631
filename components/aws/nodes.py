"""The worker nodes: a managed node group in the private subnets."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.aws.roles import Role, RoleArgs, service_trust
from components.component import Component
from components.random_name import random_name
from contract.errors import invalid_config

#: GiB of each node's disk.
DISK_GIB = 30
#: Minutes to replace one node: to start the new one, and to drain the old one within the PodDisruptionBudgets. The
#: provider waits an hour for all of them by default.
ROLL_MINUTES = 30
#: The root device of Amazon Linux 2023.
ROOT_DEVICE = "/dev/xvda"
#: Instance families with ARM processors have a `g` after the generation, as in t4g and m7gd.
_ARM_FAMILY = re.compile(r"^[a-z]+[0-9]+g[a-z]*\.")


@dataclass(frozen=True)
class NodesArgs:
    """Number and size of the nodes, and their cluster."""

    #: Prefix of the names of role and launch template.
    name: str
    #: ARN of the permissions boundary of IAM roles, or "".
    boundary: str
    #: Name of the cluster.
    cluster: pulumi.Input[str]
    #: Its Kubernetes version.
    version: pulumi.Input[str]
    #: Ids of the private subnets.
    subnets: Sequence[pulumi.Input[str]]
    count: int
    #: EC2 instance type.
    size: str
    tags: Mapping[str, str]


class Nodes(Component):
    """A group of nodes whose number and size can change without replacing the group.

    Creates the nodes' role (which may only join the cluster and pull images), a launch template (encrypted disk,
    instance metadata hidden from pods) and the node group. A new size or version replaces the nodes one by one, each
    new one first, within the PodDisruptionBudgets. ``after`` is what a node needs to join and become ready.
    """

    #: The node group, for workloads to wait for.
    group: aws.eks.NodeGroup

    def __init__(
        self,
        name: str,
        args: NodesArgs,
        after: Sequence[pulumi.Resource] = (),
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("aws:Nodes", name, opts)
        options = pulumi.ResourceOptions(parent=self)
        role = Role(
            "node-role",
            RoleArgs(
                name=f"{args.name}-nodes",
                trust=service_trust("ec2.amazonaws.com"),
                policies=["AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly"],
                boundary=args.boundary,
            ),
            opts=options,
        )
        self.group = self._group(args, role.arn, after, options)
        self.register_outputs({"group": self.group.node_group_name})

    def _group(
        self,
        args: NodesArgs,
        role: pulumi.Output[str],
        after: Sequence[pulumi.Resource],
        options: pulumi.ResourceOptions,
    ) -> aws.eks.NodeGroup:
        """Declare the group under a random name, so that its replacement can exist before it is deleted."""
        template = self._template(args, options)
        image = "AL2023_ARM_64_STANDARD" if is_arm(args.size) else "AL2023_x86_64_STANDARD"
        replaced_with: dict[str, pulumi.Input[str]] = {
            "cluster": args.cluster,
            "image": image,
            "role": role,
            "subnets": pulumi.Output.all(*args.subnets).apply(",".join),
            "template": template.id,
        }
        return aws.eks.NodeGroup(
            "nodes",
            node_group_name=random_name("nodes-name", "nodes", replaced_with, options),
            cluster_name=args.cluster,
            version=args.version,
            node_role_arn=role,
            subnet_ids=args.subnets,
            ami_type=image,
            capacity_type="ON_DEMAND",
            launch_template={"id": template.id, "version": template.latest_version.apply(str)},
            scaling_config={"desired_size": args.count, "min_size": args.count, "max_size": args.count},
            update_config={"max_unavailable": 1},
            opts=pulumi.ResourceOptions.merge(
                options,
                pulumi.ResourceOptions(
                    depends_on=list(after),
                    delete_before_replace=False,
                    custom_timeouts=pulumi.CustomTimeouts(update=f"{ROLL_MINUTES * (args.count + 1)}m"),
                ),
            ),
        )

    def _template(self, args: NodesArgs, options: pulumi.ResourceOptions) -> aws.ec2.LaunchTemplate:
        """Declare the launch template, which sets the size because a node group's own size cannot change."""
        tags = {**args.tags, "Name": f"{args.name}-node"}
        return aws.ec2.LaunchTemplate(
            "nodes",
            name=f"{args.name}-nodes",
            instance_type=args.size,
            block_device_mappings=[
                {
                    "device_name": ROOT_DEVICE,
                    "ebs": {
                        "volume_type": "gp3",
                        "volume_size": DISK_GIB,
                        "encrypted": "true",
                        "delete_on_termination": "true",
                    },
                }
            ],
            # With one hop, pods cannot reach the metadata service and so cannot assume the node's role.
            metadata_options={"http_endpoint": "enabled", "http_tokens": "required", "http_put_response_hop_limit": 1},
            # The provider's default tags do not apply to what the template creates.
            tag_specifications=[
                {"resource_type": kind, "tags": tags} for kind in ("instance", "volume", "network-interface")
            ],
            opts=options,
        )


def is_arm(size: str) -> bool:
    """Return whether the instance type has an ARM processor and so runs images for ``linux/arm64``."""
    return _ARM_FAMILY.match(size) is not None


def check_processor(node_size: str, build_platform: str) -> None:
    """Raise pulumi.RunError if the image is built for another processor than the nodes have."""
    needed = "linux/arm64" if is_arm(node_size) else "linux/amd64"
    if build_platform != needed:
        raise invalid_config(
            [
                f"buildPlatform = '{build_platform}': nodes of size {node_size} run {needed}"
                f" (`pulumi config set buildPlatform {needed}`, or another nodeSize)"
            ]
        )
