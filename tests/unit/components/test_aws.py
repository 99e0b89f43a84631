"""The resource graph of a stack on AWS."""

from __future__ import annotations

import base64
import ipaddress
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi.output import Unknown
from pulumi.runtime import mocks, rpc

import stacks.aws
from components.aws.account import lacking
from components.aws.network import subnet_ranges
from components.aws.nodes import is_arm
from components.aws.registry import BUILD_TAG, KEPT_BUILDS, clean_up_rules
from components.source import content_tag
from stacks.aws import PlatformKeys
from stacks.settings import ConfigFault, declared_keys, parse
from stacks.sharing import READ_OUTPUTS

ROOT = Path(__file__).resolve().parents[3]
ADMINISTRATOR = "arn:aws:iam::123456789012:role/platform-team"
ISSUER = "https://oidc.eks.eu-central-1.amazonaws.com/id/0123456789ABCDEF"
PROVIDER = f"arn:aws:iam::123456789012:oidc-provider/{ISSUER.removeprefix('https://')}"
REGISTRY = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
TAGS = {"pulumi-project": "addressbook", "pulumi-stack": "test"}
CLOUD: dict[str, dict[str, Any]] = {
    "aws:eks/cluster:Cluster": {
        "arn": "arn:aws:eks:eu-central-1:123456789012:cluster/addressbook-test",
        "endpoint": "https://cluster.example",
        "certificateAuthority": {"data": "Y2E="},
        "identities": [{"oidcs": [{"issuer": ISSUER}]}],
    },
    "aws:ec2/launchTemplate:LaunchTemplate": {"latestVersion": 4},
    "aws:ec2/eip:Eip": {"allocationId": "eipalloc-1"},
    "aws:iam/role:Role": {"arn": "arn:aws:iam::123456789012:role/made"},
    "aws:iam/openIdConnectProvider:OpenIdConnectProvider": {"arn": PROVIDER},
    "aws:kms/key:Key": {"arn": "arn:aws:kms:eu-central-1:123456789012:key/1", "keyId": "1"},
    "aws:ecr/repository:Repository": {
        "registryId": "123456789012",
        "repositoryUrl": f"{REGISTRY}/addressbook-test/addressbook",
    },
    "aws:rds/instance:Instance": {"address": "db.example", "port": 5432},
    "aws:rds/parameterGroup:ParameterGroup": {"name": "database-1234567"},
    "random:index/randomString:RandomString": {"result": "x1y2z3"},
}
#: The component around it is called Cluster too.
EKS = "eks/cluster:Cluster"
ZONES = "aws:index/getAvailabilityZones:getAvailabilityZones"
ADDON_VERSION = "aws:eks/getAddonVersion:getAddonVersion"
TOKEN = "aws:ecr/getAuthorizationToken:getAuthorizationToken"


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate authority of its own, in a file."""
    folder = tmp_path_factory.mktemp("authority")
    file = folder / "authority.pem"
    made = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=of-a-test"
    subprocess.run(
        ["openssl", *made.split(), "-keyout", str(folder / "key.pem"), "-out", str(file)],
        check=True,
        capture_output=True,
    )
    return file


@pytest.fixture(autouse=True)
def account(cloud: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An account, an aws command on PATH, and the values its API would compute. Returns the command."""
    commands = tmp_path / "bin"
    commands.mkdir()
    command = commands / "aws"
    command.write_text("#!/bin/sh\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{commands}:/usr/bin:/bin")
    for kind, values in CLOUD.items():
        cloud.computed[kind] = lambda _, values=values: values
    cloud.computed["aws:eks/cluster:Cluster"] = lambda args: {
        **CLOUD["aws:eks/cluster:Cluster"],
        "vpcConfig": {**args.inputs["vpcConfig"], "clusterSecurityGroupId": "sg-cluster"},
    }
    cloud.functions[ZONES] = lambda args: {
        "names": ["eu-central-1c", "eu-central-1a", "eu-central-1b"],
        "zoneIds": [],
        "groupNames": [],
        "id": "eu-central-1",
        "region": "eu-central-1",
    }
    cloud.functions[ADDON_VERSION] = lambda args: {
        "addonName": args["addonName"],
        "kubernetesVersion": args["kubernetesVersion"],
        "version": f"v1 for {args['kubernetesVersion']}",
        "id": args["addonName"],
        "region": "eu-central-1",
    }
    cloud.functions[TOKEN] = lambda args: {
        "userName": "AWS",
        "password": "push-token",
        "authorizationToken": base64.b64encode(b"AWS:push-token").decode(),
        "expiresAt": "2030-01-01T00:00:00Z",
        "id": "eu-central-1",
        "proxyEndpoint": f"https://{REGISTRY}",
        "region": "eu-central-1",
    }
    return command


