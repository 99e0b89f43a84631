"""Managed node groups; their nodes are the lab's one node."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from lab.plugins.account import Record
from lab.plugins.aws.eks import CLUSTER, VERSION, check_role, minor
from lab.plugins.aws.kind import REGION, TAGS, AwsKind, arn_property, id_property
from lab.plugins.aws.routes import reaches_out
from lab.plugins.declared import Property
from lab.plugins.kind import Refused
from lab.plugins.properties import Properties
from lab.plugins.provider import Failure

# API reference, Nodegroup: amiType.
AMI_TYPES = frozenset(
    [
        "AL2_x86_64", "AL2_x86_64_GPU", "AL2_ARM_64", "CUSTOM", "BOTTLEROCKET_ARM_64", "BOTTLEROCKET_x86_64",
        "BOTTLEROCKET_ARM_64_FIPS", "BOTTLEROCKET_x86_64_FIPS", "BOTTLEROCKET_ARM_64_NVIDIA",
        "BOTTLEROCKET_x86_64_NVIDIA", "WINDOWS_CORE_2019_x86_64", "WINDOWS_FULL_2019_x86_64",
        "WINDOWS_CORE_2022_x86_64", "WINDOWS_FULL_2022_x86_64", "AL2023_x86_64_STANDARD", "AL2023_ARM_64_STANDARD",
        "AL2023_x86_64_NEURON", "AL2023_x86_64_NVIDIA", "AL2023_ARM_64_NVIDIA",
    ]
)  # fmt: skip
NEEDED = ["AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly"]
#: Instance families with AWS's ARM processors (EC2 instance types).
ARM_FAMILIES = ("a1.", "t4g", "m6g", "m7g", "m8g", "c6g", "c7g", "c8g", "r6g", "r7g", "r8g", "x2g", "i4g", "im4g")
MOST_UNAVAILABLE = 100


class NodeGroup(AwsKind):
    """A group of nodes; another size is another version of its launch template."""

    module = "eks"
    service = "eks"
    title = "EKS node group"
    name_property = "nodeGroupName"
    autonamed = True
    properties: ClassVar[Mapping[str, Property]] = {
        "clusterName": CLUSTER,
        "nodeGroupName": Property(
            str, replaces=True, pattern=r"[0-9A-Za-z][0-9A-Za-z_-]{0,62}", rule="63 letters, digits, - and _ at most"
        ),
        "nodeRoleArn": arn_property("iam", required=True, replaces=True),
        "subnetIds": Property(list, required=True, replaces=True, each=str),
        "scalingConfig": Property(
            dict,
            required=True,
            inner={name: Property(int, required=True) for name in ("desiredSize", "minSize", "maxSize")},
        ),
        "amiType": Property(str, replaces=True, values=AMI_TYPES),
        "capacityType": Property(str, replaces=True, values=frozenset({"ON_DEMAND", "SPOT", "CAPACITY_BLOCK"})),
        "diskSize": Property(int, replaces=True),
        "instanceTypes": Property(list, replaces=True, each=str),
        "launchTemplate": Property(
            dict,
            inner={
                "id": id_property("lt", replaces=True),
                "name": Property(str, replaces=True),
                "version": Property(str, required=True),
            },
        ),
        "updateConfig": Property(
            dict, inner={"maxUnavailable": Property(int), "maxUnavailablePercentage": Property(int)}
        ),
        "version": VERSION,
        "releaseVersion": Property(str),
        "forceUpdateVersion": Property(bool),
        "labels": Property(dict, each=str),
        "region": REGION,
        "tags": TAGS,
    }
    computed = ("amiType", "arn", "capacityType", "releaseVersion", "resources", "status", "version")

    @override
    def identify(self, inputs: Properties) -> str:
        return f"{inputs['clusterName']}:{inputs['nodeGroupName']}"

    @override
    def invalid(self, inputs: Properties) -> list[Failure]:
        found, sizes = super().invalid(inputs), inputs["scalingConfig"]
        if not (0 <= sizes["minSize"] <= sizes["desiredSize"] <= sizes["maxSize"] and sizes["maxSize"] >= 1):
            found.append(Failure("scalingConfig", "must be minSize <= desiredSize <= maxSize, and maxSize 1 or more."))
        update = inputs.get("updateConfig")
        if update is not None and (
            len(update) != 1 or not all(1 <= each <= MOST_UNAVAILABLE for each in update.values())
        ):
            found.append(Failure("updateConfig", "must have maxUnavailable or maxUnavailablePercentage, 1 to 100."))
        template = inputs.get("launchTemplate")
        if template is not None and bool(template.get("id")) == bool(template.get("name")):
            found.append(Failure("launchTemplate", "must have either id or name."))
        return found

    @override
    def make(self, id: str, inputs: Properties) -> Properties:
        self._check(inputs)
        self._check_joining(inputs)
        group = f"eks-{inputs['nodeGroupName']}-{uuid.uuid4()}"
        name, suffix = inputs["nodeGroupName"], uuid.uuid4()
        return {
            "arn": self.arn(inputs, f"nodegroup/{inputs['clusterName']}/{name}/{suffix}"),
            "amiType": inputs.get("amiType", "AL2023_x86_64_STANDARD"),
            "capacityType": inputs.get("capacityType", "ON_DEMAND"),
            "resources": [{"autoscalingGroups": [{"name": group}], "remoteAccessSecurityGroupId": ""}],
            "status": "ACTIVE",
            **self._versions(inputs),
        }

    @override
    def change(self, record: Record, new: Properties) -> Properties:
        self._check(new)
        return self._versions(new)

    def _versions(self, inputs: Properties) -> Properties:
        version = inputs.get("version") or self.existing("Cluster", inputs["clusterName"]).inputs.get("version")
        return {"version": version, "releaseVersion": inputs.get("releaseVersion") or f"{version}.1-20251120"}

    def _check(self, inputs: Properties) -> None:
        cluster = self.existing("Cluster", inputs["clusterName"])
        if minor(inputs.get("version")) > minor(cluster.inputs.get("version")):
            raise Refused(
                f"400 InvalidParameterException: the nodes' Kubernetes {inputs['version']} is newer than the cluster's"
            )
        check_role(self, inputs["nodeRoleArn"], "ec2.amazonaws.com", NEEDED)
        if self.network_of(inputs["subnetIds"]) != cluster.outputs["vpcConfig"]["vpcId"]:
            raise Refused("400 InvalidParameterException: the subnets are not in the cluster's VPC")
        if inputs.get("launchTemplate"):
            self._check_template(inputs, inputs["launchTemplate"])

    def _check_template(self, inputs: Properties, wanted: Properties) -> None:
        template = self.named("LaunchTemplate", wanted.get("id") or wanted["name"])
        if not 1 <= int(wanted["version"]) <= template.outputs["latestVersion"]:
            raise Refused(f"400 InvalidRequestException: {template.id} has no version {wanted['version']}")
        size = template.inputs.get("instanceType", "")
        if "amiType" in inputs and ("ARM" in inputs["amiType"]) != size.startswith(ARM_FAMILIES):
            raise Refused(
                f"400 InvalidParameterException: {size} is not a valid instance type for amiType {inputs['amiType']}"
            )

    def _check_joining(self, inputs: Properties) -> None:
        """What keeps nodes from joining is known after half an hour in the cloud, and at once here."""
        lost = [each for each in inputs["subnetIds"] if not reaches_out(self.account, each)]
        if lost:
            raise Refused(f"NodeCreationFailure: instances failed to join the cluster: no way out of {lost[0]}")
        addons = {each.inputs["addonName"] for each in self.others("Addon", clusterName=inputs["clusterName"])}
        cluster = self.existing("Cluster", inputs["clusterName"])
        if cluster.inputs.get("bootstrapSelfManagedAddons", True) is False and "vpc-cni" not in addons:
            raise Refused("NodeCreationFailure: instances are not ready: there is no network plugin (add-on vpc-cni)")
