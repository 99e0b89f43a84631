"""Policies for data: network, encryption, deletion protection, regions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from policy.firewalls import is_private
from tests.unit.policy.conftest import Verdict
from tests.unit.policy.unknown import UNKNOWN

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


def test_unknown_firewall_rule_is_checked_later(check: Check):
    assert check("no-public-database", DO_FIREWALL, {"rules": UNKNOWN}).unknown


@pytest.mark.parametrize(
    ("block", "private"),
    [("10.0.0.0/8", True), ("10.1.2.3", True), ("fd00::/8", True), ("10.0.0.0/7", False), ("0.0.0.0/0", False)],
)
def test_private_ranges(block: str, private: bool):
    assert is_private(block) is private
    assert not is_private("anybody")


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
