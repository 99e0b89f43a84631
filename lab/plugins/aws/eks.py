"""EKS clusters: the lab's own Kubernetes answers for every one of them."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar

import yaml
from typing_extensions import override

from lab.plugins.account import Record
from lab.plugins.aws.iam import AWS_POLICY
from lab.plugins.aws.kind import CIDR, CIDR_RULE, REGION, TAGS, AwsKind, arn_property, statements
from lab.plugins.aws.kms import check_key
from lab.plugins.declared import Property
from lab.plugins.difference import Path
from lab.plugins.kind import Refused
from lab.plugins.properties import Properties
from lab.plugins.provider import Failure

CLUSTER_NAME = r"[0-9A-Za-z][0-9A-Za-z_-]{0,99}"
CLUSTER_RULE = "1 to 100 letters, digits, dashes and underscores, the first a letter or digit"
CLUSTER = Property(str, required=True, replaces=True, pattern=CLUSTER_NAME, rule=CLUSTER_RULE)
VERSION = Property(str, pattern=r"1\.[0-9]{2}", rule='a minor version, such as "1.34"')
MODES = ("CONFIG_MAP", "API_AND_CONFIG_MAP", "API")  # in the only order that they can be changed in
LOGS = frozenset({"api", "audit", "authenticator", "controllerManager", "scheduler"})
FEWEST_ZONES = 2


class Cluster(AwsKind):
    """A control plane."""

    module = "eks"
    service = "eks"
    title = "EKS cluster"
    autonamed = True
    unique_name = True
    properties: ClassVar[Mapping[str, Property]] = {
        "name": Property(str, replaces=True, pattern=CLUSTER_NAME, rule=CLUSTER_RULE),
        "version": VERSION,
        "roleArn": arn_property("iam", required=True, replaces=True),
        "vpcConfig": Property(
            dict,
            required=True,
            inner={
                "subnetIds": Property(list, required=True, each=str),
                "securityGroupIds": Property(list, each=str),
                "endpointPrivateAccess": Property(bool),
                "endpointPublicAccess": Property(bool),
                "publicAccessCidrs": Property(list, each=str, pattern=CIDR, rule=CIDR_RULE),
            },
        ),
        "accessConfig": Property(
            dict,
            inner={
                "authenticationMode": Property(str, values=frozenset(MODES)),
                "bootstrapClusterCreatorAdminPermissions": Property(bool, replaces=True),
            },
        ),
        "bootstrapSelfManagedAddons": Property(bool, replaces=True),
        "encryptionConfig": Property(
            dict,
            inner={
                "resources": Property(list, required=True, each=str, values=frozenset({"secrets"})),
                "provider": Property(dict, required=True, inner={"keyArn": arn_property("kms", required=True)}),
            },
        ),
        "enabledClusterLogTypes": Property(list, each=str, values=LOGS),
        "upgradePolicy": Property(
            dict, inner={"supportType": Property(str, values=frozenset({"STANDARD", "EXTENDED"}))}
        ),
        "kubernetesNetworkConfig": Property(
            dict,
            inner={
                "ipFamily": Property(str, replaces=True, values=frozenset({"ipv4", "ipv6"})),
                "serviceIpv4Cidr": Property(str, replaces=True, pattern=CIDR, rule=CIDR_RULE),
            },
        ),
        "deletionProtection": Property(bool),
        "region": REGION,
        "tags": TAGS,
    }
    computed = (
        "accessConfig", "arn", "certificateAuthority", "createdAt", "endpoint", "identities",
        "kubernetesNetworkConfig", "platformVersion", "status", "upgradePolicy", "vpcConfig",
    )  # fmt: skip

    @override
    def invalid(self, inputs: Properties) -> list[Failure]:
        found, vpc = super().invalid(inputs), inputs["vpcConfig"]
        if not vpc.get("endpointPrivateAccess") and vpc.get("endpointPublicAccess") is False:
            found.append(Failure("vpcConfig", "must have one endpoint at least: private, public or both."))
        return found

    @override
    def replacing(self, old: Properties, new: Properties) -> set[Path]:
        """Encryption can't be switched off again."""
        return {("encryptionConfig",)} if old.get("encryptionConfig") and not new.get("encryptionConfig") else set()

    @override
    def make(self, id: str, inputs: Properties) -> Properties:
        network = self._check_surroundings(inputs)
        lab = self.account.lab
        document: Any = yaml.safe_load(lab.kubeconfig.read_text(encoding="utf-8"))
        issuer = f"https://oidc.eks.{inputs['region']}.amazonaws.com/id/{secrets.token_hex(16).upper()}"
        self.engine.info(f"simulated: EKS {inputs.get('version', '')}, its nodes and add-ons are the lab's Kubernetes")
        return {
            "arn": self.arn(inputs, f"cluster/{id}"),
            "certificateAuthority": {"data": document["clusters"][0]["cluster"]["certificate-authority-data"]},
            "createdAt": datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.000 +0000 UTC"),
            "endpoint": lab.api_url,
            "identities": [{"oidcs": [{"issuer": issuer}]}],
            "kubernetesNetworkConfig": {
                "ipFamily": "ipv4",
                "serviceIpv4Cidr": "172.20.0.0/16",
                "elasticLoadBalancing": {"enabled": False},
                **(inputs.get("kubernetesNetworkConfig") or {}),
            },
            "platformVersion": "eks.1",
            "status": "ACTIVE",
            **_settings(inputs, network, f"sg-0{secrets.token_hex(8)}"),
        }

    def _check_surroundings(self, inputs: Properties) -> str:
        """The VPC. Raises Refused for a role, subnets or a key that EKS would not take."""
        check_role(self, inputs["roleArn"], "eks.amazonaws.com", ["AmazonEKSClusterPolicy"])
        subnets = inputs["vpcConfig"]["subnetIds"]
        network = self.network_of(subnets)
        if len(self.zones_of(subnets)) < FEWEST_ZONES:
            raise Refused("400 InvalidParameterException: subnets specified must be in at least two different AZs")
        for group in inputs["vpcConfig"].get("securityGroupIds") or []:
            self.existing("SecurityGroup", group)
        if inputs.get("encryptionConfig"):
            check_key(self, inputs["encryptionConfig"]["provider"]["keyArn"])
        return network

    @override
    def change(self, record: Record, new: Properties) -> Properties:
        if new.get("version") != record.inputs.get("version"):
            before, after = minor(record.inputs.get("version")), minor(new.get("version"))
            if after != before + 1:
                raise Refused(
                    f"400 InvalidParameterException: unsupported Kubernetes minor version update from"
                    f" {record.inputs.get('version')} to {new.get('version')}; one at a time, and never back"
                )
        modes = [(each.get("accessConfig") or {}).get("authenticationMode", MODES[0]) for each in (record.inputs, new)]
        if MODES.index(modes[1]) < MODES.index(modes[0]):
            raise Refused(f"400 InvalidParameterException: unsupported authentication mode update from {modes[0]}")
        network = self._check_surroundings(new)
        before_vpc = record.outputs["vpcConfig"]
        if network != before_vpc["vpcId"]:
            raise Refused("400 InvalidParameterException: the subnets belong to another VPC than the cluster's")
        return _settings(new, network, before_vpc["clusterSecurityGroupId"])

    @override
    def unmake(self, record: Record) -> None:
        if record.inputs.get("deletionProtection"):
            raise Refused(
                f"400 InvalidRequestException: cluster {record.id} has deletion protection enabled; disable it first"
            )
        if groups := self.others("NodeGroup", clusterName=record.id):
            raise Refused(f"409 ResourceInUseException: cluster has nodegroups attached: {groups[0].id}")
        self.account.remove_all(lambda each: each.inputs.get("clusterName") == record.id)


