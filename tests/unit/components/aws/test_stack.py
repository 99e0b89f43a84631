"""The whole of a stack on AWS: what is bought, tagged, protected, and in which order it is made."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml
from pulumi.output import Unknown

import stacks.aws
from contract.project import PROJECT_ROOT as ROOT
from stacks.parsing import parse
from stacks.platform_reference import READ_OUTPUTS
from tests.unit.components.aws.simulated import ADMINISTRATOR, AUTHORITY, EKS, TAGS
from tests.unit.components.graphs import made_in, named, short


def test_what_is_bought(graph: Callable[..., Any]):
    assert Counter(short(each) for each in made_in(graph(), "aws")) == {
        "Vpc": 1,
        "Subnet": 4,
        "InternetGateway": 1,
        "Eip": 1,
        "NatGateway": 1,
        "RouteTable": 3,
        "RouteTableAssociation": 4,
        "Role": 3,
        "RolePolicyAttachment": 4,
        "RolePolicy": 1,
        "OpenIdConnectProvider": 1,
        "LogGroup": 3,
        "Key": 1,
        "Alias": 1,
        "Cluster": 1,
        "Addon": 3,
        "LaunchTemplate": 1,
        "NodeGroup": 1,
        "Repository": 1,
        "LifecyclePolicy": 1,
        "SecurityGroup": 1,
        "SecurityGroupIngressRule": 1,
        "SubnetGroup": 1,
        "ParameterGroup": 1,
        "Instance": 1,
    }


def test_aws_itself_refuses_to_take_production(graph: Callable[..., Any]):
    made = graph()
    assert made.one(EKS).inputs["deletionProtection"] is True
    assert made.one("Instance").inputs["deletionProtection"] is True
    assert made.one("Repository").inputs["forceDelete"] is False
    made = graph(deletionProtection=False)
    assert made.one(EKS).inputs["deletionProtection"] is False
    assert made.one("Instance").inputs["deletionProtection"] is False
    assert made.one("Repository").inputs["forceDelete"] is True
    assert made.one("Instance").inputs["skipFinalSnapshot"] is False, "taking a stack down keeps its data"


def test_a_refused_destroy_takes_nothing(graph: Callable[..., Any]):
    made = graph()
    needed = {urn for each in made.resources for urn in [*each.dependencies, each.provider.rpartition("::")[0]]}
    first_to_go = [each for each in made_in(made, "aws") if each.urn not in needed]
    assert first_to_go, "what nothing needs is what a refused `destroy` would take all the same"
    assert [each.type for each in first_to_go if not (each.options.protect or each.options.deletedWith)] == []


def test_everything_that_takes_tags_is_tagged(graph: Callable[..., Any]):
    made = graph()
    (provider,) = [each for each in made.resources if each.type == "pulumi:providers:aws"]
    assert json.loads(provider.inputs["defaultTags"]) == {"tags": TAGS}
    assert provider.inputs["region"] == "eu-central-1"
    for resource in made_in(made, "aws"):
        assert resource.provider.startswith(provider.urn), f"{resource.urn} is made by another provider, untagged"
    specifications = made.one("LaunchTemplate").inputs["tagSpecifications"]
    assert {each["resourceType"] for each in specifications} == {"instance", "volume", "network-interface"}
    assert all(TAGS.items() <= each["tags"].items() for each in specifications)
    public = made.one("Service", "addressbook-lb").inputs["metadata"]["annotations"]
    assert public["service.beta.kubernetes.io/aws-load-balancer-additional-resource-tags"] == ",".join(
        f"{key}={value}" for key, value in TAGS.items()
    )


def test_the_public_service_gets_a_network_load_balancer(graph: Callable[..., Any]):
    made = graph()
    annotations = made.one("Service", "addressbook-lb").inputs["metadata"]["annotations"]
    assert annotations["service.beta.kubernetes.io/aws-load-balancer-type"] == "nlb"
    for track in (each for each in made.all("Service") if each.inputs["metadata"]["name"] != "addressbook-lb"):
        assert not any("aws" in key for key in track.inputs["metadata"].get("annotations", {}))


def test_high_availability_is_a_standby_and_a_way_out_per_zone(graph: Callable[..., Any]):
    before, after = graph(), graph(highAvailability=True)
    assert (before.one("Instance").inputs["multiAz"], after.one("Instance").inputs["multiAz"]) == (False, True)
    assert {each.inputs["subnetId"] for each in after.all("NatGateway")} == {"public-1-id", "public-2-id"}
    assert named(after, "RouteTable", "private-2").inputs["routes"][0]["natGatewayId"] == "nat-2-id"
    known = {each.urn for each in before.resources}
    assert known <= {each.urn for each in after.resources}, "switching it on takes something away"


def test_workloads_come_after_all_they_need(graph: Callable[..., Any]):
    made = graph(clusterAdministrators=[ADMINISTRATOR])
    (provider,) = made.all("kubernetes")
    needed = ("NodeGroup", "Addon", "NatGateway", "RouteTable", "RouteTableAssociation", "InternetGateway")
    for kind in (*needed, "AccessEntry", "AccessPolicyAssociation"):
        for each in made.all(kind):
            assert each.urn in provider.dependencies, each.urn


def test_zones_are_known_in_a_preview_of_an_empty_stack(first_preview: Callable[[], Any]):
    made, _ = first_preview()
    subnet = named(made, "Subnet", "public-1").inputs
    assert subnet["availabilityZone"] == "eu-central-1a"
    assert isinstance(subnet["vpcId"], Unknown)


def test_a_release_stack_has_the_service_that_the_platform_has_a_repository_for(graph: Callable[..., Any], cloud: Any):
    platform = dict(graph().outputs)
    cloud.functions[READ_OUTPUTS] = lambda args: {"name": args["name"], "outputs": platform, "secretOutputNames": []}
    unset = {"kubernetesVersion": "", "region": "", "databaseAuthority": ""}
    with pytest.raises(pulumi.RunError, match="service = 'shop': the platform of `prod` has an image repository for"):
        graph(platformStack="prod", namespace="branch-one", service="shop", **unset)


@pytest.mark.usefixtures("account")
def test_the_stack_file_is_right(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    stack = yaml.safe_load((ROOT / "Pulumi.prod-aws.yaml").read_text())["config"]
    values = {key.removeprefix("addressbook:"): value for key, value in stack.items()}
    kept = tmp_path / values["databaseAuthority"]
    kept.parent.mkdir()
    kept.write_text(AUTHORITY.read_text())
    monkeypatch.setattr(stacks.aws, "PROJECT_ROOT", tmp_path)
    settings = parse({key: str(value) for key, value in values.items()}, stacks.aws.PlatformKeys)
    assert settings.stack.cloud == "aws"