@pytest.fixture
def config(authority: Path) -> dict[str, Any]:
    return {
        "cloud": "aws",
        "kubeContext": "",
        "registry": "",
        "region": "eu-central-1",
        "kubernetesVersion": "1.34",
        "databaseAuthority": str(authority),
    }


@pytest.fixture
def graph(declare: Callable[..., Any], config: dict[str, Any]) -> Callable[..., Any]:
    return lambda preview=False, **changed: declare(preview=preview, **config | changed)


def of_aws(graph: Any) -> list[Any]:
    return [each for each in graph.resources if each.type.startswith("aws:")]


def named(graph: Any, kind: str, name: str) -> Any:
    return next(each for each in graph.all(kind) if each.name == name)


def secret_data(secret: Any, key: str) -> str:
    return base64.b64decode(secret.inputs["data"][key]).decode()


def test_what_is_bought(graph: Callable[..., Any]):
    made = graph()
    counted: dict[str, int] = {}
    for each in of_aws(made):
        kind = each.type.rpartition(":")[2]
        counted[kind] = counted.get(kind, 0) + 1
    assert counted == {
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


def test_the_cluster(graph: Callable[..., Any]):
    cluster = graph().one(EKS).inputs
    assert (cluster["name"], cluster["version"]) == ("addressbook-test", "1.34")
    assert cluster["accessConfig"]["authenticationMode"] == "API"
    assert cluster["bootstrapSelfManagedAddons"] is False
    assert cluster["encryptionConfig"]["resources"] == ["secrets"]
    assert cluster["encryptionConfig"]["provider"]["keyArn"] == CLOUD["aws:kms/key:Key"]["arn"]
    assert "audit" in cluster["enabledClusterLogTypes"]
    assert cluster["upgradePolicy"] == {"supportType": "EXTENDED"}
    assert cluster["vpcConfig"]["subnetIds"] == ["private-1-id", "private-2-id"]
    assert cluster["vpcConfig"]["endpointPrivateAccess"] is True
    assert cluster["vpcConfig"]["publicAccessCidrs"] == ["0.0.0.0/0"]
    narrowed = graph(apiServerAccess=["203.0.113.0/24"]).one(EKS).inputs
    assert narrowed["vpcConfig"]["publicAccessCidrs"] == ["203.0.113.0/24"]


def test_network_policies_are_enforced(graph: Callable[..., Any]):
    made = graph()
    network = named(made, "Addon", "vpc-cni").inputs
    assert json.loads(network["configurationValues"]) == {"enableNetworkPolicy": "true"}
    assert network["serviceAccountRoleArn"] == CLOUD["aws:iam/role:Role"]["arn"]
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


def test_number_and_size_of_the_nodes_replace_nothing(graph: Callable[..., Any]):
    before, after = graph(), graph(nodeCount=7, nodeSize="m7i.large")
    assert before.one("NodeGroup").inputs["scalingConfig"] == {"desiredSize": 3, "minSize": 3, "maxSize": 3}
    assert after.one("NodeGroup").inputs["scalingConfig"]["desiredSize"] == 7
    # Of a node group these are immutable; the size is in the launch template, a new version of which rolls the nodes.
    for immutable in ("amiType", "capacityType", "clusterName", "nodeRoleArn", "subnetIds"):
        assert before.one("NodeGroup").inputs[immutable] == after.one("NodeGroup").inputs[immutable], immutable
    for graph_ in (before, after):
        assert not {"instanceTypes", "diskSize"} & graph_.one("NodeGroup").inputs.keys()
    assert after.one("LaunchTemplate").inputs["instanceType"] == "m7i.large"
    assert after.one("NodeGroup").inputs["launchTemplate"] == {"id": "nodes-id", "version": "4"}


def test_nodes_are_private_and_keep_their_role_to_themselves(graph: Callable[..., Any]):
    made = graph()
    assert made.one("NodeGroup").inputs["subnetIds"] == ["private-1-id", "private-2-id"]
    for subnet in made.all("Subnet"):
        assert not subnet.inputs.get("mapPublicIpOnLaunch")
    template = made.one("LaunchTemplate").inputs
    assert template["metadataOptions"]["httpTokens"] == "required"
    assert template["metadataOptions"]["httpPutResponseHopLimit"] == 1
    (disk,) = template["blockDeviceMappings"]
    assert disk["ebs"]["encrypted"] == "true"


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


def test_the_network(graph: Callable[..., Any]):
    made = graph()
    subnets = {each.name: each.inputs for each in made.all("Subnet")}
    assert [subnets[f"private-{n}"]["availabilityZone"] for n in (1, 2)] == ["eu-central-1a", "eu-central-1b"]
    assert [subnets[f"public-{n}"]["availabilityZone"] for n in (1, 2)] == ["eu-central-1a", "eu-central-1b"]
    for name, subnet in subnets.items():
        role = "kubernetes.io/role/elb" if name.startswith("public") else "kubernetes.io/role/internal-elb"
        assert subnet["tags"][role] == "1"
        assert subnet["tags"]["kubernetes.io/cluster/addressbook-test"] == "shared"
    for each in made.all("Subnet"):
        assert list(each.options.ignoreChanges) == ["availabilityZone"]
    routes = {each.name: each.inputs["routes"] for each in made.all("RouteTable")}
    assert routes["public"] == [{"cidrBlock": "0.0.0.0/0", "gatewayId": "internet-id"}]
    for private in ("private-1", "private-2"):
        assert routes[private] == [{"cidrBlock": "0.0.0.0/0", "natGatewayId": "nat-1-id"}]
    assert made.one("NatGateway").inputs["subnetId"] == "public-1-id"


@pytest.mark.parametrize("block", ["10.64.0.0/16", "192.168.0.0/16", "172.16.16.0/20"])
def test_subnets_share_the_network_without_overlap(block: str):
    ranges = subnet_ranges(block)
    parts = [ipaddress.IPv4Network(each) for each in (*ranges.public, *ranges.private)]
    assert all(part.subnet_of(ipaddress.IPv4Network(block)) for part in parts)
    assert not any(one.overlaps(other) for at, one in enumerate(parts) for other in parts[at + 1 :])
    assert all(part.prefixlen <= 28 for part in parts), "smaller than AWS allows"


def test_high_availability_is_a_standby_and_a_way_out_per_zone(graph: Callable[..., Any]):
    before, after = graph(), graph(highAvailability=True)
    assert (before.one("Instance").inputs["multiAz"], after.one("Instance").inputs["multiAz"]) == (False, True)
    assert {each.inputs["subnetId"] for each in after.all("NatGateway")} == {"public-1-id", "public-2-id"}
    assert named(after, "RouteTable", "private-2").inputs["routes"][0]["natGatewayId"] == "nat-2-id"
    known = {each.urn for each in before.resources}
    assert known <= {each.urn for each in after.resources}, "switching it on takes something away"


def test_the_database_is_reached_by_the_nodes_only_and_over_tls(graph: Callable[..., Any]):
    made = graph()
    database = made.one("Instance").inputs
    assert (database["engine"], database["engineVersion"], database["instanceClass"]) == (
        "postgres",
        "15",
        "db.t4g.micro",
    )
    assert database["publiclyAccessible"] is False
    assert made.one("SubnetGroup").inputs["subnetIds"] == ["private-1-id", "private-2-id"]
    assert database["vpcSecurityGroupIds"] == ["database-id"]
    assert not {"ingress", "egress"} & made.one("SecurityGroup").inputs.keys()
    rule = made.one("SecurityGroupIngressRule").inputs
    assert (rule["referencedSecurityGroupId"], rule["fromPort"], rule["toPort"]) == ("sg-cluster", 5432, 5432)
    assert not {"cidrIpv4", "cidrIpv6", "prefixListId"} & rule.keys()
    for described in (
        made.one("SecurityGroup").inputs,
        rule,
    ):  # all that EC2 takes (API reference, CreateSecurityGroup)
        assert re.fullmatch(r"[A-Za-z0-9 ._\-:/()#,@\[\]+=&;{}!$*]{1,255}", described["description"])
    parameters = made.one("ParameterGroup").inputs
    assert parameters["family"] == "postgres15"
    assert {"name": "rds.force_ssl", "value": "1", "applyMethod": "immediate"} in parameters["parameters"]
    assert "name" not in parameters
    assert graph(databaseVersion="17").one("ParameterGroup").inputs["family"] == "postgres17"


def test_data_outlives_the_instance_and_its_keys(graph: Callable[..., Any]):
    database = graph().one("Instance").inputs
    assert database["storageEncrypted"] is True
    assert "kmsKeyId" not in database, "a key of the stack's would be deleted with it, and the snapshot be lost"
    assert database["backupRetentionPeriod"] >= 7
    assert (database["skipFinalSnapshot"], database["deleteAutomatedBackups"]) == (False, False)
    assert database["finalSnapshotIdentifier"] == "addressbook-test-final-x1y2z3"
    thrown_away = graph(finalSnapshot=False).one("Instance").inputs
    assert (thrown_away["skipFinalSnapshot"], thrown_away["deleteAutomatedBackups"]) == (True, True)
    assert "finalSnapshotIdentifier" not in thrown_away


def test_maintenance_and_backup_windows_never_meet(graph: Callable[..., Any]):
    for hour in range(24):
        database = graph(maintenanceWindow=f"sunday {hour:02}:00").one("Instance").inputs
        assert database["maintenanceWindow"] == f"sun:{hour:02}:00-sun:{hour:02}:30"
        assert not database["backupWindow"].startswith(f"{hour:02}:")
        assert len(database["backupWindow"]) == len("01:00-01:30")


def test_production_is_protected_and_a_throw_away_stack_is_not(graph: Callable[..., Any]):
    def protected(made: Any) -> set[str]:
        return {each.type.rpartition(":")[2] for each in made.resources if each.options.protect}

    made = graph()
    assert protected(made) == {"Cluster", "Instance", "Repository", "Key", "Alias", "Service"}
    assert made.one(EKS).inputs["deletionProtection"] is True
    assert made.one("Instance").inputs["deletionProtection"] is True
    assert made.one("Repository").inputs["forceDelete"] is False
    needed = {urn for each in made.resources for urn in [*each.dependencies, each.provider.rpartition("::")[0]]}
    first_to_go = [each for each in made.resources if each.type.startswith("aws:") and each.urn not in needed]
    assert first_to_go, "what nothing needs is what a refused `destroy` would take all the same"
    assert [each.type for each in first_to_go if not (each.options.protect or each.options.deletedWith)] == []
    made = graph(deletionProtection=False)
    assert protected(made) == set()
    assert made.one(EKS).inputs["deletionProtection"] is False
    assert made.one("Instance").inputs["deletionProtection"] is False
    assert made.one("Repository").inputs["forceDelete"] is True
    assert made.one("Instance").inputs["skipFinalSnapshot"] is False, "taking a stack down keeps its data"


def test_everything_that_takes_tags_is_tagged(graph: Callable[..., Any]):
    made = graph()
    (provider,) = [each for each in made.resources if each.type == "pulumi:providers:aws"]
    assert json.loads(provider.inputs["defaultTags"]) == {"tags": TAGS}
    assert provider.inputs["region"] == "eu-central-1"
    for resource in of_aws(made):
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


def test_administrators_have_access_entries(graph: Callable[..., Any]):
    assert not graph().all("AccessEntry")
    made = graph(clusterAdministrators=[ADMINISTRATOR])
    assert made.one("AccessEntry").inputs["principalArn"] == ADMINISTRATOR
    association = made.one("AccessPolicyAssociation").inputs
    assert association["principalArn"] == ADMINISTRATOR
    assert association["policyArn"].endswith("cluster-access-policy/AmazonEKSClusterAdminPolicy")
    assert association["accessScope"] == {"type": "cluster"}


def test_workloads_come_after_all_they_need_and_survive_new_credentials(graph: Callable[..., Any]):
    made = graph(clusterAdministrators=[ADMINISTRATOR])
    (provider,) = made.all("kubernetes")
    needed = ("NodeGroup", "Addon", "NatGateway", "RouteTable", "RouteTableAssociation", "InternetGateway")
    for kind in (*needed, "AccessEntry", "AccessPolicyAssociation"):
        for each in made.all(kind):
            assert each.urn in provider.dependencies, each.urn
    assert provider.inputs["clusterIdentifier"] == ISSUER
    for resource in made.resources:
        if resource.type.startswith("kubernetes:"):
            assert resource.provider.startswith(provider.urn), resource.urn


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


def test_the_kubeconfig_holds_no_credentials(graph: Callable[..., Any]):
    (provider,) = graph().all("kubernetes")
    kubeconfig = json.loads(provider.inputs["kubeconfig"])
    (user,) = kubeconfig["users"]
    assert user["user"].keys() == {"exec"}
    command = [user["user"]["exec"]["command"], *user["user"]["exec"]["args"]]
    assert " ".join(command) == (
        "aws --region eu-central-1 eks get-token --cluster-name addressbook-test --output json"
    )
    assert kubeconfig["clusters"][0]["cluster"]["server"] == "https://cluster.example"
    assert "kubeconfig" in provider.secret_paths


def test_the_service_connects_over_verified_tls(graph: Callable[..., Any], authority: Path):
    made = graph()
    params = made.one("Secret", "db-params")
    assert secret_data(params, "DB_SSL") == "true"
    assert secret_data(params, "DB_CA") == authority.read_text()
    assert secret_data(params, "DB_HOST") == "db.example"
    assert secret_data(params, "DB_PORT") == "5432"
    assert (secret_data(params, "DB_SCHEMA"), secret_data(params, "DB_USER")) == ("postgres", "postgres")
    assert secret_data(params, "DB_PASSWORD") == "password of database-password"
    assert made.one("SecurityGroupIngressRule").urn in params.dependencies


def test_images_are_pushed_with_credentials_of_the_run(graph: Callable[..., Any]):
    made = graph()
    image = made.one("Image")
    assert image.inputs["imageName"].startswith(f"{REGISTRY}/addressbook-test/addressbook:src-")
    assert image.inputs["registry"]["server"] == REGISTRY
    assert image.inputs["registry"]["username"] == "AWS"
    repository = made.one("Repository").inputs
    assert repository["name"] == "addressbook-test/addressbook"
    assert repository["imageTagMutability"] == "IMMUTABLE"
    assert repository["imageScanningConfiguration"] == {"scanOnPush": True}


def test_clean_up_spares_what_runs(graph: Callable[..., Any]):
    rules = json.loads(graph().one("LifecyclePolicy").inputs["policy"])["rules"]
    assert rules == clean_up_rules()
    first, second = rules
    assert first["rulePriority"] < second["rulePriority"]
    assert first["selection"]["tagPrefixList"] == ["release-"]
    assert second["selection"]["countNumber"] == KEPT_BUILDS
    for rule in rules:
        assert rule["selection"]["tagStatus"] == "tagged", "an untagged image was copied in by digest, and may run"
        assert rule["selection"]["countType"] == "imageCountMoreThan", "age says nothing of what runs"
    assert content_tag(ROOT / "app", "Dockerfile", "linux/amd64", {}).startswith(BUILD_TAG)


def test_secrets_are_marked_wherever_they_go(graph: Callable[..., Any]):
    made = graph()
    secrets = ("password of database-password", "push-token")
    seen: set[str] = set()
    for resource in made.resources:
        for path, text in leaves(resource.inputs):
            for secret in secrets:
                if secret in text or base64.b64encode(secret.encode()).decode() in text:
                    seen.add(secret)
                    assert any(path.startswith(known) for known in resource.secret_paths), (resource.urn, path)
    assert seen == set(secrets)
    assert "password" in made.one("Instance").secret_paths


def leaves(value: Any, path: str = "") -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [leaf for key, inner in value.items() for leaf in leaves(inner, f"{path}.{key}".lstrip("."))]
    if isinstance(value, list):
        return [leaf for index, inner in enumerate(value) for leaf in leaves(inner, f"{path}[{index}]")]
    return [(path, str(value))]


def test_outputs(graph: Callable[..., Any], cloud: Any):
    cloud.computed["kubernetes:core/v1:Service"] = lambda _: {
        "status": {"loadBalancer": {"ingress": [{"hostname": "balancer.elb.example"}]}}
    }
    made = graph()
    assert made.outputs["clusterName"] == "addressbook-test"
    assert made.outputs["clusterEndpoint"] == "https://cluster.example"
    assert made.outputs["databaseHost"] == "db.example"
    assert made.outputs["registryUrl"] == f"{REGISTRY}/addressbook-test"
    assert made.outputs["url"] == "http://balancer.elb.example"


def test_secret_outputs_are_secret(graph: Callable[..., Any]):
    graph()
    exported = dict(pulumi.runtime.get_root_resource().outputs)  # pyright: ignore[reportOptionalMemberAccess, reportAttributeAccessIssue]
    checked: list[str] = []

    @pulumi.runtime.test
    def look() -> Any:
        async def secret(name: str) -> None:
            assert await exported[name].is_secret(), name
            checked.append(name)

        return pulumi.Output.all(*[secret(name) for name in ("kubeconfig", "databasePassword")])

    look()
    assert checked == ["kubeconfig", "databasePassword"]


def test_a_preview_of_an_empty_stack_knows_the_whole_graph_and_no_value(graph: Callable[..., Any], cloud: Any):
    known = {resource.urn for resource in graph().resources}
    cloud.ids = False
    for kind, values in CLOUD.items():
        cloud.computed[kind] = lambda _, values=values: dict.fromkeys(values, rpc.UNKNOWN)
    cloud.computed["aws:eks/cluster:Cluster"] = lambda _: dict.fromkeys(
        [*CLOUD["aws:eks/cluster:Cluster"], "vpcConfig"], rpc.UNKNOWN
    )
    cloud.computed["random:index/randomPassword:RandomPassword"] = lambda _: {"result": rpc.UNKNOWN}
    cloud.computed["docker:index/image:Image"] = lambda _: {"repoDigest": rpc.UNKNOWN}
    asked: list[str] = []

    def no_call(_: mocks.MockCallArgs) -> dict[str, Any]:
        raise AssertionError("a function was called although its argument is unknown")

    zones = cloud.functions[ZONES]
    cloud.functions[ZONES] = lambda args: asked.append(ZONES) or zones(args)
    cloud.functions[TOKEN] = no_call
    made = graph(preview=True)
    assert {resource.urn for resource in made.resources} == known
    assert asked == [ZONES], "zones are known in a preview: an account has them before any stack"
    assert named(made, "Subnet", "public-1").inputs["availabilityZone"] == "eu-central-1a"
    assert isinstance(named(made, "Subnet", "public-1").inputs["vpcId"], Unknown)
    assert isinstance(made.one("SecurityGroupIngressRule").inputs["referencedSecurityGroupId"], Unknown)
    assert isinstance(made.one("Instance").inputs["password"], Unknown)
    assert isinstance(made.one("Secret", "db-params").inputs["data"], Unknown)
    assert isinstance(made.one("kubernetes").inputs["kubeconfig"], Unknown)
    assert made.outputs.keys() <= {"clusterName"}, "an output of the preview claims to be known"


def test_every_resource_belongs_to_a_component(graph: Callable[..., Any]):
    for resource in graph(clusterAdministrators=[ADMINISTRATOR]).resources:
        if resource.custom and not resource.type.endswith((":Namespace", "providers:aws")):
            assert "addressbook:" in resource.parent, resource.urn


@pytest.mark.parametrize(
    ("size", "arm"), [("t3.small", False), ("t4g.small", True), ("m7gd.large", True), ("g5.xlarge", False)]
)
def test_processors_by_instance_type(size: str, arm: bool):
    assert is_arm(size) is arm


def test_images_must_run_on_the_nodes(graph: Callable[..., Any]):
    with pytest.raises(pulumi.RunError, match=r"t4g\.small run linux/arm64"):
        graph(nodeSize="t4g.small")
    made = graph(nodeSize="t4g.small", buildPlatform="linux/arm64")
    assert made.one("NodeGroup").inputs["amiType"] == "AL2023_ARM_64_STANDARD"


@pytest.fixture
def faults(config: dict[str, Any]) -> Callable[..., list[str]]:
    def found(**changed: str) -> list[str]:
        with pytest.raises(ConfigFault) as raised:
            parse({**config, **changed}, PlatformKeys)
        return str(raised.value).splitlines()

    return found


def test_every_key_is_declared():
    assert PlatformKeys.key_names() <= declared_keys()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("region", "Frankfurt"),
        ("region", "us-gov-west-1"),
        ("kubernetesVersion", "latest"),
        ("kubernetesVersion", "1.29"),
        ("nodeCount", "-1"),
        ("nodeSize", "t2.nano"),
        ("nodeSize", "large"),
        ("networkRange", "10.64.0.0/24"),
        ("networkRange", "8.8.0.0/16"),
        ("networkRange", "10.64.0.1/16"),
        ("databaseVersion", "14"),
        ("databaseSize", "t4g.micro"),
        ("databaseAuthority", "certificates/none.pem"),
        ("maintenanceWindow", "sunday"),
        ("deletionProtection", "maybe"),
    ],
)
def test_what_aws_would_refuse_is_refused_before(faults: Callable[..., list[str]], key: str, value: str):
    (fault,) = faults(**{key: value})
    assert fault.startswith(f"{key} = '{value}'")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("clusterAdministrators", '["platform-team"]'),
        ("clusterAdministrators", '["arn:aws:sts::123456789012:assumed-role/platform-team/anna"]'),
        ("apiServerAccess", '["here"]'),
    ],
)
def test_each_entry_of_a_list_is_checked(faults: Callable[..., list[str]], key: str, value: str):
    (fault,) = faults(**{key: value})
    assert fault.startswith(key)
    assert json.loads(value)[0] in fault


