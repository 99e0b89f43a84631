"""The simulated AWS refuses what AWS would refuse, and keeps what it was given."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lab.plugins.account import FAULT_VARIABLE
from lab.plugins.aws.account import CALLER, KEY_VARIABLES, NUMBER, zones
from lab.plugins.aws.cloud import Aws
from lab.plugins.aws.functions import FUNCTIONS
from lab.plugins.engine import Engine
from lab.plugins.properties import UNKNOWN, Properties
from lab.plugins.provider import Created, InitializationFailed, ProviderError
from lab.plugins.simulated import GOES_ON
from tests.unit.plugins.aws_account import Network, configured, make, resource, wrong


def test_default_tags_and_the_region_are_the_resources_own(aws: Aws):
    given = {"cidrBlock": "10.0.0.0/16", "tags": {"Name": "network"}}
    first = configured(stack="prod").check(resource(aws, "Vpc"), {}, given).inputs
    assert first["tagsAll"] == {"stack": "prod", "Name": "network"}
    again = configured(stack="prod").check(resource(aws, "Vpc"), first, first).inputs
    assert not aws.diff(resource(aws, "Vpc"), first, {}, again)
    tagged = configured(stack="test").check(resource(aws, "Vpc"), first, given).inputs
    changes = aws.diff(resource(aws, "Vpc"), first, {}, tagged)
    assert changes and not changes.replace
    moved = configured("eu-west-1", stack="prod").check(resource(aws, "Vpc"), first, given).inputs
    assert aws.diff(resource(aws, "Vpc"), first, {}, moved).replace == {("region",)}
    unknown = aws.check(resource(aws, "Vpc"), {}, {"tags": {"Name": UNKNOWN}, "cidrBlock": "10.0.0.0/16"})
    assert unknown.inputs["tagsAll"] is UNKNOWN and not unknown.failures


def test_a_provider_works_in_the_accounts_that_it_is_allowed():
    for allowed, faults in (([NUMBER], []), (["210987654321"], [("allowedAccountIds", NUMBER)])):
        given: Properties = {"region": "eu-central-1", "allowedAccountIds": json.dumps(allowed)}
        found = Aws(Engine()).check_configuration({}, given)
        assert [(each.property, each.reason.rpartition(" ")[2]) for each in found.failures] == faults


def test_a_preview_makes_nothing_and_knows_nothing(aws: Aws):
    made = aws.create(resource(aws, "Vpc", preview=True), {"cidrBlock": "10.0.0.0/16"})
    assert made.id == "" and made.outputs["arn"] is UNKNOWN
    assert aws.account.records() == []


@pytest.mark.parametrize(
    ("kind", "given", "found"),
    [
        ("Vpc", {"cidrBlock": "10.0.0.0/8"}, "cidrBlock"),
        ("Vpc", {"cidrBlock": "10.0.0.1/16"}, "cidrBlock"),
        ("Vpc", {"cidrBlock": "10.0.0.0/16", "tags": {"aws:x": "1"}}, 'tags["aws:x"]'),
        ("Eip", {"domain": "standard"}, "domain"),
        ("NatGateway", {"subnetId": "subnet-00000000000000001"}, "allocationId"),
        ("RouteTable", {"vpcId": "vpc-00000000000000001", "routes": [{"cidrBlock": "0.0.0.0/0"}]}, "routes[0]"),
        ("SecurityGroup", {"name": "sg-mine"}, "name"),
        ("SecurityGroup", {"description": "naïve"}, "description"),
        ("SecurityGroupIngressRule", {"securityGroupId": "sg-00000000000000001", "ipProtocol": "-1"}, "cidrIpv4"),
        ("LaunchTemplate", {"instanceType": "small"}, "instanceType"),
        ("LaunchTemplate", {"metadataOptions": {"httpTokens": "yes"}}, "metadataOptions.httpTokens"),
        ("Role", {"assumeRolePolicy": "{"}, "assumeRolePolicy"),
        ("Role", {"assumeRolePolicy": "{}", "name": "x" * 65}, "name"),
        ("Key", {"deletionWindowInDays": 3}, "deletionWindowInDays"),
        ("Alias", {"name": "alias/aws/mine", "targetKeyId": "1"}, "name"),
        ("LogGroup", {"retentionInDays": 91}, "retentionInDays"),
        ("Repository", {"name": "Capital"}, "name"),
        ("Repository", {"imageTagMutability": "ALWAYS"}, "imageTagMutability"),
        ("LifecyclePolicy", {"repository": "ours", "policy": '{"rules": []}'}, "policy"),
        ("ParameterGroup", {"family": "postgres15", "parameters": [{"name": "rds.force_ssl", "value": "yes"}]},
         "parameters[0].value"),
        ("ParameterGroup", {"family": "postgres15", "parameters": [{"name": "max_connections", "value": "9"}]},
         "parameters[0].applyMethod"),
    ],
)  # fmt: skip
def test_wrong_inputs_are_named(aws: Aws, kind: str, given: Properties, found: str):
    assert wrong(aws, kind, **given) == [found]


def test_a_networks_parts_must_fit_and_go_in_order(aws: Aws):
    network = Network(aws)
    with pytest.raises(ProviderError, match=r"InvalidSubnet\.Range"):
        make(aws, "Subnet", vpcId=network.vpc, cidrBlock="10.65.0.0/20")
    with pytest.raises(ProviderError, match="account has one, id subnet-"):
        make(aws, "Subnet", vpcId=network.vpc, cidrBlock="10.64.1.0/24")
    with pytest.raises(ProviderError, match="availabilityZone is invalid"):
        make(aws, "Subnet", vpcId=network.vpc, cidrBlock="10.64.255.0/24", availabilityZone="eu-central-1f")
    with pytest.raises(ProviderError, match="account has one, id igw-"):
        make(aws, "InternetGateway", vpcId=network.vpc)
    for kind, id in (("Vpc", network.vpc), ("InternetGateway", network.gateway), ("Eip", network.address)):
        with pytest.raises(ProviderError, match="DependencyViolation"):
            aws.delete(resource(aws, kind, id), {}, {})
    (association,) = [
        each
        for each in aws.account.records()
        if each.type == "RouteTableAssociation" and each.inputs["subnetId"] == network.subnets[0]
    ]
    by_both = f"{network.subnets[0]}/{association.inputs['routeTableId']}"
    found = aws.read(resource(aws, "RouteTableAssociation", by_both), {}, {})
    assert found is not None and found.id == association.id


TRUST = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole"}]}


def role(aws: Aws, name: str, service: str, *policies: str) -> str:
    statement = {**TRUST["Statement"][0], "Principal": {"Service": service}}  # type: ignore[dict-item]
    made = make(aws, "Role", name=name, assumeRolePolicy=json.dumps({**TRUST, "Statement": [statement]}))
    for policy in policies:
        make(aws, "RolePolicyAttachment", role=name, policyArn=f"arn:aws:iam::aws:policy/{policy}")
    return made.outputs["arn"]


@pytest.fixture
def cluster(aws: Aws, tmp_path: Path) -> tuple[Aws, Network]:
    """A cluster `ours` without nodes, in a lab on paper."""
    (tmp_path / "kubeconfig").write_text('{"clusters": [{"cluster": {"certificate-authority-data": "Q0E="}}]}')
    network = Network(aws)
    control = role(aws, "control", "eks.amazonaws.com", "AmazonEKSClusterPolicy")
    make(
        aws, "Cluster", name="ours", version="1.34", roleArn=control, vpcConfig={"subnetIds": network.subnets},
        accessConfig={"authenticationMode": "API"}, bootstrapSelfManagedAddons=False, deletionProtection=True,
    )  # fmt: skip
    return aws, network


def test_a_role_that_eks_could_not_take_is_refused(aws: Aws):
    network = Network(aws)
    given: Properties = {"name": "ours", "version": "1.34", "vpcConfig": {"subnetIds": network.subnets}}
    with pytest.raises(ProviderError, match="does not trust eks"):
        make(aws, "Cluster", **given, roleArn=role(aws, "nodes", "ec2.amazonaws.com"))
    with pytest.raises(ProviderError, match=r"lacks these policies.*AmazonEKSClusterPolicy"):
        make(aws, "Cluster", **given, roleArn=role(aws, "control", "eks.amazonaws.com"))
    with pytest.raises(ProviderError, match="does not exist or is not attachable"):
        role(aws, "other", "eks.amazonaws.com", "AmazonEKSClusterPolice")
    assert not [each for each in aws.account.records() if each.type == "Cluster"]


def test_a_cluster_goes_up_one_version_at_a_time_and_not_while_it_is_protected(cluster: tuple[Aws, Network]):
    aws, _ = cluster
    made = aws.account.get("Cluster", "ours")
    assert made is not None
    for version in ("1.36", "1.33"):
        with pytest.raises(ProviderError, match="unsupported Kubernetes minor version update"):
            aws.update(resource(aws, "Cluster", "ours"), made.inputs, {}, {**made.inputs, "version": version})
    with pytest.raises(ProviderError, match="deletion protection enabled"):
        aws.delete(resource(aws, "Cluster", "ours"), {}, {})
    new = {**made.inputs, "version": "1.35", "deletionProtection": False}
    issuer = made.outputs["identities"]
    assert aws.update(resource(aws, "Cluster", "ours"), made.inputs, {}, new)["identities"] == issuer
    aws.delete(resource(aws, "Cluster", "ours"), {}, {})
    assert aws.account.get("Cluster", "ours") is None


def nodes(aws: Aws, network: Network, **given: Any) -> Created:
    template = make(aws, "LaunchTemplate", name="nodes", instanceType="t3.small")
    worker = role(aws, "worker", "ec2.amazonaws.com", "AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly")
    inputs: Properties = {
        "clusterName": "ours", "nodeRoleArn": worker, "subnetIds": network.subnets, "version": "1.34",
        "amiType": "AL2023_x86_64_STANDARD", "launchTemplate": {"id": template.id, "version": "1"},
        "scalingConfig": {"desiredSize": 3, "minSize": 3, "maxSize": 3},
    }  # fmt: skip
    try:
        return make(aws, "NodeGroup", **{**inputs, **given})
    except ProviderError:
        for kind, id in (("LaunchTemplate", template.id), ("Role", "worker")):
            aws.account.remove(kind, id)
        raise


def test_nodes_need_a_way_out_a_network_plugin_and_the_right_image(cluster: tuple[Aws, Network]):
    aws, network = cluster
    with pytest.raises(ProviderError, match="no network plugin"):
        nodes(aws, network)
    with pytest.raises(ProviderError, match="DEGRADED"):
        make(aws, "Addon", clusterName="ours", addonName="coredns")
    make(aws, "Addon", clusterName="ours", addonName="vpc-cni")
    with pytest.raises(ProviderError, match="no way out"):
        nodes(aws, network, subnetIds=[network.private(4, "c", reaching_out=False)])
    with pytest.raises(ProviderError, match="not a valid instance type"):
        nodes(aws, network, amiType="AL2023_ARM_64_STANDARD")
    with pytest.raises(ProviderError, match="newer than the cluster's"):
        nodes(aws, network, version="1.35")
    made = nodes(aws, network)
    assert made.id == "ours:test-0000000"
    make(aws, "Addon", clusterName="ours", addonName="coredns")
    with pytest.raises(ProviderError, match="not supported by the cluster's Kubernetes"):
        make(aws, "Addon", clusterName="ours", addonName="kube-proxy", addonVersion="v1.33.0-eksbuild.2")


def test_an_add_ons_role_must_trust_the_clusters_tokens(cluster: tuple[Aws, Network]):
    aws, _ = cluster
    made = aws.account.get("Cluster", "ours")
    assert made is not None
    issuer = made.outputs["identities"][0]["oidcs"][0]["issuer"]
    vouching = make(aws, "OpenIdConnectProvider", url=issuer, clientIdLists=["sts.amazonaws.com"])
    tokens = issuer.removeprefix("https://")
    arns: list[str] = []
    for account in ("default", "aws-node"):
        who = {f"{tokens}:aud": "sts.amazonaws.com", f"{tokens}:sub": f"system:serviceaccount:kube-system:{account}"}
        statement = {
            "Effect": "Allow",
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Principal": {"Federated": vouching.id},
            "Condition": {"StringEquals": who},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        arns.append(make(aws, "Role", name=account, assumeRolePolicy=policy).outputs["arn"])
    with pytest.raises(ProviderError, match="aws-node is not authorized"):
        make(aws, "Addon", clusterName="ours", addonName="vpc-cni", serviceAccountRoleArn=arns[0])
    make(aws, "Addon", clusterName="ours", addonName="vpc-cni", serviceAccountRoleArn=arns[1])


def test_who_made_the_cluster_is_its_administrator_already(cluster: tuple[Aws, Network]):
    aws, _ = cluster
    with pytest.raises(ProviderError, match="already in use"):
        make(aws, "AccessEntry", clusterName="ours", principalArn=CALLER)
    other = "arn:aws:iam::123456789012:role/team"
    policy = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
    given: Properties = {"clusterName": "ours", "principalArn": other, "accessScope": {"type": "cluster"}}
    with pytest.raises(ProviderError, match="has no AccessEntry"):
        make(aws, "AccessPolicyAssociation", **given, policyArn=policy)
    make(aws, "AccessEntry", clusterName="ours", principalArn=other)
    make(aws, "AccessPolicyAssociation", **given, policyArn=policy)


@pytest.mark.parametrize(
    ("fault", "said", "left"),
    [
        ("quota:Vpc", "limit is reached", 0),
        ("name-taken:Vpc", "somebody else has it", 0),
        ("timeout:Vpc", GOES_ON, 1),
        ("expired", "credentials have expired", 0),
    ],
)
def test_faults(aws: Aws, monkeypatch: pytest.MonkeyPatch, fault: str, said: str, left: int):
    monkeypatch.setenv(FAULT_VARIABLE, fault)
    with pytest.raises(ProviderError, match=said):
        make(aws, "Vpc", cidrBlock="10.0.0.0/16")
    assert len(aws.account.records()) == left


def test_what_timed_out_is_in_the_state_and_the_next_up_goes_on_with_it(aws: Aws, monkeypatch: pytest.MonkeyPatch):
    assert all(kind.kept_on_timeout for kind in Aws.kinds)
    monkeypatch.setenv(FAULT_VARIABLE, "timeout:Vpc")
    with pytest.raises(InitializationFailed) as caught:
        make(aws, "Vpc", cidrBlock="10.0.0.0/16")
    assert "pulumi import" not in str(caught.value)
    state = caught.value.outputs
    assert (state["cidrBlock"], "arn" in state) == ("10.0.0.0/16", False)
    monkeypatch.delenv(FAULT_VARIABLE)
    (record,) = aws.account.records()
    updated = aws.update(resource(aws, "Vpc", caught.value.id), record.inputs, state, record.inputs)
    assert updated["arn"] == record.outputs["arn"]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_expired_credentials_stop_functions_too(aws: Aws, monkeypatch: pytest.MonkeyPatch, function: str):
    monkeypatch.setenv(FAULT_VARIABLE, "expired")
    _, _, required, _ = FUNCTIONS[function]
    with pytest.raises(ProviderError, match="credentials have expired"):
        aws.invoke(function, dict.fromkeys(required, "any"), False)


def test_without_keys_nothing_works(aws: Aws, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(KEY_VARIABLES[1])
    with pytest.raises(ProviderError, match="Unable to locate credentials"):
        make(aws, "Vpc", cidrBlock="10.0.0.0/16")
    with pytest.raises(ProviderError, match="Unable to locate credentials"):
        aws.invoke("aws:index/getAvailabilityZones:getAvailabilityZones", {}, False)


def test_zones_are_filtered_as_the_program_asks():
    aws = configured("us-east-1")
    asked: Properties = {
        "filters": [{"name": "zone-type", "values": ["availability-zone"]}],
        "excludeZoneIds": ["use1-az3"],
    }
    with pytest.MonkeyPatch.context() as patch:
        for name in KEY_VARIABLES:
            patch.setenv(name, "of-a-test")
        found = aws.invoke("aws:index/getAvailabilityZones:getAvailabilityZones", asked, False)
        local = {"filters": [{"name": "zone-type", "values": ["local-zone"]}]}
        assert aws.invoke("aws:index/getAvailabilityZones:getAvailabilityZones", local, False)["names"] == []
    assert found["names"] == [f"us-east-1{letter}" for letter in "abdef"]
    assert zones("ap-southeast-2")["ap-southeast-2b"] == "apse2-az2"


def test_rules_for_images_are_checked_as_ecr_does(aws: Aws):
    selection = {"tagStatus": "tagged", "tagPrefixList": ["src-"], "countType": "imageCountMoreThan", "countNumber": 9}
    good = {"rulePriority": 1, "selection": selection, "action": {"type": "expire"}}
    make(aws, "Repository", name="ours")
    make(aws, "LifecyclePolicy", repository="ours", policy=json.dumps({"rules": [good]}))
    for bad in (
        [good, good],
        [{**good, "selection": {**selection, "tagStatus": "untagged"}}],
        [{**good, "selection": {**selection, "countUnit": "days"}}],
        [{**good, "action": {"type": "keep"}}],
    ):
        assert wrong(aws, "LifecyclePolicy", repository="ours", policy=json.dumps({"rules": bad}))
    changes = aws.diff(
        resource(aws, "LifecyclePolicy"),
        {"repository": "ours", "policy": "1"},
        {},
        {"repository": "ours", "policy": "2"},
    )
    assert changes.replace and changes.delete_before_replace, "a repository has one"


def test_a_repository_with_images_is_not_deleted_unless_that_is_said(aws: Aws, tmp_path: Path):
    make(aws, "Repository", name="stack/ours")
    folder = tmp_path / "registry/docker/registry/v2/repositories/stack/ours"
    (folder / "_manifests/revisions/sha256/abc").mkdir(parents=True)
    with pytest.raises(ProviderError, match="RepositoryNotEmptyException"):
        aws.delete(resource(aws, "Repository", "stack/ours"), {}, {})
    aws.update(resource(aws, "Repository", "stack/ours"), {}, {}, {"name": "stack/ours", "forceDelete": True})
    aws.delete(resource(aws, "Repository", "stack/ours"), {}, {})
    assert not folder.exists()
