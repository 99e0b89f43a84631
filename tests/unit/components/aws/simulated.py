"""A simulated AWS account, and what is specific to AWS."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.unit.components.simulated import Access, FirstPreview, SimulatedCloud

VIEWER = "arn:aws:iam::123456789012:role/preview"
ADMINISTRATOR = "arn:aws:iam::123456789012:role/platform-team"
CALLER = "arn:aws:iam::123456789012:user/ada"
ISSUER = "https://oidc.eks.eu-central-1.amazonaws.com/id/0123456789ABCDEF"
PROVIDER = f"arn:aws:iam::123456789012:oidc-provider/{ISSUER.removeprefix('https://')}"
REGISTRY = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
#: A certificate authority for tests; its key does not exist any more.
AUTHORITY = Path(__file__).with_name("authority.pem")
TAGS = {"pulumi-project": "addressbook", "pulumi-stack": "test"}
COMPUTED: dict[str, dict[str, Any]] = {
    "aws:eks/cluster:Cluster": {
        "arn": "arn:aws:eks:eu-central-1:123456789012:cluster/addressbook-test",
        "endpoint": "https://cluster.example",
        "certificateAuthority": {"data": "Y2E="},
        "identities": [{"oidcs": [{"issuer": ISSUER}]}],
        "vpcConfig": {"clusterSecurityGroupId": "sg-cluster"},
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
    "random:index/randomId:RandomId": {"hex": "nodes-0a1b2c"},
}
#: Its component is called Cluster too, so this is the longer name.
EKS = "eks/cluster:Cluster"
CLUSTERS = "aws:eks/getClusters:getClusters"
CLUSTER = "aws:eks/getCluster:getCluster"
ENTRY = "aws:eks/getAccessEntry:getAccessEntry"
CLUSTER_VERSIONS = "aws:eks/getClusterVersions:getClusterVersions"
INSTANCES = "aws:rds/getInstances:getInstances"
INSTANCE = "aws:rds/getInstance:getInstance"
ENGINE_VERSION = "aws:rds/getEngineVersion:getEngineVersion"
SESSION = "aws:iam/getSessionContext:getSessionContext"
ZONES = "aws:index/getAvailabilityZones:getAvailabilityZones"
ADDON_VERSION = "aws:eks/getAddonVersion:getAddonVersion"
TOKEN = "aws:ecr/getAuthorizationToken:getAuthorizationToken"


def _cluster(args: Any) -> dict[str, Any]:
    computed = COMPUTED["aws:eks/cluster:Cluster"]
    return {**computed, "vpcConfig": {**args.inputs["vpcConfig"], **computed["vpcConfig"]}}


_REGION = {"id": "eu-central-1", "region": "eu-central-1"}


def _zones(_: dict[str, Any]) -> dict[str, Any]:
    return {
        "names": ["eu-central-1c", "eu-central-1a", "eu-central-1b"],
        "zoneIds": [],
        "groupNames": [],
        "id": "eu-central-1",
        "region": "eu-central-1",
    }


def _addon_version(args: dict[str, Any]) -> dict[str, Any]:
    return {
        "addonName": args["addonName"],
        "kubernetesVersion": args["kubernetesVersion"],
        "version": f"v1 for {args['kubernetesVersion']}",
        "id": args["addonName"],
        "region": "eu-central-1",
    }


def _token(_: dict[str, Any]) -> dict[str, Any]:
    return {
        "userName": "AWS",
        "password": "push-token",
        "authorizationToken": base64.b64encode(b"AWS:push-token").decode(),
        "expiresAt": "2030-01-01T00:00:00Z",
        "id": "eu-central-1",
        "proxyEndpoint": f"https://{REGISTRY}",
        "region": "eu-central-1",
    }


class MissingError(grpc.RpcError):
    """The engine's answer if a function finds nothing."""

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNKNOWN

    def details(self) -> str:
        return "invocation of it returned an error: reading it: couldn't find resource."


def sign_in(commands: Path, arn: str = CALLER) -> None:
    """Let `aws` say who calls."""
    (commands / "aws").write_text(f"#!/bin/sh\necho '{json.dumps({'Account': '123456789012', 'Arn': arn})}'\n")