def test_the_databases_authority_must_be_one_that_pods_can_be_given(
    faults: Callable[..., list[str]], tmp_path: Path, authority: Path
):
    (unset,) = faults(databaseAuthority="")
    assert "truststore.pki.rds.amazonaws.com/eu-central-1/eu-central-1-bundle.pem" in unset
    everywhere = tmp_path / "global-bundle.pem"
    everywhere.write_text(authority.read_text() * 200)
    assert "more than one region" in faults(databaseAuthority=str(everywhere))[0]
    page = tmp_path / "page.pem"
    page.write_text("<html>not found</html>")
    assert "no certificates in PEM form" in faults(databaseAuthority=str(page))[0]


def test_command_and_credentials_are_checked_before_anything_is_made(
    faults: Callable[..., list[str]], account: Path, monkeypatch: pytest.MonkeyPatch
):
    assert lacking() == []
    account.write_text("#!/bin/sh\necho 'The security token included in the request is expired' >&2\nexit 254\n")
    (fault,) = faults()
    assert fault.startswith("credentials: AWS takes none from this machine (The security token")
    assert "aws sso login" in fault
    account.unlink()
    monkeypatch.setenv("PATH", str(account.parent))
    found = faults(kubernetesVersion="")
    assert [fault.split(":")[0] for fault in found] == ["kubernetesVersion", "aws"]


