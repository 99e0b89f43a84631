"""The policy documents in docs/reference/aws-rights against what the graph declares and asks.

The actions of each type are those that the provider calls (terraform-provider-aws, internal/service).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from typing import Any

import pytest

from contract.project import PROJECT_ROOT as ROOT
from tests.unit.components.aws.simulated import AWS
from tests.unit.components.graphs import cloud_resources

DOCUMENTS = ROOT / "docs" / "reference" / "aws-rights"
#: Characters without white space that IAM allows in a managed policy (IAM quotas).
MAX_CHARACTERS = 6144
#: Actions that write tags, by service.
TAGS = {
    "ec2": "CreateTags DeleteTags",
    "ecr": "TagResource UntagResource",
    "eks": "TagResource UntagResource",
    "kms": "TagResource UntagResource",
    "logs": "TagResource UntagResource",
    "rds": "AddTagsToResource RemoveTagsFromResource",
}
#: By type: what reads it, and what creates, changes and deletes it, tags aside.
ACTIONS: dict[str, tuple[str, str]] = {
    "cloudwatch/logGroup:LogGroup": (
        "logs:DescribeLogGroups ListTagsForResource",
        "logs:CreateLogGroup PutRetentionPolicy DeleteLogGroup",
    ),
    "ec2/eip:Eip": ("ec2:DescribeAddresses", "ec2:AllocateAddress DisassociateAddress ReleaseAddress"),
    "ec2/internetGateway:InternetGateway": (
        "ec2:DescribeInternetGateways",
        "ec2:CreateInternetGateway AttachInternetGateway DetachInternetGateway DeleteInternetGateway",
    ),
    "ec2/launchTemplate:LaunchTemplate": (
        "ec2:DescribeLaunchTemplates DescribeLaunchTemplateVersions",
        "ec2:CreateLaunchTemplate CreateLaunchTemplateVersion ModifyLaunchTemplate DeleteLaunchTemplate",
    ),
    "ec2/natGateway:NatGateway": ("ec2:DescribeNatGateways", "ec2:CreateNatGateway DeleteNatGateway"),
    "ec2/routeTable:RouteTable": (
        "ec2:DescribeRouteTables",
        "ec2:CreateRouteTable CreateRoute ReplaceRoute DeleteRoute DeleteRouteTable",
    ),
    "ec2/routeTableAssociation:RouteTableAssociation": (
        "ec2:DescribeRouteTables",
        "ec2:AssociateRouteTable ReplaceRouteTableAssociation DisassociateRouteTable",
    ),
    # A new group admits everything outwards; the provider revokes that.
    "ec2/securityGroup:SecurityGroup": (
        "ec2:DescribeSecurityGroups DescribeNetworkInterfaces",
        "ec2:CreateSecurityGroup RevokeSecurityGroupEgress DeleteSecurityGroup",
    ),
    "ec2/subnet:Subnet": ("ec2:DescribeSubnets", "ec2:CreateSubnet ModifySubnetAttribute DeleteSubnet"),
    "ec2/vpc:Vpc": (
        "ec2:DescribeVpcs DescribeVpcAttribute DescribeNetworkAcls",
        "ec2:CreateVpc ModifyVpcAttribute DeleteVpc",
    ),
    "ec2/vpcEndpoint:VpcEndpoint": (
        "ec2:DescribeVpcEndpoints DescribePrefixLists",
        "ec2:CreateVpcEndpoint ModifyVpcEndpoint DeleteVpcEndpoints",
    ),
    "vpc/securityGroupIngressRule:SecurityGroupIngressRule": (
        "ec2:DescribeSecurityGroupRules",
        "ec2:AuthorizeSecurityGroupIngress ModifySecurityGroupRules RevokeSecurityGroupIngress",
    ),
    "ecr/lifecyclePolicy:LifecyclePolicy": ("ecr:GetLifecyclePolicy", "ecr:PutLifecyclePolicy DeleteLifecyclePolicy"),
    "ecr/repository:Repository": (
        "ecr:DescribeRepositories ListTagsForResource",
        "ecr:CreateRepository PutImageTagMutability PutImageScanningConfiguration DeleteRepository",
    ),
    "eks/accessEntry:AccessEntry": (
        "eks:DescribeAccessEntry",
        "eks:CreateAccessEntry UpdateAccessEntry DeleteAccessEntry",
    ),
    "eks/accessPolicyAssociation:AccessPolicyAssociation": (
        "eks:ListAssociatedAccessPolicies",
        "eks:AssociateAccessPolicy DisassociateAccessPolicy",
    ),
    "eks/addon:Addon": ("eks:DescribeAddon DescribeUpdate", "eks:CreateAddon UpdateAddon DeleteAddon"),
    "eks/cluster:Cluster": (
        "eks:DescribeCluster DescribeUpdate",
        "eks:CreateCluster UpdateClusterConfig UpdateClusterVersion DeleteCluster",
    ),
    # EKS starts an instance on the caller's behalf to check the launch template.
    "eks/nodeGroup:NodeGroup": (
        "eks:DescribeNodegroup",
        "eks:CreateNodegroup UpdateNodegroupConfig UpdateNodegroupVersion DeleteNodegroup ec2:RunInstances",
    ),
    "iam/openIdConnectProvider:OpenIdConnectProvider": (
        "iam:GetOpenIDConnectProvider",
        "iam:CreateOpenIDConnectProvider AddClientIDToOpenIDConnectProvider RemoveClientIDFromOpenIDConnectProvider"
        " UpdateOpenIDConnectProviderThumbprint TagOpenIDConnectProvider UntagOpenIDConnectProvider"
        " DeleteOpenIDConnectProvider",
    ),
    # DeleteRolePolicy: stacks of versions before 0.9 have an inline policy.
    "iam/role:Role": (
        "iam:GetRole GetRolePolicy ListRolePolicies",
        "iam:CreateRole UpdateAssumeRolePolicy PutRolePermissionsBoundary DeleteRolePermissionsBoundary TagRole"
        " UntagRole ListInstanceProfilesForRole DeleteRolePolicy DeleteRole",
    ),
    "iam/rolePolicyAttachment:RolePolicyAttachment": (
        "iam:ListAttachedRolePolicies",
        "iam:AttachRolePolicy DetachRolePolicy",
    ),
    "kms/alias:Alias": ("kms:ListAliases", "kms:CreateAlias UpdateAlias DeleteAlias"),
    "kms/key:Key": (
        "kms:DescribeKey GetKeyPolicy GetKeyRotationStatus ListResourceTags",
        "kms:CreateKey EnableKeyRotation DisableKeyRotation UpdateKeyDescription PutKeyPolicy ScheduleKeyDeletion",
    ),
    "rds/instance:Instance": (
        "rds:DescribeDBInstances ListTagsForResource",
        "rds:CreateDBInstance ModifyDBInstance RebootDBInstance CreateDBSnapshot DeleteDBInstance"
        " RestoreDBInstanceFromDBSnapshot RestoreDBInstanceToPointInTime",
    ),
    "rds/parameterGroup:ParameterGroup": (
        "rds:DescribeDBParameterGroups DescribeDBParameters",
        "rds:CreateDBParameterGroup ModifyDBParameterGroup ResetDBParameterGroup DeleteDBParameterGroup",
    ),
    "route53/record:Record": (
        "route53:GetHostedZone ListResourceRecordSets",
        "route53:ChangeResourceRecordSets GetChange",
    ),
    "rds/subnetGroup:SubnetGroup": (
        "rds:DescribeDBSubnetGroups",
        "rds:CreateDBSubnetGroup ModifyDBSubnetGroup DeleteDBSubnetGroup",
    ),
}
#: Answered by the provider itself, so it needs no right.
ZONE_OF_BALANCERS = "aws:lb/getHostedZoneId:getHostedZoneId"
#: Actions of the functions that the program asks.
FUNCTIONS = {
    "aws:ecr/getAuthorizationToken:getAuthorizationToken": "ecr:GetAuthorizationToken",
    "aws:eks/getAccessEntry:getAccessEntry": "eks:DescribeAccessEntry",
    "aws:eks/getAddonVersion:getAddonVersion": "eks:DescribeAddonVersions",
    "aws:eks/getCluster:getCluster": "eks:DescribeCluster",
    "aws:eks/getClusterVersions:getClusterVersions": "eks:DescribeClusterVersions",
    "aws:eks/getClusters:getClusters": "eks:ListClusters",
    "aws:index/getAvailabilityZones:getAvailabilityZones": "ec2:DescribeAvailabilityZones",
    "aws:rds/getInstance:getInstance": "rds:DescribeDBInstances",
    "aws:rds/getInstances:getInstances": "rds:DescribeDBInstances",
}
#: Not asked in every run, and what the other actions imply.
MORE = {
    "preview": "rds:DescribeDBEngineVersions ecr:BatchCheckLayerAvailability BatchGetImage GetDownloadUrlForLayer",
    "release": "ecr:InitiateLayerUpload UploadLayerPart CompleteLayerUpload PutImage",
    # Roles are passed to EKS; AWS makes its own roles when a service is first used; EKS encrypts Secrets with the key;
    # `prune` deletes images.
    "platform": "iam:PassRole CreateServiceLinkedRole kms:CreateGrant ecr:ListImages BatchDeleteImage",
}


def expand(text: str) -> Iterator[str]:
    """Yield each action with its service, which a word may leave out if it is that of the word before."""
    service = ""
    for word in text.split():
        service, _, name = word.rpartition(":") if ":" in word else (service, "", word)
        yield f"{service}:{name}"


def statements(name: str) -> list[dict[str, Any]]:
    return json.loads((DOCUMENTS / f"{name}.json").read_text())["Statement"]


def statement(sid: str) -> dict[str, Any]:
    return next(each for each in statements("platform") if each["Sid"] == sid)


def patterns(name: str) -> set[str]:
    return {action for each in statements(name) for action in each["Action"]}


def allowed(name: str, action: str) -> bool:
    return any(fnmatchcase(action, pattern) for pattern in patterns(name))


@pytest.fixture
def stack(graph: Callable[..., Any], cloud: Any) -> Any:
    cloud.functions[ZONE_OF_BALANCERS] = lambda args: {**args, "id": "Z3F0SRJ5LGBH90", "region": "eu-central-1"}
    return graph(**AWS.extra, hostname="shop.example.org", dnsZone="Z0123456789", staticAddress=True)


def needed(stack: Any) -> tuple[set[str], set[str]]:
    """Return the actions that read and that write what the graph declares."""
    read: set[str] = set()
    write: set[str] = set()
    for kind in {each.type.removeprefix("aws:") for each in cloud_resources(stack, "aws")}:
        reading, writing = ACTIONS[kind]
        read |= set(expand(reading))
        write |= set(expand(writing))
    services = {action.partition(":")[0] for action in write} & TAGS.keys()
    return read, write | {action for each in services for action in expand(f"{each}:{TAGS[each]}")}


def test_every_role_may_do_its_work_and_no_more(stack: Any, cloud: Any):
    reading, writing = needed(stack)
    asked = {each for each in cloud.functions if each.startswith("aws:")} - {ZONE_OF_BALANCERS}
    reading |= {FUNCTIONS[each] for each in asked}
    preview = reading | set(expand(MORE["preview"]))
    release = preview | set(expand(MORE["release"]))
    platform = release | writing | set(expand(MORE["platform"]))
    for name, actions in (("preview", preview), ("release", release), ("platform", platform)):
        assert [each for each in sorted(actions) if not allowed(name, each)] == [], f"{name} lacks them"
        assert [each for each in sorted(platform - actions) if allowed(name, each)] == [], f"{name} has them"
        unused = [each for each in patterns(name) if not any(fnmatchcase(action, each) for action in actions)]
        assert unused == [], f"{name} does not need them"


@pytest.mark.parametrize("name", ["preview", "release", "platform"])
def test_each_document_fits_into_a_managed_policy(name: str):
    assert len("".join((DOCUMENTS / f"{name}.json").read_text().split())) <= MAX_CHARACTERS


def test_roles_are_created_and_passed_within_limits(stack: Any):
    attached = statement("RolePolicies")["Condition"]["ArnEquals"]["iam:PolicyARN"]
    assert sorted(each.inputs["policyArn"] for each in stack.all("RolePolicyAttachment")) == attached
    services = statement("PassRoles")["Condition"]["StringEquals"]["iam:PassedToService"]
    for role in stack.all("iam/role:Role"):
        (trust,) = json.loads(role.inputs["assumeRolePolicy"])["Statement"]
        assert trust["Principal"].get("Service", "eks.amazonaws.com") in services
        for sid in ("Roles", "RolePolicies", "PassRoles"):
            assert fnmatchcase(f"arn:aws:iam::123456789012:role/{role.inputs['name']}", statement(sid)["Resource"])


def test_names_are_those_that_the_documents_allow(stack: Any):
    logs = statement("Logs")["Resource"]
    for group in stack.all("LogGroup"):
        arn = f"arn:aws:logs:eu-central-1:123456789012:log-group:{group.inputs['name']}"
        assert any(fnmatchcase(arn, each) for each in logs), arn
    repository = stack.one("Repository").inputs["name"]
    arn = f"arn:aws:ecr:eu-central-1:123456789012:repository/{repository}"
    assert fnmatchcase(arn, statement("Repositories")["Resource"])
    tags = statement("OwnKeys")["Condition"]["StringEquals"]
    assert tags == {"aws:ResourceTag/pulumi-project": "addressbook"}, "the provider's default tags have it"
