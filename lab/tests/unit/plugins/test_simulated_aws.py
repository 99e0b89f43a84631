"""The simulated AWS refuses what AWS would refuse, and keeps what it was given."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lab.plugins.account import FAULT_VARIABLE, Record
from lab.plugins.aws.access import caller_admitted
from lab.plugins.aws.account import CALLER, CALLER_ROLE, CALLER_ROLE_NAME, NUMBER, zones
from lab.plugins.aws.cloud import Aws
from lab.plugins.aws.versions import KUBERNETES
from lab.plugins.engine import Engine
from lab.plugins.properties import UNKNOWN, Properties
from lab.plugins.provider import Checked, ProviderError
from lab.tests.unit.plugins.simulated_accounts import AwsNetwork, delete, make, resource

ZONES = "aws:index/getAvailabilityZones:getAvailabilityZones"


def test_default_tags_and_the_region_belong_to_each_resource(aws: Aws):
    vpc, given = resource(aws, "Vpc"), {"cidrBlock": "10.0.0.0/16", "tags": {"Name": "network"}}

    def checked(region: str, stack: str, inputs: Properties) -> Checked:
        aws.configure({"region": region, "defaultTags": json.dumps({"tags": {"stack": stack}})})
        return aws.check(vpc, {}, inputs)

    first = checked("eu-central-1", "prod", given).inputs
    assert first["tagsAll"] == {"stack": "prod", "Name": "network"}
    assert not aws.diff(vpc, first, {}, checked("eu-central-1", "prod", first).inputs)
    changes = aws.diff(vpc, first, {}, checked("eu-central-1", "test", given).inputs)
    assert changes and not changes.replace
    assert aws.diff(vpc, first, {}, checked("eu-west-1", "prod", given).inputs).replace == {("region",)}
    unknown = checked("eu-central-1", "prod", {**given, "tags": {"Name": UNKNOWN}})
    assert unknown.inputs["tagsAll"] is UNKNOWN and not unknown.failures


@pytest.mark.parametrize(("account", "wrong"), [(NUMBER, []), ("210987654321", ["allowedAccountIds"])])
def test_provider_works_only_in_allowed_accounts(account: str, wrong: list[str]):
    given: Properties = {"region": "eu-central-1", "allowedAccountIds": json.dumps([account])}
    assert [each.property for each in Aws(Engine()).check_configuration({}, given).failures] == wrong


def test_parts_of_a_network_must_fit_and_go_in_order(aws: Aws):
    network = AwsNetwork(aws)
    for given, message in (
        ({"cidrBlock": "10.65.0.0/20"}, r"InvalidSubnet\.Range"),
        ({"cidrBlock": "10.64.1.0/24"}, "account has one, id subnet-"),
        ({"cidrBlock": "10.64.255.0/24", "availabilityZone": "eu-central-1f"}, "availabilityZone is invalid"),
    ):
        with pytest.raises(ProviderError, match=message):
            make(aws, "Subnet", vpcId=network.vpc, **given)
    with pytest.raises(ProviderError, match="account has one, id igw-"):
        make(aws, "InternetGateway", vpcId=network.vpc)
    used = {"Vpc": network.vpc, "InternetGateway": network.gateway, "Eip": network.address}
    used["Subnet"] = aws.account.records("NatGateway")[0].inputs["subnetId"]
    used["RouteTable"] = aws.account.records("RouteTableAssociation")[0].inputs["routeTableId"]
    for kind, id in used.items():
        with pytest.raises(ProviderError, match="DependencyViolation"):
            delete(aws, kind, id)
    (association,) = aws.account.records("RouteTableAssociation", subnetId=network.subnets[0])
    import_id = f"{network.subnets[0]}/{association.inputs['routeTableId']}"
    found = aws.read(resource(aws, "RouteTableAssociation", import_id), {}, {})
    assert found is not None and found.id == association.id


def test_an_endpoint_leads_to_a_service_of_its_region_once(aws: Aws):
    network = AwsNetwork(aws)
    (table,) = {each.inputs["routeTableId"] for each in aws.account.records("RouteTableAssociation")[:1]}
    given: Properties = {"vpcId": network.vpc, "vpcEndpointType": "Gateway", "routeTableIds": [table]}
    with pytest.raises(ProviderError, match="InvalidServiceName"):
        make(aws, "VpcEndpoint", serviceName="com.amazonaws.eu-west-1.s3", **given)
    make(aws, "VpcEndpoint", serviceName="com.amazonaws.eu-central-1.s3", **given)
    with pytest.raises(ProviderError, match="account has one"):
        make(aws, "VpcEndpoint", serviceName="com.amazonaws.eu-central-1.s3", **given)


def role(aws: Aws, name: str, service: str, *policies: str) -> str:
    """Create a role that a service may assume; return its ARN."""
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": service}}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    arn = make(aws, "Role", name=name, assumeRolePolicy=policy).outputs["arn"]
    for each in policies:
        make(aws, "RolePolicyAttachment", role=name, policyArn=f"arn:aws:iam::aws:policy/{each}")
    return arn


@pytest.fixture
def network(aws: Aws) -> AwsNetwork:
    """A network with a cluster `ours` that has no nodes."""
    network = AwsNetwork(aws)
    control = role(aws, "control", "eks.amazonaws.com", "AmazonEKSClusterPolicy")
    make(
        aws, "Cluster", name="ours", version="1.34", roleArn=control, vpcConfig={"subnetIds": network.subnets},
        accessConfig={"authenticationMode": "API"}, bootstrapSelfManagedAddons=False, deletionProtection=True,
    )  # fmt: skip
    return network


def cluster(aws: Aws) -> Record:
    (record,) = aws.account.records("Cluster")
    return record


def test_a_role_that_eks_cannot_use_is_refused(aws: Aws):
    subnets = AwsNetwork(aws).subnets
    for number, (service, policies, message) in enumerate(
        [
            ("ec2.amazonaws.com", [], "does not trust eks"),
            ("eks.amazonaws.com", [], "is missing policies: AmazonEKSClusterPolicy"),
            ("eks.amazonaws.com", ["AmazonEKSClusterPolice"], "does not exist or is not attachable"),
        ]
    ):
        with pytest.raises(ProviderError, match=message):
            arn = role(aws, f"role-{number}", service, *policies)
            make(aws, "Cluster", name="ours", version="1.34", roleArn=arn, vpcConfig={"subnetIds": subnets})
    assert aws.account.records("Cluster") == []


def test_a_cluster_goes_up_by_one_version_and_is_protected(aws: Aws, network: AwsNetwork):
    ours, created = resource(aws, "Cluster", "ours"), cluster(aws)
    for version in ("1.36", "1.33"):
        with pytest.raises(ProviderError, match="unsupported Kubernetes minor version update"):
            aws.update(ours, created.inputs, {}, {**created.inputs, "version": version})
    with pytest.raises(ProviderError, match="deletion protection enabled"):
        delete(aws, "Cluster", "ours")
    new = {**created.inputs, "version": "1.35", "deletionProtection": False}
    assert aws.update(ours, created.inputs, {}, new)["identities"] == created.outputs["identities"]
    make(aws, "Addon", clusterName="ours", addonName="vpc-cni")
    delete(aws, "Cluster", "ours")
    assert aws.account.records("Cluster") + aws.account.records("Addon") == []


def test_nodes_need_a_way_out_a_network_plugin_and_an_image(aws: Aws, network: AwsNetwork):
    needed = ("AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly")
    nodes: Properties = {
        "clusterName": "ours", "nodeRoleArn": role(aws, "worker", "ec2.amazonaws.com", *needed),
        "subnetIds": network.subnets, "version": "1.34", "amiType": "AL2023_x86_64_STANDARD",
        "launchTemplate": {"id": make(aws, "LaunchTemplate", name="nodes", instanceType="t3.small").id, "version": "1"},
        "scalingConfig": {"desiredSize": 3, "minSize": 3, "maxSize": 3},
    }  # fmt: skip

    def refused(kind: str, message: str, **given: Any) -> None:
        with pytest.raises(ProviderError, match=message):
            make(aws, kind, **given)

    refused("NodeGroup", "no network plugin", **nodes)
    refused("Addon", "DEGRADED", clusterName="ours", addonName="coredns")
    make(aws, "Addon", clusterName="ours", addonName="vpc-cni")
    isolated = [network.private(4, "c", way_out=False)]
    refused("NodeGroup", "no way out", **{**nodes, "subnetIds": isolated})
    refused("NodeGroup", "not a valid instance type", **{**nodes, "amiType": "AL2023_ARM_64_STANDARD"})
    refused("NodeGroup", "newer than the cluster's", **{**nodes, "version": "1.35"})
    assert make(aws, "NodeGroup", **nodes).id == "ours:test-0000000"
    make(aws, "Addon", clusterName="ours", addonName="coredns")
    wrong: Properties = {"clusterName": "ours", "addonName": "kube-proxy", "addonVersion": "v1.33.0-eksbuild.2"}
    refused("Addon", "not supported by the cluster's Kubernetes", **wrong)
    with pytest.raises(ProviderError, match="cluster has nodegroups attached"):
        delete(aws, "Cluster", "ours")


def test_a_changed_launch_template_is_a_new_version(aws: Aws):
    inputs: Properties = {"name": "nodes", "instanceType": "t3.small", "region": "eu-central-1"}
    template = resource(aws, "LaunchTemplate", make(aws, "LaunchTemplate", **inputs).id)
    tagged = {**inputs, "tags": {"team": "a"}}
    assert aws.update(template, inputs, {}, tagged)["latestVersion"] == 1
    larger = {**tagged, "instanceType": "t3.large", "updateDefaultVersion": True}
    updated = aws.update(template, tagged, {}, larger)
    assert (updated["latestVersion"], updated["defaultVersion"]) == (2, 2)


def test_the_role_of_an_addon_must_trust_the_cluster(aws: Aws, network: AwsNetwork):
    issuer = cluster(aws).outputs["identities"][0]["oidcs"][0]["issuer"]
    provider = make(aws, "OpenIdConnectProvider", url=issuer, clientIdLists=["sts.amazonaws.com"])
    tokens = issuer.removeprefix("https://")

    def trusting(account: str) -> str:
        who = {f"{tokens}:aud": "sts.amazonaws.com", f"{tokens}:sub": f"system:serviceaccount:kube-system:{account}"}
        statement = {
            "Effect": "Allow",
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Principal": {"Federated": provider.id},
            "Condition": {"StringEquals": who},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        return make(aws, "Role", name=account, assumeRolePolicy=policy).outputs["arn"]

    with pytest.raises(ProviderError, match="aws-node is not authorized"):
        make(aws, "Addon", clusterName="ours", addonName="vpc-cni", serviceAccountRoleArn=trusting("default"))
    make(aws, "Addon", clusterName="ours", addonName="vpc-cni", serviceAccountRoleArn=trusting("aws-node"))


def test_a_cluster_admits_its_creator_and_those_with_entries(aws: Aws, network: AwsNetwork):
    for principal, message in (
        (CALLER_ROLE, "already in use"),
        (f"arn:aws:iam::{NUMBER}:role/{CALLER_ROLE_NAME}", "invalid principal"),
    ):
        with pytest.raises(ProviderError, match=message):
            make(aws, "AccessEntry", clusterName="ours", principalArn=principal)
    assert caller_admitted(aws.account, "ours")
    policy = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
    other: Properties = {"clusterName": "ours", "principalArn": f"arn:aws:iam::{NUMBER}:role/team"}
    admin: Properties = {**other, "accessScope": {"type": "cluster"}, "policyArn": policy}
    with pytest.raises(ProviderError, match="has no AccessEntry"):
        make(aws, "AccessPolicyAssociation", **admin)
    make(aws, "AccessEntry", **other)
    make(aws, "AccessPolicyAssociation", **admin)


def test_without_a_creators_rights_only_entries_admit(aws: Aws, network: AwsNetwork):
    created = cluster(aws)
    created.inputs["accessConfig"] = {"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": False}
    aws.account.put(created)
    assert not caller_admitted(aws.account, "ours")
    session = aws.invoke("aws:iam/getSessionContext:getSessionContext", {"arn": CALLER}, False)["issuerArn"]
    make(aws, "AccessEntry", clusterName="ours", principalArn=session)
    assert caller_admitted(aws.account, "ours")
    checked = aws.check(resource(aws, "AccessEntry"), {}, {"clusterName": "ours", "principalArn": CALLER})
    assert [each.property for each in checked.failures] == ["principalArn"], "a session is no principal"


def test_only_offered_versions_of_kubernetes_are_created(aws: Aws):
    control = role(aws, "control", "eks.amazonaws.com", "AmazonEKSClusterPolicy")
    subnets = {"subnetIds": AwsNetwork(aws).subnets}
    with pytest.raises(ProviderError, match=r"unsupported Kubernetes version 1\.29"):
        make(aws, "Cluster", name="ours", version="1.29", roleArn=control, vpcConfig=subnets)
    offered = aws.invoke("aws:eks/getClusterVersions:getClusterVersions", {}, False)["clusterVersions"]
    assert [each["clusterVersion"] for each in offered] == list(KUBERNETES)
    assert aws.invoke("aws:eks/getClusters:getClusters", {}, False)["names"] == []
    make(aws, "Cluster", name="ours", version="1.34", roleArn=control, vpcConfig=subnets)
    assert aws.invoke("aws:eks/getClusters:getClusters", {}, False)["names"] == ["ours"]
    assert aws.invoke("aws:eks/getCluster:getCluster", {"name": "ours"}, False)["version"] == "1.34"


@pytest.mark.parametrize("logs", [["api"], []])
def test_a_cluster_that_logs_makes_its_log_group_again(aws: Aws, network: AwsNetwork, logs: list[str]):
    created = cluster(aws)
    created.inputs.update(enabledClusterLogTypes=logs, deletionProtection=False)
    aws.account.put(created)
    group = make(aws, "LogGroup", name="/aws/eks/ours/cluster", retentionInDays=90).id
    delete(aws, "Cluster", "ours")
    delete(aws, "LogGroup", group)
    left = [each.inputs for each in aws.account.records("LogGroup")]
    assert left == ([{"name": group, "retentionInDays": 0}] if logs else [])
    delete(aws, "LogGroup", group)
    assert aws.account.records("LogGroup") == [], "only once"


def test_zones_are_filtered_as_the_program_asks(aws: Aws):
    def names(**given: Any) -> list[str]:
        return aws.invoke(ZONES, {"region": "us-east-1", **given}, False)["names"]

    zonal = [{"name": "zone-type", "values": ["availability-zone"]}]
    assert names(filters=zonal, excludeZoneIds=["use1-az3"]) == [f"us-east-1{letter}" for letter in "abdef"]
    assert names(filters=[{"name": "zone-type", "values": ["local-zone"]}]) == []
    assert zones("ap-southeast-2")["ap-southeast-2b"] == "apse2-az2"


def test_lifecycle_rules_are_checked_as_ecr_checks_them(aws: Aws):
    selection = {"tagStatus": "tagged", "tagPrefixList": ["src-"], "countType": "imageCountMoreThan", "countNumber": 9}
    good = {"rulePriority": 1, "selection": selection, "action": {"type": "expire"}}
    make(aws, "Repository", name="ours")
    make(aws, "LifecyclePolicy", repository="ours", policy=json.dumps({"rules": [good]}))
    policy = resource(aws, "LifecyclePolicy")
    for bad in (
        [good, good],
        [{**good, "selection": {**selection, "tagStatus": "untagged"}}],
        [{**good, "selection": {**selection, "countUnit": "days"}}],
        [{**good, "action": {"type": "keep"}}],
    ):
        assert aws.check(policy, {}, {"repository": "ours", "policy": json.dumps({"rules": bad})}).failures
    changes = aws.diff(policy, {"repository": "ours", "policy": "1"}, {}, {"repository": "ours", "policy": "2"})
    assert changes.replace and changes.delete_before_replace, "a repository has one"


def test_a_repository_with_images_is_only_deleted_by_force(aws: Aws, state: Path):
    make(aws, "Repository", name="stack/ours")
    folder = aws.account.lab.repositories / "stack/ours"
    (folder / "_manifests/revisions/sha256/abc").mkdir(parents=True)
    with pytest.raises(ProviderError, match="RepositoryNotEmptyException"):
        delete(aws, "Repository", "stack/ours")
    aws.update(resource(aws, "Repository", "stack/ours"), {}, {}, {"name": "stack/ours", "forceDelete": True})
    delete(aws, "Repository", "stack/ours")
    assert not folder.exists()


def test_a_newer_addon_is_recommended_from_one_day_to_the_next(aws: Aws, monkeypatch: pytest.MonkeyPatch):
    function = "aws:eks/getAddonVersion:getAddonVersion"
    asked: Properties = {"addonName": "vpc-cni", "kubernetesVersion": "1.34"}
    before = aws.functions[function](aws, asked)["version"]
    monkeypatch.setenv(FAULT_VARIABLE, "newer:Addon")
    assert aws.functions[function](aws, asked)["version"] == f"{before}0"


def test_an_alias_is_for_a_host_name(aws: Aws):
    alias: Properties = {
        "name": "balancer.elb.amazonaws.com",
        "zoneId": "Z3F0SRJ5LGBH90",
        "evaluateTargetHealth": False,
    }
    record: Properties = {"zoneId": "Z0123456789ABC", "name": "addressbook.example.com", "type": "A"}
    assert make(aws, "Record", **record, aliases=[alias]).id == "Z0123456789ABC_addressbook.example.com_A"
    checked = aws.check(resource(aws, "Record"), {}, {**record, "aliases": [{**alias, "name": "203.0.113.7"}]})
    assert "an alias is for a host name" in checked.failures[0].reason


def test_subnets_are_found_by_their_network(aws: Aws):
    network = AwsNetwork(aws)

    def subnets(name: str, value: str) -> list[str]:
        found = aws.invoke("aws:ec2/getSubnets:getSubnets", {"filters": [{"name": name, "values": [value]}]}, True)
        return list(found["ids"])

    assert {*network.subnets} < {*subnets("vpc-id", network.vpc)}
    assert subnets("vpc-id", "vpc-0123456789abcdef0") == [], "the real function lists nothing, too"
    with pytest.raises(ProviderError, match="InvalidParameterValue: the filter 'zone' is invalid"):
        subnets("zone", "eu-central-1a")
    subnet = aws.invoke("aws:ec2/getSubnet:getSubnet", {"id": network.subnets[1]}, True)
    assert (subnet["vpcId"], subnet["availabilityZone"]) == (network.vpc, "eu-central-1b")
    with pytest.raises(ProviderError, match="no matching EC2 Subnet found"):
        aws.invoke("aws:ec2/getSubnet:getSubnet", {"id": "subnet-0123456789abcdef0"}, True)


def test_a_cluster_is_described_as_it_was_made(aws: Aws, network: AwsNetwork):
    made = cluster(aws).outputs
    found = aws.invoke("aws:eks/getCluster:getCluster", {"name": "ours"}, True)
    assert found["vpcConfig"]["subnetIds"] == network.subnets
    assert found["vpcConfig"]["vpcId"] == network.vpc
    assert found["certificateAuthorities"] == [made["certificateAuthority"]]
    assert (found["endpoint"], found["identities"]) == (made["endpoint"], made["identities"])
    with pytest.raises(ProviderError, match="no cluster found for name: ours"):
        aws.invoke("aws:eks/getCluster:getCluster", {"name": "ours", "region": "eu-west-1"}, True)