def test_an_answer_that_does_not_come_is_not_waited_for(
    account: Path, monkeypatch: pytest.MonkeyPatch, faults: Callable[..., list[str]]
):
    account.write_text("#!/bin/sh\nexec sleep 60\n")
    monkeypatch.setattr("components.aws.account.ANSWER_SECONDS", 0.2)
    assert "no answer in 0.2 s" in faults()[0]


@pytest.mark.parametrize("stack", ["Prod", "prod_aws", "prod--aws", "p" * 50, "prod-"])
def test_a_stack_name_that_makes_invalid_names_is_refused(
    faults: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch, stack: str
):
    monkeypatch.setattr(pulumi, "get_project", lambda: "addressbook")
    monkeypatch.setattr(pulumi, "get_stack", lambda: stack)
    (fault,) = faults()
    assert fault.startswith(f"stack: its resources would be called `addressbook-{stack}`")


def test_only_this_clouds_sdk_is_imported():
    code = (
        "import sys, components.release, stacks.aws;"
        "print(*sorted(set(sys.modules) & {'pulumi_digitalocean', 'pulumi_aws', 'pulumi_gcp'}))"
    )
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert shown.stdout.split() == ["pulumi_aws"]


def test_the_stack_file_is_right(authority: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    import yaml

    stack = yaml.safe_load((ROOT / "Pulumi.prod-aws.yaml").read_text())["config"]
    values = {key.removeprefix("addressbook:"): value for key, value in stack.items()}
    kept = tmp_path / values["databaseAuthority"]
    kept.parent.mkdir()
    kept.write_text(authority.read_text())
    monkeypatch.setattr(stacks.aws, "PROJECT_ROOT", tmp_path)
    settings = parse({key: str(value) for key, value in values.items()}, PlatformKeys)
    assert settings.stack.cloud == "aws"


def test_a_release_stack_takes_up_what_the_platform_hands_over(graph: Callable[..., Any], cloud: Any):
    platform = dict(graph().outputs)
    cloud.functions[READ_OUTPUTS] = lambda args: {"name": args["name"], "outputs": platform, "secretOutputNames": []}
    made = graph(platformStack="prod", namespace="branch-one", kubernetesVersion="", region="", databaseAuthority="")
    assert [each.type for each in made.resources if each.type.startswith("aws:")] == []
    assert made.all("kubernetes")[0].inputs["kubeconfig"] == platform["kubeconfig"]
    assert made.all("kubernetes")[0].inputs["clusterIdentifier"] == ISSUER
    image = made.one("Image").inputs
    assert image["imageName"].startswith(
        "123456789012.dkr.ecr.eu-central-1.amazonaws.com/addressbook-test/addressbook:"
    )
    assert (image["registry"]["username"], image["registry"]["password"]) == ("AWS", "push-token")
    assert made.one("Image").secret_paths & {"registry", "registry.password"}
    final = made.one("FinalJob")
    assert final.inputs["kubeconfig"] == platform["kubeconfig"]
    assert final.options.protect, "a release's data is as safe as a platform's"
    assert made.outputs["databaseName"] == "release_branch_one"
    throw_away = graph(
        platformStack="prod",
        namespace="branch-one",
        deletionProtection=False,
        kubernetesVersion="",
        region="",
        databaseAuthority="",
    )
    assert not [each.urn for each in throw_away.resources if each.options.protect]


def test_a_release_stack_has_the_service_that_the_platform_has_a_repository_for(graph: Callable[..., Any], cloud: Any):
    platform = dict(graph().outputs)
    cloud.functions[READ_OUTPUTS] = lambda args: {"name": args["name"], "outputs": platform, "secretOutputNames": []}
    unset = {"kubernetesVersion": "", "region": "", "databaseAuthority": ""}
    with pytest.raises(pulumi.RunError, match="service = 'shop': the platform of `prod` has an image repository for"):
        graph(platformStack="prod", namespace="branch-one", service="shop", **unset)
