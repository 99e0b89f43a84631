"""The EKS cluster: its API server, its add-ons, who may do what, and in which order it is made."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.unit.components.aws.simulated import ADDON_VERSION, ADMINISTRATOR, COMPUTED, EKS, ISSUER, PROVIDER
from tests.unit.components.graphs import named


def test_the_cluster(graph: Callable[..., Any]):
    cluster = graph().one(EKS).inputs
    assert (cluster["name"], cluster["version"]) == ("addressbook-test", "1.34")
    assert cluster["accessConfig"]["authenticationMode"] == "API"
    assert cluster["bootstrapSelfManagedAddons"] is False
    assert cluster["encryptionConfig"]["resources"] == ["secrets"]
    assert cluster["encryptionConfig"]["provider"]["keyArn"] == COMPUTED["aws:kms/key:Key"]["arn"]
    assert "audit" in cluster["enabledClusterLogTypes"]
    assert cluster["upgradePolicy"] == {"supportType": "EXTENDED"}
    assert cluster["vpcConfig"]["subnetIds"] == ["private-1-id", "private-2-id"]
    assert cluster["vpcConfig"]["endpointPrivateAccess"] is True
    assert cluster["vpcConfig"]["endpointPublicAccess"] is True, "CI and the team come in there, by apiServerAccess"
    assert cluster["vpcConfig"]["publicAccessCidrs"] == ["0.0.0.0/0"]
    key = graph().one("kms/key:Key").inputs
    assert key["enableKeyRotation"] is True
    assert key["deletionWindowInDays"] >= 7
    narrowed = graph(apiServerAccess=["203.0.113.0/24"]).one(EKS).inputs
    assert narrowed["vpcConfig"]["publicAccessCidrs"] == ["203.0.113.0/24"]


def test_network_policies_are_enforced(graph: Callable[..., Any]):
    made = graph()
    network = named(made, "Addon", "vpc-cni").inputs
    assert json.loads(network["configurationValues"]) == {"enableNetworkPolicy": "true"}
    assert network["serviceAccountRoleArn"] == COMPUTED["aws:iam/role:Role"]["arn"]
    (trust,) = json.loads(named(made, "iam/role:Role", "network-role").inputs["assumeRolePolicy"])["Statement"]
    assert trust["Principal"] == {"Federated": PROVIDER}
    tokens = ISSUER.removeprefix("https://")
    assert trust["Condition"]["StringEquals"] == {
        f"{tokens}:aud": "sts.amazonaws.com",
        f"{tokens}:sub": "system:serviceaccount:kube-system:aws-node",
    }, "every pod of the cluster could take the role"


def test_addons_follow_the_clusters_version(graph: Callable[..., Any]):
    made = graph(kubernetesVersion="1.35")
    assert {each.inputs["addonVersion"] for each in made.all("Addon")} == {"v1 for 1.35"}
    assert made.one("NodeGroup").inputs["version"] == "1.35"


def test_a_pinned_addon_stays_whatever_aws_recommends(graph: Callable[..., Any], cloud: Any):
    asked: list[str] = []

    def recommended(args: dict[str, Any]) -> dict[str, Any]:
        asked.append(args["addonName"])
        return {**args, "version": "v9.9.9-eksbuild.9", "id": args["addonName"], "region": "eu-central-1"}

    cloud.functions[ADDON_VERSION] = recommended
    made = graph(addonVersions={"vpc-cni": "v1.20.4-eksbuild.1"})
    versions = {each.name: each.inputs["addonVersion"] for each in made.all("Addon")}
    assert versions == {
        "vpc-cni": "v1.20.4-eksbuild.1",
        "kube-proxy": "v9.9.9-eksbuild.9",
        "coredns": "v9.9.9-eksbuild.9",
    }
    assert sorted(asked) == ["coredns", "kube-proxy"]


def test_each_role_has_what_it_needs_and_no_more(graph: Callable[..., Any]):
    made = graph()
    rights = {(each.name, each.inputs["policyArn"].rpartition("/")[2]) for each in made.all("RolePolicyAttachment")}
    assert rights == {
        ("cluster-role-AmazonEKSClusterPolicy", "AmazonEKSClusterPolicy"),
        ("node-role-AmazonEKSWorkerNodePolicy", "AmazonEKSWorkerNodePolicy"),
        ("node-role-AmazonEC2ContainerRegistryPullOnly", "AmazonEC2ContainerRegistryPullOnly"),
        ("network-role-AmazonEKS_CNI_Policy", "AmazonEKS_CNI_Policy"),
    }
    for role, service in (("cluster-role", "eks.amazonaws.com"), ("node-role", "ec2.amazonaws.com")):
        (trust,) = json.loads(named(made, "iam/role:Role", role).inputs["assumeRolePolicy"])["Statement"]
        assert trust["Principal"] == {"Service": service}
    assert all(len(each.inputs["name"]) <= 64 for each in made.all("iam/role:Role"))


def test_administrators_have_access_entries(graph: Callable[..., Any]):
    assert not graph().all("AccessEntry")
    made = graph(clusterAdministrators=[ADMINISTRATOR])
    assert made.one("AccessEntry").inputs["principalArn"] == ADMINISTRATOR
    association = made.one("AccessPolicyAssociation").inputs
    assert association["principalArn"] == ADMINISTRATOR
    assert association["policyArn"].endswith("cluster-access-policy/AmazonEKSClusterAdminPolicy")
    assert association["accessScope"] == {"type": "cluster"}


def test_nodes_come_after_what_makes_them_ready_and_addons_in_order(graph: Callable[..., Any]):
    made = graph()
    nodes = made.one("NodeGroup")
    for kind in ("vpc-cni", "kube-proxy"):
        assert named(made, "Addon", kind).urn in nodes.dependencies
        assert nodes.urn not in named(made, "Addon", kind).dependencies
    for each in (*made.all("NatGateway"), *made.all("RouteTableAssociation")):
        assert each.urn in nodes.dependencies
    assert nodes.urn in named(made, "Addon", "coredns").dependencies
    for needed, by in (
        ("cluster-role-AmazonEKSClusterPolicy", made.one(EKS)),
        ("node-role-AmazonEKSWorkerNodePolicy", nodes),
        ("network-role-AmazonEKS_CNI_Policy", named(made, "Addon", "vpc-cni")),
    ):
        assert named(made, "RolePolicyAttachment", needed).urn in by.dependencies
    assert made.one("RolePolicy").urn in made.one(EKS).dependencies
    for log in made.all("LogGroup"):
        owner = made.one(EKS if log.name == "cluster-log" else "Instance")
        assert log.urn in owner.dependencies
        assert log.inputs["retentionInDays"] == 90
    assert {log.inputs["name"] for log in made.all("LogGroup")} == {
        "/aws/eks/addressbook-test/cluster",
        "/aws/rds/instance/addressbook-test/postgresql",
        "/aws/rds/instance/addressbook-test/upgrade",
    }
