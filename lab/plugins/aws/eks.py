"""EKS clusters: the lab's own Kubernetes stands behind every one of them."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from lab.plugins.account import Record
from lab.plugins.aws.iam import AWS_POLICY
from lab.plugins.aws.kind import CIDR, AwsKind, arn_of, statements
from lab.plugins.aws.kms import check_key
from lab.plugins.aws.logs import EKS_LOG, note_late_logs
from lab.plugins.aws.versions import DEFAULT_KUBERNETES, KUBERNETES
from lab.plugins.difference import Path
from lab.plugins.exec_credential import certificate_authority
from lab.plugins.kind import ApiError
from lab.plugins.properties import Properties
from lab.plugins.provider import Failure
from lab.plugins.rules import Rule, matches, one_of
from lab.plugins.times import go_time

CLUSTER_NAME = matches(
    r"[0-9A-Za-z][0-9A-Za-z_-]{0,99}", "1 to 100 letters, digits, dashes and underscores, not starting with a separator"
)
VERSION = matches(r"1\.[0-9]{2}", 'a minor version, such as "1.34"')
MODES = ("CONFIG_MAP", "API_AND_CONFIG_MAP", "API")  # an update may only go forward in this list
MINIMUM_ZONES = 2


class EksKind(AwsKind):
    """An EKS resource; all but clusters belong to a cluster."""

    module = "eks"
    common_rules: ClassVar[Mapping[str, Rule]] = {
        **AwsKind.common_rules, "clusterName": CLUSTER_NAME, "version": VERSION,
    }  # fmt: skip


class Cluster(EksKind):
    """A control plane."""

    title = "EKS cluster"
    arn = "eks:cluster/{id}"
    autonamed = True
    unique_name = True
    rules: ClassVar[Mapping[str, Rule]] = {
        "name": CLUSTER_NAME,
        "roleArn": arn_of("iam"),
        "vpcConfig.publicAccessCidrs": CIDR,
        "accessConfig.authenticationMode": one_of(*MODES),
        "encryptionConfig.resources": one_of("secrets"),
        "encryptionConfig.provider.keyArn": arn_of("kms"),
        "enabledClusterLogTypes": one_of("api", "audit", "authenticator", "controllerManager", "scheduler"),
        "upgradePolicy.supportType": one_of("STANDARD", "EXTENDED"),
    }
    replaces = (
        "name", "roleArn", "accessConfig.bootstrapClusterCreatorAdminPermissions", "bootstrapSelfManagedAddons",
        "region",
    )  # fmt: skip
    not_simulated = ("computeConfig", "kubernetesNetworkConfig", "outpostConfig", "remoteNetworkConfig")
    filled_in = ("accessConfig", "upgradePolicy", "vpcConfig")
    used_by: ClassVar[Mapping[str, str]] = {"NodeGroup": "clusterName"}
    in_use = "409 ResourceInUseException: cluster has nodegroups attached: {users}"
    deleted_with: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("Addon", "AccessEntry", "AccessPolicyAssociation"), "clusterName"
    )

    @override
    def invalid(self, inputs: Properties) -> list[Failure]:
        found, vpc = super().invalid(inputs), inputs["vpcConfig"]
        if not vpc.get("endpointPrivateAccess") and vpc.get("endpointPublicAccess") is False:
            found.append(Failure("vpcConfig", "must have a private endpoint, a public one, or both."))
        return found

    @override
    def replacing(self, old: Properties, new: Properties) -> set[Path]:
        """Replace a cluster whose encryption is removed, as it cannot be switched off."""
        return {("encryptionConfig",)} if old.get("encryptionConfig") and not new.get("encryptionConfig") else set()

    @override
    def check_dependencies(self, inputs: Properties) -> None:
        super().check_dependencies(inputs)
        check_role(self, inputs["roleArn"], "eks.amazonaws.com", ["AmazonEKSClusterPolicy"])
        if len(self.zones_of(inputs["vpcConfig"]["subnetIds"])) < MINIMUM_ZONES:
            raise ApiError("400 InvalidParameterException: subnets specified must be in at least two different AZs")
        if inputs.get("encryptionConfig"):
            check_key(self, inputs["encryptionConfig"]["provider"]["keyArn"])

    @override
    def create(self, id: str, inputs: Properties) -> Properties:
        if inputs.get("version", DEFAULT_KUBERNETES) not in KUBERNETES:
            raise ApiError(f"400 InvalidParameterException: unsupported Kubernetes version {inputs['version']}")
        issuer = f"https://oidc.eks.{inputs['region']}.amazonaws.com/id/{secrets.token_hex(16).upper()}"
        self.engine.info(f"simulated: EKS {inputs.get('version', '')}, its nodes and add-ons are the lab's Kubernetes")
        return {
            **super().create(id, inputs),
            "certificateAuthority": {"data": certificate_authority(self.account.lab)},
            "createdAt": go_time(),
            "endpoint": self.account.lab.api_url,
            "identities": [{"oidcs": [{"issuer": issuer}]}],
            "platformVersion": "eks.1",
            "status": "ACTIVE",
            **self._settings(inputs, f"sg-0{secrets.token_hex(8)}"),
        }

    @override
    def update(self, record: Record, new: Properties) -> Properties:
        version, wanted = record.inputs.get("version"), new.get("version")
        if wanted != version and minor(wanted) != minor(version) + 1:
            raise ApiError(
                f"400 InvalidParameterException: unsupported Kubernetes minor version update from {version} to"
                f" {wanted}; only the next minor version is allowed"
            )
        modes = [(each.get("accessConfig") or {}).get("authenticationMode", MODES[0]) for each in (record.inputs, new)]
        if MODES.index(modes[1]) < MODES.index(modes[0]):
            raise ApiError(f"400 InvalidParameterException: unsupported authentication mode update from {modes[0]}")
        before = record.outputs["vpcConfig"]
        settings = self._settings(new, before["clusterSecurityGroupId"])
        if settings["vpcConfig"]["vpcId"] != before["vpcId"]:
            raise ApiError("400 InvalidParameterException: the subnets belong to another VPC than the cluster's")
        return settings

    @override
    def delete(self, record: Record) -> None:
        if record.inputs.get("deletionProtection"):
            raise ApiError(
                f"400 InvalidRequestException: cluster {record.id} has deletion protection enabled; disable it first"
            )
        if record.inputs.get("enabledClusterLogTypes"):
            note_late_logs(self.account, [EKS_LOG.format(record.id)])

    def _settings(self, inputs: Properties, group: str) -> Properties:
        access = {"authenticationMode": MODES[0], "bootstrapClusterCreatorAdminPermissions": True}
        vpc = {"endpointPrivateAccess": False, "endpointPublicAccess": True, "publicAccessCidrs": ["0.0.0.0/0"]}
        own = {"clusterSecurityGroupId": group, "vpcId": self.network_of(inputs["vpcConfig"]["subnetIds"])}
        return {
            "accessConfig": {**access, **(inputs.get("accessConfig") or {})},
            "upgradePolicy": inputs.get("upgradePolicy") or {"supportType": "EXTENDED"},
            "vpcConfig": {**vpc, **inputs["vpcConfig"], **own},
        }


def minor(version: str | None) -> int:
    """Return the minor version: 34 of 1.34."""
    return int((version or "1.0").partition(".")[2])


def check_role(kind: AwsKind, arn: str, service: str, policies: list[str]) -> None:
    """Raise ApiError unless the role trusts the service and has the policies that EKS or its nodes need."""
    role = kind.named("Role", arn)
    trusted = [each.get("Principal", {}).get("Service") for each in statements(role.inputs["assumeRolePolicy"])]
    if service not in trusted:
        raise ApiError(
            f"400 InvalidParameterException: role {role.id} could not be assumed: it does not trust {service}"
        )
    attached = {each.inputs["policyArn"] for each in kind.account.records("RolePolicyAttachment", role=role.id)}
    if missing := [each for each in policies if AWS_POLICY + each not in attached]:
        raise ApiError(f"400 InvalidParameterException: role {role.id} is missing policies: {', '.join(missing)}")
