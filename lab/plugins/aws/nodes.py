"""Managed node groups; the lab's one node stands behind all their nodes."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from lab.plugins.account import Record
from lab.plugins.aws.eks import EksKind, check_role, minor
from lab.plugins.aws.kind import arn_of, id_of
from lab.plugins.aws.routes import has_way_out
from lab.plugins.kind import ApiError
from lab.plugins.properties import Properties, Value
from lab.plugins.provider import Failure
from lab.plugins.rules import Rule, matches, one_of

NEEDED = ["AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly"]
#: Instance families with AWS's ARM processors (EC2 instance types).
ARM_FAMILIES = ("a1.", "t4g", "m6g", "m7g", "m8g", "c6g", "c7g", "c8g", "r6g", "r7g", "r8g", "x2g", "i4g", "im4g")
MAXIMUM_UNAVAILABLE = 100


class NodeGroup(EksKind):
    """A group of nodes. Another instance type is a new version of its launch template."""

    title = "EKS node group"
    arn = "eks:nodegroup/{clusterName}/{nodeGroupName}"
    name_property = "nodeGroupName"
    autonamed = True
    rules: ClassVar[Mapping[str, Rule]] = {
        "nodeGroupName": matches(r"[0-9A-Za-z][0-9A-Za-z_-]{0,62}", "at most 63 letters, digits, - and _"),
        "nodeRoleArn": arn_of("iam"),
        # API reference, Nodegroup: amiType.
        "amiType": one_of(
            "AL2_x86_64", "AL2_x86_64_GPU", "AL2_ARM_64", "CUSTOM", "BOTTLEROCKET_ARM_64", "BOTTLEROCKET_x86_64",
            "BOTTLEROCKET_ARM_64_FIPS", "BOTTLEROCKET_x86_64_FIPS", "BOTTLEROCKET_ARM_64_NVIDIA",
            "BOTTLEROCKET_x86_64_NVIDIA", "WINDOWS_CORE_2019_x86_64", "WINDOWS_FULL_2019_x86_64",
            "WINDOWS_CORE_2022_x86_64", "WINDOWS_FULL_2022_x86_64", "AL2023_x86_64_STANDARD", "AL2023_ARM_64_STANDARD",
            "AL2023_x86_64_NEURON", "AL2023_x86_64_NVIDIA", "AL2023_ARM_64_NVIDIA",
        ),
        "capacityType": one_of("ON_DEMAND", "SPOT", "CAPACITY_BLOCK"),
        "launchTemplate.id": id_of("lt"),
    }  # fmt: skip
    replaces = (
        "clusterName", "nodeGroupName", "nodeRoleArn", "subnetIds", "amiType", "capacityType", "diskSize",
        "instanceTypes", "launchTemplate.id", "launchTemplate.name", "region",
    )  # fmt: skip
    defaults: ClassVar[Mapping[str, Value]] = {"amiType": "AL2023_x86_64_STANDARD", "capacityType": "ON_DEMAND"}
    filled_in = ("releaseVersion", "version")
    references: ClassVar[Mapping[str, str]] = {"clusterName": "Cluster"}

    @override
    def new_id(self, inputs: Properties) -> str:
        return f"{inputs['clusterName']}:{inputs['nodeGroupName']}"

    @override
    def invalid(self, inputs: Properties) -> list[Failure]:
        found, sizes = super().invalid(inputs), inputs["scalingConfig"]
        if not (0 <= sizes["minSize"] <= sizes["desiredSize"] <= sizes["maxSize"] and sizes["maxSize"] >= 1):
            found.append(Failure("scalingConfig", "must be minSize <= desiredSize <= maxSize, and maxSize 1 or more."))
        update = inputs.get("updateConfig")
        if update is not None and (
            len(update) != 1 or not all(1 <= each <= MAXIMUM_UNAVAILABLE for each in update.values())
        ):
            found.append(Failure("updateConfig", "must have maxUnavailable or maxUnavailablePercentage, 1 to 100."))
        template = inputs.get("launchTemplate")
        if template is not None and bool(template.get("id")) == bool(template.get("name")):
            found.append(Failure("launchTemplate", "must have either id or name."))
        return found

    @override
    def check_dependencies(self, inputs: Properties) -> None:
        super().check_dependencies(inputs)
        cluster = self.existing("Cluster", inputs["clusterName"])
        if minor(inputs.get("version")) > minor(cluster.inputs.get("version")):
            raise ApiError(
                f"400 InvalidParameterException: the nodes' Kubernetes {inputs['version']} is newer than the cluster's"
            )
        check_role(self, inputs["nodeRoleArn"], "ec2.amazonaws.com", NEEDED)
        if self.network_of(inputs["subnetIds"]) != cluster.outputs["vpcConfig"]["vpcId"]:
            raise ApiError("400 InvalidParameterException: the subnets are not in the cluster's VPC")
        if inputs.get("launchTemplate"):
            self._check_template(inputs, inputs["launchTemplate"])

    def _check_template(self, inputs: Properties, wanted: Properties) -> None:
        template = self.named("LaunchTemplate", wanted.get("id") or wanted["name"])
        if not 1 <= int(wanted["version"]) <= template.outputs["latestVersion"]:
            raise ApiError(f"400 InvalidRequestException: {template.id} has no version {wanted['version']}")
        size = template.inputs.get("instanceType", "")
        if "amiType" in inputs and ("ARM" in inputs["amiType"]) != size.startswith(ARM_FAMILIES):
            raise ApiError(
                f"400 InvalidParameterException: {size} is not a valid instance type for amiType {inputs['amiType']}"
            )

    @override
    def create(self, id: str, inputs: Properties) -> Properties:
        self._check_joining(inputs)
        name = f"eks-{inputs['nodeGroupName']}-{uuid.uuid4()}"
        return {
            "arn": f"{self.arn_for(id, inputs)}/{uuid.uuid4()}",
            "resources": [{"autoscalingGroups": [{"name": name}], "remoteAccessSecurityGroupId": ""}],
            "status": "ACTIVE",
            **self.update(Record(self.type, id, inputs, {}), inputs),
        }

    @override
    def update(self, record: Record, new: Properties) -> Properties:
        version = new.get("version") or self.existing("Cluster", new["clusterName"]).inputs.get("version")
        return {"version": version, "releaseVersion": new.get("releaseVersion") or f"{version}.1-20251120"}

    def _check_joining(self, inputs: Properties) -> None:
        """Raise ApiError if nodes could not join. The cloud says so after half an hour, the simulation at once."""
        isolated = [each for each in inputs["subnetIds"] if not has_way_out(self.account, each)]
        if isolated:
            raise ApiError(f"NodeCreationFailure: instances failed to join the cluster: no way out of {isolated[0]}")
        addons = {each.inputs["addonName"] for each in self.account.records("Addon", clusterName=inputs["clusterName"])}
        cluster = self.existing("Cluster", inputs["clusterName"])
        if cluster.inputs.get("bootstrapSelfManagedAddons", True) is False and "vpc-cni" not in addons:
            raise ApiError("NodeCreationFailure: instances are not ready: there is no network plugin (add-on vpc-cni)")
