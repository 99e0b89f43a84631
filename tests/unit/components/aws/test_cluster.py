"""The EKS cluster: API server, add-ons, rights and order."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.unit.components.aws.simulated import ADDON_VERSION, COMPUTED, EKS, ISSUER, PROVIDER
from tests.unit.components.graphs import named


def test_api_server_access_limits_addresses(graph: Callable[..., Any]):
    network = graph().one(EKS).inputs["vpcConfig"]
    assert network["endpointPublicAccess"] is True, "CI and the team connect from outside the VPC"
    narrowed = graph(apiServerAccess=["203.0.113.0/24"]).one(EKS).inputs["vpcConfig"]
    assert narrowed["publicAccessCidrs"] == ["203.0.113.0/24"]


def test_network_policies_are_enforced(graph: Callable[..., Any]):
    stack = graph()
    network = named(stack, "Addon", "vpc-cni").inputs
    assert json.loads(network["configurationValues"]) == {"enableNetworkPolicy": "true"}
    assert network["serviceAccountRoleArn"] == COMPUTED["aws:iam/role:Role"]["arn"]
    (trust,) = json.loads(named(stack, "iam/role:Role", "network-role").inputs["assumeRolePolicy"])["Statement"]
    assert trust["Principal"] == {"Federated": PROVIDER}
    tokens = ISSUER.removeprefix("https://")
    assert trust["Condition"]["StringEquals"] == {
        f"{tokens}:aud": "sts.amazonaws.com",
        f"{tokens}:sub": "system:serviceaccount:kube-system:aws-node",
    }, "otherwise every pod could assume the role"


def test_addons_follow_the_clusters_version(graph: Callable[..., Any]):
    stack = graph(kubernetesVersion="1.35")
    assert {each.inputs["addonVersion"] for each in stack.all("Addon")} == {"v1 for 1.35"}
    assert stack.one("NodeGroup").inputs["version"] == "1.35"


def test_a_pinned_addon_keeps_its_version(graph: Callable[..., Any], cloud: Any):
    queried: list[str] = []

    def recommended(args: dict[str, Any]) -> dict[str, Any]:
        queried.append(args["addonName"])
        return {**args, "version": "v9.9.9-eksbuild.9", "id": args["addonName"], "region": "eu-central-1"}

    cloud.functions[ADDON_VERSION] = recommended
    stack = graph(addonVersions={"vpc-cni": "v1.20.4-eksbuild.1"})
    versions = {each.name: each.inputs["addonVersion"] for each in stack.all("Addon")}
    assert versions == {
        "vpc-cni": "v1.20.4-eksbuild.1",
        "kube-proxy": "v9.9.9-eksbuild.9",
        "coredns": "v9.9.9-eksbuild.9",
    }
    assert sorted(queried) == ["coredns", "kube-proxy"]


def test_addons_are_created_before_and_after_nodes(graph: Callable[..., Any]):
    stack = graph()
    nodes = stack.one("NodeGroup")
    for kind in ("vpc-cni", "kube-proxy"):
        assert named(stack, "Addon", kind).urn in nodes.dependencies
        assert nodes.urn not in named(stack, "Addon", kind).dependencies
    for each in (*stack.all("NatGateway"), *stack.all("RouteTableAssociation")):
        assert each.urn in nodes.dependencies
    assert nodes.urn in named(stack, "Addon", "coredns").dependencies
    for needed, by in (
        ("cluster-role-AmazonEKSClusterPolicy", stack.one(EKS)),
        ("node-role-AmazonEKSWorkerNodePolicy", nodes),
        ("network-role-AmazonEKS_CNI_Policy", named(stack, "Addon", "vpc-cni")),
    ):
        assert named(stack, "RolePolicyAttachment", needed).urn in by.dependencies
    for log in stack.all("LogGroup"):
        owner = stack.one(EKS if log.name == "cluster-log" else "Instance")
        assert log.urn in owner.dependencies
        assert log.inputs["retentionInDays"] == 90
    assert {log.inputs["name"] for log in stack.all("LogGroup")} == {
        "/aws/eks/addressbook-test/cluster",
        "/aws/rds/instance/addressbook-test/postgresql",
        "/aws/rds/instance/addressbook-test/upgrade",
    }
