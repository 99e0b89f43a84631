"""A whole stack on AWS: resources, tags, protection and order."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi.output import Unknown

import stacks.aws
from stacks.parsing import parse
from stacks.platform_reference import READ_OUTPUTS
from tests.unit.components.aws.simulated import ADMINISTRATOR, AUTHORITY, CALLER, EKS, TAGS
from tests.unit.components.clouds import config_of
from tests.unit.components.graphs import cloud_resources, named


def test_aws_itself_refuses_to_delete_production(graph: Callable[..., Any]):
    stack = graph()
    assert stack.one(EKS).inputs["deletionProtection"] is True
    assert stack.one("Instance").inputs["deletionProtection"] is True
    assert stack.one("Repository").inputs["forceDelete"] is False
    stack = graph(deletionProtection=False)
    assert stack.one(EKS).inputs["deletionProtection"] is False
    assert stack.one("Instance").inputs["deletionProtection"] is False
    assert stack.one("Repository").inputs["forceDelete"] is True
    assert stack.one("Instance").inputs["skipFinalSnapshot"] is False, "destroy keeps the data"


def test_logs_stop_before_the_stack_is_deleted(graph: Callable[..., Any]):
    stack = graph()
    assert len(stack.one(EKS).inputs["enabledClusterLogTypes"]) == 5
    assert stack.one("Instance").inputs["enabledCloudwatchLogsExports"] == ["postgresql", "upgrade"]
    stack = graph(deletionProtection=False)
    assert stack.one(EKS).inputs["enabledClusterLogTypes"] == [], "else EKS creates the deleted log group again"
    assert stack.one("Instance").inputs["enabledCloudwatchLogsExports"] == []
    assert len(stack.all("LogGroup")) == 3, "kept, as the last logs are read after a failure"


def test_a_refused_destroy_deletes_nothing(graph: Callable[..., Any]):
    stack = graph()
    needed = {urn for each in stack.resources for urn in [*each.dependencies, each.provider.rpartition("::")[0]]}
    independent = [each for each in cloud_resources(stack, "aws") if each.urn not in needed]
    assert independent, "a refused `destroy` deletes what nothing depends on"
    assert [each.type for each in independent if not (each.options.protect or each.options.deletedWith)] == []


def test_everything_that_takes_tags_is_tagged(graph: Callable[..., Any]):
    stack = graph()
    (provider,) = [each for each in stack.resources if each.type == "pulumi:providers:aws"]
    assert json.loads(provider.inputs["defaultTags"]) == {"tags": TAGS}
    assert provider.inputs["region"] == "eu-central-1"
    for resource in cloud_resources(stack, "aws"):
        assert resource.provider.startswith(provider.urn), f"{resource.urn} has another provider and so no tags"
    specifications = stack.one("LaunchTemplate").inputs["tagSpecifications"]
    assert {each["resourceType"] for each in specifications} == {"instance", "volume", "network-interface"}
    assert all(TAGS.items() <= each["tags"].items() for each in specifications)
    public = stack.one("Service", "addressbook-lb").inputs["metadata"]["annotations"]
    assert public["service.beta.kubernetes.io/aws-load-balancer-additional-resource-tags"] == ",".join(
        f"{key}={value}" for key, value in TAGS.items()
    )


def test_own_tags_and_the_boundary_reach_everything(graph: Callable[..., Any]):
    boundary = "arn:aws:iam::123456789012:policy/boundary"
    stack = graph(tags={"cost-centre": "1234", "pulumi-stack": "another"}, permissionsBoundary=boundary)
    tags = {"cost-centre": "1234", **TAGS}
    assert json.loads(stack.all("aws")[0].inputs["defaultTags"]) == {"tags": tags}
    assert all(tags.items() <= each["tags"].items() for each in stack.one("LaunchTemplate").inputs["tagSpecifications"])
    public = stack.one("Service", "addressbook-lb").inputs["metadata"]["annotations"]
    assert "cost-centre=1234" in public["service.beta.kubernetes.io/aws-load-balancer-additional-resource-tags"]
    assert {each.inputs["permissionsBoundary"] for each in stack.all("iam/role:Role")} == {boundary}
    assert not any("permissionsBoundary" in each.inputs for each in graph().all("iam/role:Role"))


def test_a_dead_node_loses_new_connections_in_20_seconds(graph: Callable[..., Any]):
    annotations = graph().one("Service", "addressbook-lb").inputs["metadata"]["annotations"]
    prefix = "service.beta.kubernetes.io/aws-load-balancer-healthcheck-"
    check = {key.removeprefix(prefix): int(each) for key, each in annotations.items() if key.startswith(prefix)}
    assert check["healthy-threshold"] == check["unhealthy-threshold"], "the controller refuses others for an NLB"
    assert check["interval"] * check["unhealthy-threshold"] <= 20


def test_high_availability_adds_standby_and_nat_per_zone(graph: Callable[..., Any]):
    before, after = graph(), graph(highAvailability=True)
    assert (before.one("Instance").inputs["multiAz"], after.one("Instance").inputs["multiAz"]) == (False, True)
    assert {each.inputs["subnetId"] for each in after.all("NatGateway")} == {"public-1-id", "public-2-id"}
    assert named(after, "RouteTable", "private-2").inputs["routes"][0]["natGatewayId"] == "nat-2-id"
    assert {each.urn for each in before.resources} <= {each.urn for each in after.resources}, (
        "switching it on deletes something"
    )


def test_workloads_wait_for_everything_they_need(graph: Callable[..., Any]):
    stack = graph(clusterAdministrators=[ADMINISTRATOR, CALLER])
    (provider,) = stack.all("kubernetes")
    needed = ("NodeGroup", "Addon", "NatGateway", "RouteTable", "RouteTableAssociation", "InternetGateway")
    for kind in (*needed, "AccessEntry", "AccessPolicyAssociation"):
        for each in stack.all(kind):
            assert each.urn in provider.dependencies, each.urn


def test_zones_are_known_in_a_preview_of_an_empty_stack(first_preview: Callable[[], Any]):
    stack, _ = first_preview()
    subnet = named(stack, "Subnet", "public-1").inputs
    assert subnet["availabilityZone"] == "eu-central-1a"
    assert isinstance(subnet["vpcId"], Unknown)


def test_a_release_stack_must_have_the_platforms_service(graph: Callable[..., Any], cloud: Any):
    platform = dict(graph().outputs)
    cloud.functions[READ_OUTPUTS] = lambda args: {"name": args["name"], "outputs": platform, "secretOutputNames": []}
    unset = {"kubernetesVersion": "", "region": "", "databaseAuthority": ""}
    with pytest.raises(pulumi.RunError, match="service = 'shop': the platform of `prod` has an image repository for"):
        graph(platformStack="prod", namespace="branch-one", service="shop", **unset)


@pytest.mark.usefixtures("account")
def test_the_stack_file_is_valid(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    values = config_of("prod-aws")
    authority = tmp_path / values["databaseAuthority"]
    authority.parent.mkdir()
    authority.write_text(AUTHORITY.read_text())
    monkeypatch.setattr(stacks.aws, "PROJECT_ROOT", tmp_path)
    settings = parse(values, stacks.aws.PlatformKeys)
    assert settings.stack.cloud == "aws"