def _settings(inputs: Properties, network: str, group: str) -> Properties:
    vpc = {"endpointPrivateAccess": False, "endpointPublicAccess": True, "publicAccessCidrs": ["0.0.0.0/0"]}
    return {
        "accessConfig": {
            "authenticationMode": MODES[0],
            "bootstrapClusterCreatorAdminPermissions": True,
            **(inputs.get("accessConfig") or {}),
        },
        "upgradePolicy": inputs.get("upgradePolicy") or {"supportType": "EXTENDED"},
        "vpcConfig": {**vpc, **inputs["vpcConfig"], "clusterSecurityGroupId": group, "vpcId": network},
    }


def minor(version: str | None) -> int:
    """The number that counts: 34 of 1.34."""
    return int((version or "1.0").partition(".")[2])


def check_role(kind: AwsKind, arn: str, service: str, policies: list[str]) -> None:
    """Raise Refused unless the role trusts the service and has the policies: what EKS looks at, or nodes need."""
    role = kind.named("Role", arn)
    trusted = [each.get("Principal", {}).get("Service") for each in statements(role.inputs["assumeRolePolicy"])]
    if service not in trusted:
        raise Refused(
            f"400 InvalidParameterException: role {role.id} could not be assumed: it does not trust {service}"
        )
    having = {each.inputs["policyArn"] for each in kind.others("RolePolicyAttachment", role=role.id)}
    lacking = [each for each in policies if AWS_POLICY + each not in having]
    if lacking:
        raise Refused(
            f"400 InvalidParameterException: role {role.id} lacks these policies, without which it is of no use:"
            f" {', '.join(lacking)}"
        )
