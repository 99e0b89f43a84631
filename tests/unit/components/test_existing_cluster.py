"""Config key `cluster`: release and database in and beside a cluster that exists already."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pytest

from tests.unit.components.aws.simulated import ADMINISTRATOR, CALLER, ISSUER, TAGS, VIEWER, runs
from tests.unit.components.aws.simulated import CLUSTER as AWS_CLUSTER
from tests.unit.components.clouds import CLOUDS
from tests.unit.components.gcp.simulated import PROJECT_OF
from tests.unit.components.simulated import SimulatedCloud

GKE = "projects/host-1/locations/us-central1-b/clusters/shared"
NAMES = {"aws": "shared", "digitalocean": "shared", "gcp": GKE}
GOOGLE_CLUSTER = "gcp:container/getCluster:getCluster"
DO_CLUSTER = "digitalocean:index/getKubernetesCluster:getKubernetesCluster"
NETWORK = "projects/host-1/global/networks/shared"
NODES = "nodes@host-1.iam.gserviceaccount.com"
#: Types that only a cluster of the stack's own, or its network, has.
OWN = {
    *("Cluster", "NodeGroup", "Addon", "LaunchTemplate", "Key", "Role", "OpenIdConnectProvider"),
    *("KubernetesCluster", "KubernetesNodePool", "Account", "IAMMember"),
    *("Vpc", "Subnet", "NatGateway", "Network", "Subnetwork", "RouterNat", "GlobalAddress", "Connection"),
}
OWN_CLUSTERS = {
    "aws": "aws:eks/cluster:Cluster",
    "digitalocean": "digitalocean:index/kubernetesCluster:KubernetesCluster",
    "gcp": "gcp:container/cluster:Cluster",
}
CREDENTIALS = {"clusterCaCertificate": "Y2E=", "token": "state-token"}


def _aws(mode: str, entries: dict[str, Any]) -> dict[str, Any]:
    cluster = {
        "endpoint": "https://shared.example",
        "version": "1.36",
        "accessConfigs": [{"authenticationMode": mode, "bootstrapClusterCreatorAdminPermissions": False}],
        "certificateAuthorities": [{"data": "Y2E="}],
        "identities": [{"oidcs": [{"issuer": ISSUER}]}],
        "vpcConfig": {"clusterSecurityGroupId": "sg-shared", "vpcId": "vpc-1", "subnetIds": ["subnet-1", "subnet-2"]},
    }
    return {**runs(entries=entries), AWS_CLUSTER: lambda args: {**args, **cluster}}


@pytest.fixture
def simulated(request: pytest.FixtureRequest) -> SimulatedCloud:
    return next(each for each in CLOUDS if each.name == request.param)


@pytest.fixture
def shared(cloud: Any, account: Path) -> None:
    """Let each cloud have a cluster."""
    cloud.functions[AWS_CLUSTER] = _aws("API_AND_CONFIG_MAP", {})[AWS_CLUSTER]
    cloud.functions[DO_CLUSTER] = lambda args: {
        **args,
        "id": "shared-id",
        "region": "nyc3",
        "endpoint": "https://shared.example",
        "vpcUuid": "vpc-1",
        "kubeConfigs": [CREDENTIALS],
    }
    cloud.functions[GOOGLE_CLUSTER] = lambda args: {
        **args,
        "endpoint": "shared.example",
        "masterAuths": [CREDENTIALS],
        "network": NETWORK,
        "subnetwork": "projects/host-1/regions/us-central1/subnetworks/shared",
        "nodeConfigs": [{"serviceAccount": "default"}],
        "nodePools": [{"nodeConfigs": [{"serviceAccount": NODES}]}, {"nodeConfigs": [{"serviceAccount": "default"}]}],
    }
    cloud.functions[PROJECT_OF] = lambda _: {"projectId": "host-1", "number": "42", "billingAccount": "0A-0B-0C"}


@pytest.fixture
def beside(graph: Callable[..., Any], simulated: SimulatedCloud, shared: None) -> Callable[..., Any]:
    """Provide a function that returns the graph of a stack beside the cluster."""

    def declared(**changed: Any) -> Any:
        return graph(**{"cluster": NAMES[simulated.name], "kubernetesVersion": "", **changed})

    return declared


@pytest.mark.parametrize("simulated", NAMES, indirect=True)
def test_an_existing_cluster_is_used_and_none_is_made(beside: Callable[..., Any], simulated: SimulatedCloud):
    stack = beside()
    made = {each.type.rpartition(":")[2] for each in stack.resources if not each.type.startswith("delivery:")}
    assert not made & OWN
    provider = stack.one("kubernetes")
    config = json.loads(provider.inputs["kubeconfig"])
    assert config["clusters"][0]["cluster"] == {
        "server": "https://shared.example",
        "certificate-authority-data": "Y2E=",
    }
    assert "state-token" not in json.dumps(config)
    assert stack.outputs["clusterName"] == "shared"
    assert (
        provider.inputs["clusterIdentifier"] == {"aws": ISSUER, "digitalocean": "shared-id", "gcp": GKE}[simulated.name]
    )


@pytest.mark.parametrize("simulated", NAMES, indirect=True)
def test_the_database_is_beside_the_cluster(beside: Callable[..., Any], simulated: SimulatedCloud):
    stack = beside()
    if simulated.name == "aws":
        assert stack.one("SubnetGroup").inputs["subnetIds"] == ["subnet-1", "subnet-2"]
        assert stack.one("SecurityGroup").inputs["vpcId"] == "vpc-1"
        assert stack.one("SecurityGroupIngressRule").inputs["referencedSecurityGroupId"] == "sg-shared"
    elif simulated.name == "digitalocean":
        assert stack.one("DatabaseCluster").inputs["privateNetworkUuid"] == "vpc-1"
        assert [each["value"] for each in stack.one("DatabaseFirewall").inputs["rules"]] == ["shared-id"]
    else:
        settings = stack.one("DatabaseInstance").inputs["settings"]
        assert settings["ipConfiguration"]["privateNetwork"] == NETWORK
        zone, record = stack.one("ManagedZone"), stack.one("RecordSet")
        assert zone.inputs["dnsName"] == record.inputs["name"], "the network's other databases keep their names"


@pytest.mark.parametrize("simulated", ["gcp"], indirect=True)
def test_existing_nodes_may_pull_from_the_new_registry(beside: Callable[..., Any]):
    stack = beside()
    rights = stack.all("RepositoryIamMember")
    assert {each.inputs["member"] for each in rights} == {
        f"serviceAccount:{NODES}",
        "serviceAccount:42-compute@developer.gserviceaccount.com",
    }
    assert {each.urn for each in rights} <= set(stack.one("kubernetes").dependencies), "before the first pod"


@pytest.mark.parametrize("simulated", ["aws"], indirect=True)
def test_access_is_only_added_to_an_existing_cluster(graph: Callable[..., Any], cloud: Any):
    def with_access(**entries: Any) -> set[str]:
        cloud.functions.update(_aws("API", {ADMINISTRATOR: {}, VIEWER: TAGS}))
        stack = graph(cluster="shared", kubernetesVersion="", **entries)
        assert {each.inputs["clusterName"] for each in stack.all("AccessEntry")} <= {"shared"}
        return {each.inputs["principalArn"] for each in stack.all("AccessEntry")}

    assert with_access() == set(), "who runs the update has access already"
    lists: dict[str, Any] = {"clusterAdministrators": [ADMINISTRATOR, CALLER], "clusterViewers": [VIEWER]}
    assert with_access(**lists) == {CALLER, VIEWER}, "an entry of somebody else's stays as it is"


@pytest.mark.parametrize("simulated", ["aws"], indirect=True)
def test_a_cluster_without_access_entries_gets_none(graph: Callable[..., Any], cloud: Any):
    cloud.functions.update(_aws("CONFIG_MAP", {}))
    assert graph(cluster="shared", kubernetesVersion="")
    with pytest.raises(pulumi.RunError, match="cluster = 'shared': grants access only through the ConfigMap aws-auth"):
        graph(cluster="shared", kubernetesVersion="", clusterAdministrators=[CALLER])


@pytest.mark.parametrize("simulated", NAMES, indirect=True)
def test_a_cluster_that_the_stack_created_is_refused(
    graph: Callable[..., Any], beside: Callable[..., Any], cloud: Any, simulated: SimulatedCloud
):
    own = next(each for each in graph().resources if each.type == OWN_CLUSTERS[simulated.name]).inputs
    function = {"aws": AWS_CLUSTER, "digitalocean": DO_CLUSTER, "gcp": GOOGLE_CLUSTER}[simulated.name]
    answer = cloud.functions[function]
    tags = {"tags": own.get("tags") or TAGS, "effectiveLabels": own.get("resourceLabels", {})}
    cloud.functions[function] = lambda args: {**answer(args), **tags}
    with pytest.raises(pulumi.RunError, match=f"cluster = '{NAMES[simulated.name]}': is the stack's own cluster"):
        beside()


@pytest.mark.parametrize("simulated", ["gcp"], indirect=True)
def test_only_autopilot_limits_an_existing_clusters_requests(beside: Callable[..., Any], cloud: Any):
    keys: dict[str, Any] = {
        "cpuRequest": "20m",
        "canaryImage": "source",
        "canaryReplicas": 1,
        "canarySettings": {"cpuRequest": "10m"},
    }
    assert beside(**keys), "a Standard cluster takes them as they are"
    standard = cloud.functions[GOOGLE_CLUSTER]
    cloud.functions[GOOGLE_CLUSTER] = lambda args: {**standard(args), "enableAutopilot": True}
    assert beside()
    with pytest.raises(pulumi.RunError, match="  - cpuRequest = '20m': is below") as refused:
        beside(**keys)
    assert "  - canarySettings.cpuRequest = '10m': is below Autopilot's minimum" in str(refused.value)


@pytest.mark.parametrize("simulated", ["digitalocean"], indirect=True)
def test_a_cluster_of_another_region_is_refused(beside: Callable[..., Any]):
    with pytest.raises(pulumi.RunError, match="cluster = 'shared': is in nyc3, and the stack in fra1"):
        beside(region="fra1")


@pytest.mark.parametrize(
    ("simulated", "keys"),
    [
        ("aws", {"kubernetesVersion": "1.37", "nodeSize": "t3.large", "nodeCount": 5, "addonVersions": {}}),
        ("aws", {"vpc": "vpc-0123456789abcdef0", "staticAddress": True, "apiServerAccess": ["203.0.113.0/24"]}),
        ("digitalocean", {"kubernetesVersion": "1.35.1-do.0", "nodeSize": "s-4vcpu-8gb", "maxNodeCount": 5}),
        ("gcp", {"kubernetesVersion": "1.34", "networkRange": "10.80.0.0/16", "podsRange": "for-pods"}),
    ],
    indirect=["simulated"],
)
def test_keys_of_an_own_cluster_are_refused(beside: Callable[..., Any], keys: dict[str, Any]):
    with pytest.raises(pulumi.RunError) as refused:
        beside(**keys)
    errors = [line for line in str(refused.value).splitlines() if line.lstrip().startswith("- ")]
    given = [key for key, value in keys.items() if value != {}]
    assert len(errors) == len(given)
    for key in given:
        (error,) = [line for line in errors if f"- {key} = " in line]
        assert "applies only to a cluster that the stack creates" in error
        assert error.endswith(f"(`pulumi config rm {key}` removes it)")


@pytest.mark.parametrize("simulated", NAMES, indirect=True)
def test_without_a_cluster_a_version_is_mandatory(beside: Callable[..., Any]):
    with pytest.raises(pulumi.RunError, match="kubernetesVersion: is not set and has no default"):
        beside(cluster="")


@pytest.mark.parametrize("simulated", ["gcp"], indirect=True)
def test_a_cluster_outside_the_region_is_refused(beside: Callable[..., Any]):
    with pytest.raises(pulumi.RunError, match=r"cluster = .*must be in the stack's region, us-central1") as refused:
        beside(cluster=GKE.replace("us-central1-b", "us-east1-b"))
    assert "kubernetesVersion" not in str(refused.value)