def runs(
    cluster: str = "", database: str = "", entries: Mapping[str, Mapping[str, str]] = {}
) -> dict[str, Callable[[dict[str, Any]], dict[str, Any]]]:
    """Return the answers of an account that runs these versions, "" being none.

    ``entries`` has the tags of the cluster's access entries, by principal.
    """

    def entry(args: dict[str, Any]) -> dict[str, Any]:
        if args["principalArn"] not in entries:
            raise MissingError
        tags = dict(entries[args["principalArn"]])
        return {**args, "tags": tags, "tagsAll": tags, **_REGION}

    return {
        CLUSTERS: lambda _: {"names": ["another", *(["addressbook-test"] if cluster else [])], **_REGION},
        CLUSTER: lambda args: {"name": args["name"], "version": cluster, **_REGION},
        ENTRY: entry,
        INSTANCES: lambda _: {
            "instanceIdentifiers": ["addressbook-test"] if database else [],
            "instanceArns": [],
            **_REGION,
        },
        INSTANCE: lambda args: {**args, "engineVersion": database, **_REGION},
    }


def _cluster_versions(_: dict[str, Any]) -> dict[str, Any]:
    """Answer with versions whose standard support ends long after any test."""
    return {
        "clusterVersions": [
            {
                "clusterVersion": version,
                "endOfStandardSupportDate": "2999-12-31T00:00:00Z",
                "versionStatus": "STANDARD_SUPPORT",
            }
            for version in ("1.34", "1.35", "1.36", "1.37")
        ],
        **_REGION,
    }


def _tools(commands: Path, _: pytest.MonkeyPatch) -> None:
    """Put regctl on PATH; no test runs it."""
    sign_in(commands)
    (commands / "regctl").write_text("#!/bin/sh\nexit 1\n")
    (commands / "regctl").chmod(0o755)


AWS = SimulatedCloud(
    name="aws",
    config={
        "cloud": "aws",
        "kubeContext": "",
        "registry": "",
        "region": "eu-central-1",
        "kubernetesVersion": "1.34",
        "databaseAuthority": str(AUTHORITY),
    },
    extra={"clusterAdministrators": [ADMINISTRATOR, CALLER], "clusterViewers": [VIEWER]},
    of_platform=("kubernetesVersion", "region", "databaseAuthority"),
    computed=COMPUTED,
    derived={
        "aws:eks/cluster:Cluster": _cluster,
        "kubernetes:core/v1:Service": lambda _: {
            "status": {"loadBalancer": {"ingress": [{"hostname": "balancer.elb.example"}]}}
        },
    },
    functions={
        ZONES: _zones,
        ADDON_VERSION: _addon_version,
        TOKEN: _token,
        CLUSTER_VERSIONS: _cluster_versions,
        **runs(),
    },
    command="aws",
    sign_in=_tools,
    # Without the command, credentials cannot be checked.
    missing=("kubernetesVersion", "aws"),
    access=Access(
        cluster=ISSUER,
        kubeconfig_command="aws --region eu-central-1 eks get-token --cluster-name addressbook-test --output json",
        repository=f"{REGISTRY}/addressbook-test/addressbook",
        push={"server": REGISTRY, "username": "AWS", "password": "push-token"},
    ),
    outputs={
        "clusterName": "addressbook-test",
        "clusterEndpoint": "https://cluster.example",
        "databaseHost": "db.example",
        "databasePassword": "password of database-password",
        "registryUrl": f"{REGISTRY}/addressbook-test",
        "url": "http://balancer.elb.example",
    },
    secrets=frozenset({"password of database-password", "push-token"}),
    protected=frozenset({"Cluster", "Instance", "Repository", "Key", "Alias", "Service"}),
    first_preview=FirstPreview(
        unknown=(("SecurityGroupIngressRule", "referencedSecurityGroupId"), ("Instance", "password")),
        # These do not depend on the stack; add-on versions and the token do.
        calls={
            ZONES: 1,
            "aws:eks/getClusterVersions:getClusterVersions": 1,
            "aws:eks/getClusters:getClusters": 1,
            "aws:rds/getInstances:getInstances": 1,
        },
        outputs=frozenset({"clusterName"}),
    ),
)
