"""Policies for data: network, encryption, deletion protection, regions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from policy.databases import is_private
from tests.unit.policy.conftest import UNKNOWN, StackResource, Verdict

Check = Callable[..., Verdict]
DO_DATABASE = "digitalocean:index/databaseCluster:DatabaseCluster"
DO_FIREWALL = "digitalocean:index/databaseFirewall:DatabaseFirewall"
DO_CLUSTER = "digitalocean:index/kubernetesCluster:KubernetesCluster"
SQL = "gcp:sql/databaseInstance:DatabaseInstance"
RDS = "aws:rds/instance:Instance"
GROUP = "aws:ec2/securityGroup:SecurityGroup"
RULE = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
OLD_RULE = "aws:ec2/securityGroupRule:SecurityGroupRule"
SERVICE = "kubernetes:core/v1:Service"


def _sql(**ip: Any) -> dict[str, Any]:
    good = {"ipv4Enabled": False, "privateNetwork": "n", "sslMode": "ENCRYPTED_ONLY"}
    return {"settings": {"ipConfiguration": {key: value for key, value in {**good, **ip}.items() if value is not None}}}


def _opened(protocol: str, first: int, last: int, *blocks: str) -> dict[str, Any]:
    return {"ingress": [{"protocol": protocol, "fromPort": first, "toPort": last, "cidrBlocks": list(blocks)}]}


@pytest.mark.parametrize(
    ("kind", "props", "message"),
    [
        (DO_DATABASE, {}, "privateNetworkUuid"),
        ("digitalocean:index/databaseReplica:DatabaseReplica", {}, "privateNetworkUuid"),
        (DO_FIREWALL, {"rules": [{"type": "ip_addr", "value": "0.0.0.0/0"}]}, "0.0.0.0/0"),
        (DO_FIREWALL, {"rules": [{"type": "ip_addr", "value": "203.0.113.7"}]}, "203.0.113.7"),
        (SQL, _sql(ipv4Enabled=True), "ipv4Enabled to false"),
        (SQL, _sql(ipv4Enabled=None), "ipv4Enabled to false"),
        (SQL, {}, "ipv4Enabled to false"),
        (SQL, _sql(authorizedNetworks=[{"value": "0.0.0.0/0"}]), "authorizedNetworks"),
        (SQL, _sql(privateNetwork=None), "privateNetwork"),
        (RDS, {"publiclyAccessible": True}, "publiclyAccessible to false"),
        ("aws:rds/clusterInstance:ClusterInstance", {"publiclyAccessible": True}, "publiclyAccessible"),
        (GROUP, _opened("tcp", 5000, 6000, "10.0.0.0/8", "0.0.0.0/0"), "lets 0.0.0.0/0 connect to database port 5432"),
        (GROUP, _opened("-1", 0, 0, "::/0"), "::/0"),
        (RULE, {"ipProtocol": "tcp", "fromPort": 5432, "toPort": 5432, "cidrIpv4": "0.0.0.0/0"}, "0.0.0.0/0"),
        (RULE, {"ipProtocol": "-1", "cidrIpv6": "::/0"}, "::/0"),
        (
            OLD_RULE,
            {"type": "ingress", "protocol": "tcp", "fromPort": 5432, "toPort": 5432, "cidrBlocks": ["0.0.0.0/0"]},
            "5432",
        ),
        (SERVICE, {"spec": {"type": "LoadBalancer", "ports": [{"port": 5432}]}}, "ClusterIP"),
        (SERVICE, {"spec": {"type": "NodePort", "ports": [{"port": 80, "targetPort": "postgres"}]}}, "ClusterIP"),
        (SERVICE, {"spec": {"externalIPs": ["203.0.113.7"], "ports": [{"port": 5432}]}}, "externalIPs"),
    ],
)
def test_public_databases_are_refused(check: Check, kind: str, props: dict[str, Any], message: str):
    verdict = check("no-public-database", kind, props)
    assert len(verdict.messages) == 1
    assert message in str(verdict)


@pytest.mark.parametrize(
    ("kind", "props"),
    [
        (DO_DATABASE, {"privateNetworkUuid": UNKNOWN}),
        (DO_FIREWALL, {"rules": [{"type": "k8s", "value": UNKNOWN}, {"type": "ip_addr", "value": "10.1.0.0/16"}]}),
        (SQL, _sql(privateNetwork=UNKNOWN)),
        (RDS, {"publiclyAccessible": False}),
        (GROUP, _opened("tcp", 443, 443, "0.0.0.0/0")),
        (GROUP, _opened("udp", 5432, 5432, "0.0.0.0/0")),
        (GROUP, _opened("tcp", 5432, 5432, "10.64.0.0/16")),
        (GROUP, {"egress": [{"protocol": "-1", "cidrBlocks": ["0.0.0.0/0"]}]}),
        (OLD_RULE, {"type": "egress", "protocol": "-1", "cidrBlocks": ["0.0.0.0/0"]}),
        (RULE, {"ipProtocol": "tcp", "fromPort": 5432, "toPort": 5432, "referencedSecurityGroupId": UNKNOWN}),
        (SERVICE, {"spec": {"type": "LoadBalancer", "ports": [{"port": 80, "targetPort": "http"}]}}),
        (SERVICE, {"spec": {"ports": [{"port": 5432}]}}),
    ],
)
def test_private_databases_pass(check: Check, kind: str, props: dict[str, Any]):
    assert check("no-public-database", kind, props) == Verdict()


def test_unknown_firewall_rule_is_checked_later(check: Check):
    assert check("no-public-database", DO_FIREWALL, {"rules": UNKNOWN}).unknown


@pytest.mark.parametrize(
    ("block", "private"),
    [("10.0.0.0/8", True), ("10.1.2.3", True), ("fd00::/8", True), ("10.0.0.0/7", False), ("0.0.0.0/0", False)],
)
def test_private_ranges(block: str, private: bool):
    assert is_private(block) is private
    assert not is_private("anybody")


def test_digitalocean_databases_need_a_firewall(check_stack: Check):
    database = StackResource("database", DO_DATABASE)
    guard = StackResource("guard", DO_FIREWALL, of={"clusterId": "database"})
    other = StackResource("other", DO_FIREWALL, of={"rules": "database"})
    assert check_stack("database-firewall", database, guard) == Verdict()
    assert "DatabaseFirewall" in str(check_stack("database-firewall", database))
    assert check_stack("database-firewall", database, other).messages


KEY = {"encryptionConfig": {"resources": ["secrets"], "provider": {"keyArn": UNKNOWN}}}
DISK = "aws:ec2/launchTemplate:LaunchTemplate"


def _forced(family: str, *values: str) -> dict[str, Any]:
    return {"family": family, "parameters": [{"name": "rds.force_ssl", "value": value} for value in values]}


@pytest.mark.parametrize(
    ("kind", "good", "bad", "message"),
    [
        (RDS, {"storageEncrypted": True}, {}, "storageEncrypted"),
        (RDS, {"replicateSourceDb": UNKNOWN}, {"storageEncrypted": False}, "storageEncrypted"),
        ("aws:rds/cluster:Cluster", {"storageEncrypted": True}, {}, "storageEncrypted"),
        ("aws:rds/parameterGroup:ParameterGroup", _forced("postgres15"), _forced("postgres15", "0"), "rds.force_ssl"),
        ("aws:rds/parameterGroup:ParameterGroup", _forced("postgres14", "1"), _forced("postgres14"), "rds.force_ssl"),
        ("aws:rds/parameterGroup:ParameterGroup", _forced("mysql8.0"), _forced("postgres13"), "rds.force_ssl"),
        ("aws:eks/cluster:Cluster", KEY, {}, "encryptionConfig"),
        ("aws:eks/cluster:Cluster", KEY, {"encryptionConfig": {"resources": []}}, "encryptionConfig"),
        (
            "aws:ecr/repository:Repository",
            {"encryptionConfigurations": [{"encryptionType": "AES256"}]},
            {},
            "encryptionConfigurations",
        ),
        ("aws:kms/key:Key", {"enableKeyRotation": True}, {}, "enableKeyRotation"),
        ("aws:kms/key:Key", {"customerMasterKeySpec": "ECC_NIST_P256"}, {"enableKeyRotation": False}, "rotated"),
        (
            DISK,
            {"blockDeviceMappings": [{"deviceName": "a", "ebs": {"encrypted": "true"}}]},
            {"blockDeviceMappings": [{"deviceName": "a", "ebs": {"volumeSize": 20}}]},
            "ebs.encrypted",
        ),
        ("aws:ebs/volume:Volume", {"encrypted": True}, {}, "encrypted"),
        (SQL, _sql(), _sql(sslMode="ALLOW_UNENCRYPTED_AND_ENCRYPTED"), "ENCRYPTED_ONLY"),
        (SQL, _sql(sslMode="TRUSTED_CLIENT_CERTIFICATE_REQUIRED"), _sql(sslMode=None), "sslMode"),
    ],
)
def test_unencrypted_resources_are_refused(
    check: Check, kind: str, good: dict[str, Any], bad: dict[str, Any], message: str
):
    assert check("encryption", kind, good) == Verdict()
    verdict = check("encryption", kind, bad)
    assert len(verdict.messages) == 1
    assert message in str(verdict)


PROTECTED_SQL = {
    "deletionProtection": True,
    "settings": {"deletionProtectionEnabled": True, "backupConfiguration": {"enabled": True}},
}


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (DO_CLUSTER, {}, {"destroyAllAssociatedResources": True}),
        (SQL, PROTECTED_SQL, {**PROTECTED_SQL, "deletionProtection": False}),
        (
            SQL,
            PROTECTED_SQL,
            {
                **PROTECTED_SQL,
                "settings": {"backupConfiguration": {"enabled": True}, "deletionProtectionEnabled": False},
            },
        ),
        (SQL, PROTECTED_SQL, {**PROTECTED_SQL, "settings": {"deletionProtectionEnabled": True}}),
        ("gcp:container/cluster:Cluster", {"deletionProtection": True}, {}),
        ("aws:eks/cluster:Cluster", {"deletionProtection": True}, {"deletionProtection": False}),
        ("aws:ecr/repository:Repository", {}, {"forceDelete": True}),
        (RDS, {"deletionProtection": True}, {}),
        (RDS, {"deletionProtection": True}, {"deletionProtection": True, "skipFinalSnapshot": True}),
    ],
)
def test_production_requires_deletion_protection(check: Check, kind: str, good: dict[str, Any], bad: dict[str, Any]):
    assert check("deletion-protection", kind, good, stack="prod-aws", protect=True) == Verdict()
    verdict = check("deletion-protection", kind, bad, stack="prod-aws", protect=True)
    assert len(verdict.messages) == 1
    assert "`pulumi config set " in str(verdict)
    assert "deletion-protection.retiring" in str(verdict)


@pytest.mark.parametrize(
    "kind",
    [
        DO_CLUSTER,
        DO_DATABASE,
        "digitalocean:index/databaseDb:DatabaseDb",
        "digitalocean:index/containerRegistry:ContainerRegistry",
        "gcp:artifactregistry/repository:Repository",
        "gcp:sql/database:Database",
        "aws:kms/key:Key",
        "aws:ecr/repository:Repository",
    ],
)
def test_production_requires_pulumi_protect(check: Check, kind: str):
    assert "`protect` is not set" in str(check("deletion-protection", kind, {}, stack="prod"))
    assert check("deletion-protection", kind, {}, stack="prod", protect=True) == Verdict()
    assert check("deletion-protection", kind, {}, stack="prod-like") != Verdict()
    assert check("deletion-protection", kind, {}, stack="staging") == Verdict()
    assert check("deletion-protection", kind, {}, stack="prod", config={"retiring": ["prod"]}) == Verdict()


@pytest.mark.parametrize(
    ("kind", "props", "wrong"),
    [
        (DO_DATABASE, {"region": "fra1"}, 0),
        (DO_DATABASE, {"region": "nyc3"}, 1),
        ("gcp:container/cluster:Cluster", {"location": "europe-west3"}, 0),
        ("gcp:container/cluster:Cluster", {"location": "europe-west3-a"}, 0),
        ("gcp:container/cluster:Cluster", {"location": "us-central1"}, 1),
        ("gcp:artifactregistry/repository:Repository", {"location": "us"}, 1),
        ("gcp:compute/globalAddress:GlobalAddress", {"region": "global"}, 0),
        ("pulumi:providers:aws", {"region": "eu-central-1"}, 0),
        ("pulumi:providers:aws", {"region": "us-east-1"}, 1),
        (RDS, {"region": "us-east-1"}, 1),
        (RDS, {}, 0),
        ("kubernetes:core/v1:ConfigMap", {"region": "anywhere"}, 0),
    ],
)
def test_only_allowed_regions_pass(check: Check, kind: str, props: dict[str, Any], wrong: int):
    verdict = check("allowed-regions", kind, props)
    assert len(verdict.messages) == wrong
    assert not wrong or "policy/policy-config.json" in str(verdict)


def test_unknown_region_is_checked_later(check: Check):
    assert check("allowed-regions", DO_DATABASE, {"region": UNKNOWN}).unknown
