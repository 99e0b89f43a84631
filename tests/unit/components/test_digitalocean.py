"""The resource graph of a stack on DigitalOcean."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi.output import Unknown
from pulumi.runtime import mocks, rpc

from components.database_rights import grants
from components.digitalocean.registry import docker_login
from stacks.digitalocean import PlatformKeys
from stacks.settings import ConfigFault, declared_keys, parse
from stacks.sharing import READ_OUTPUTS

ROOT = Path(__file__).resolve().parents[3]
AUTHORITY = "-----BEGIN CERTIFICATE-----\nof the account\n-----END CERTIFICATE-----\n"
AUTH = base64.b64encode(b"robot:push-token").decode()
CONFIG: dict[str, Any] = {
    "cloud": "digitalocean",
    "kubeContext": "",
    "registry": "",
    "kubernetesVersion": "1.34.1-do.0",
}
CLOUD = {
    "KubernetesCluster": {
        "endpoint": "https://cluster.example",
        "kubeConfigs": [{"clusterCaCertificate": "Y2E=", "token": "state-token", "host": "https://cluster.example"}],
    },
    "ContainerRegistry": {"endpoint": "registry.digitalocean.com/addressbook-test"},
    "ContainerRegistryDockerCredentials": {
        "dockerCredentials": json.dumps({"auths": {"registry.digitalocean.com": {"auth": AUTH}}})
    },
    "DatabaseCluster": {
        "privateHost": "private-db.example",
        "port": 25060,
        "user": "doadmin",
        "password": "admin-password",
    },
    "DatabaseUser": {"password": "user-password"},
}


def token(kind: str) -> str:
    return f"digitalocean:index/{kind[0].lower()}{kind[1:]}:{kind}"


@pytest.fixture(autouse=True)
def account(cloud: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An account with a token, doctl on PATH, and the values its API would compute. Returns the folder of doctl."""
    monkeypatch.setenv("DIGITALOCEAN_ACCESS_TOKEN", "of-a-test")
    monkeypatch.delenv("DIGITALOCEAN_TOKEN", raising=False)
    commands = tmp_path / "bin"
    commands.mkdir()
    (commands / "doctl").write_text("#!/bin/sh\n")
    (commands / "doctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{commands}:/usr/bin:/bin")
    for kind, values in CLOUD.items():
        cloud.computed[token(kind)] = lambda _, values=values: values
    cloud.functions["digitalocean:index/getDatabaseCa:getDatabaseCa"] = lambda args: {
        "certificate": AUTHORITY,
        "clusterId": args["clusterId"],
        "id": "ca",
    }
    cloud.functions["digitalocean:index/getContainerRegistry:getContainerRegistry"] = lambda args: {
        "name": args["name"],
        "endpoint": f"registry.digitalocean.com/{args['name']}",
    }
    return commands


@pytest.fixture
def graph(declare: Callable[..., Any]) -> Callable[..., Any]:
    return lambda preview=False, **config: declare(preview=preview, **CONFIG | config)


def of_digitalocean(graph: Any) -> list[Any]:
    return [each for each in graph.resources if each.type.startswith("digitalocean:")]


def secret_data(secret: Any, key: str) -> str:
    return base64.b64decode(secret.inputs["data"][key]).decode()


def test_what_is_bought(graph: Callable[..., Any]):
    made = graph()
    assert sorted(each.type.rpartition(":")[2] for each in of_digitalocean(made)) == [
        "ContainerRegistry",
        "ContainerRegistryDockerCredentials",
        "DatabaseCluster",
        "DatabaseDb",
        "DatabaseFirewall",
        "DatabaseUser",
        "KubernetesCluster",
        "KubernetesNodePool",
        "Vpc",
    ]
    cluster = made.one("KubernetesCluster").inputs
    assert (cluster["version"], cluster["surgeUpgrade"], cluster["autoUpgrade"]) == ("1.34.1-do.0", True, False)
    assert cluster["ha"] is False
    assert cluster["maintenancePolicy"] == {"day": "sunday", "startTime": "03:00"}
    assert cluster["registryIntegration"] is True
    assert cluster["nodePool"]["nodeCount"] == 1
    workers = made.one("KubernetesNodePool").inputs
    assert (workers["nodeCount"], workers["size"], "name" in workers) == (3, "s-2vcpu-2gb", False)
    database = made.one("DatabaseCluster").inputs
    assert (database["engine"], database["version"], database["nodeCount"]) == ("pg", "15", 1)
    assert database["size"] == "db-s-1vcpu-1gb"
    assert made.one("DatabaseDb").inputs["name"] == "demo"
    assert made.one("DatabaseUser").inputs["name"] == "demouser"


def test_high_availability_is_a_standby_and_a_control_plane_of_several_nodes(graph: Callable[..., Any]):
    made = graph(highAvailability=True)
    assert made.one("KubernetesCluster").inputs["ha"] is True
    database = made.one("DatabaseCluster").inputs
    assert (database["nodeCount"], database["size"]) == (2, "db-s-1vcpu-2gb")


def test_the_pool_may_grow_by_itself(graph: Callable[..., Any]):
    workers = graph(nodeCount=2, maxNodeCount=6).one("KubernetesNodePool").inputs
    assert workers["autoScale"] is True
    assert (workers["minNodes"], workers["maxNodes"]) == (2, 6)
    assert "nodeCount" not in workers, "setting it would undo what the autoscaler did"


def test_number_and_size_of_the_workers_leave_the_cluster_as_it_is(graph: Callable[..., Any]):
    before, after = graph(), graph(nodeCount=7, nodeSize="s-4vcpu-8gb")
    assert before.one("KubernetesCluster").inputs == after.one("KubernetesCluster").inputs
    assert after.one("KubernetesNodePool").inputs["size"] == "s-4vcpu-8gb"


def test_one_private_network_and_one_client_of_the_database(graph: Callable[..., Any]):
    made = graph()
    network = made.one("Vpc")
    assert made.one("KubernetesCluster").inputs["vpcUuid"] == "network-id"
    assert made.one("DatabaseCluster").inputs["privateNetworkUuid"] == "network-id"
    firewall = made.one("DatabaseFirewall")
    assert firewall.inputs["rules"] == [{"type": "k8s", "value": "cluster-id"}]
    for guarded in (made.one("DatabaseDb"), made.one("DatabaseUser")):
        assert firewall.urn in guarded.dependencies, "nothing is in the database while it is open to everybody"
    assert made.one("DatabaseUser").urn in made.one("DatabaseDb").dependencies, "or the user can't be deleted"
    assert network.inputs["name"] == "addressbook-test"


def test_production_is_protected_and_a_throw_away_stack_is_not(graph: Callable[..., Any]):
    def protected(made: Any) -> set[str]:
        return {each.type.rpartition(":")[2] for each in made.resources if each.options.protect}

    made = graph()
    assert protected(made) == {"KubernetesCluster", "ContainerRegistry", "DatabaseCluster", "DatabaseDb", "Service"}
    assert made.one("Service", "addressbook-lb").options.protect, "destroy begins here, so here it must be refused"
    assert made.one("KubernetesCluster").inputs["destroyAllAssociatedResources"] is False
    made = graph(deletionProtection=False)
    assert protected(made) == set()
    assert made.one("KubernetesCluster").inputs["destroyAllAssociatedResources"] is True


def test_everything_that_takes_tags_is_tagged(graph: Callable[..., Any]):
    tags = ["pulumi-project:addressbook", "pulumi-stack:test"]
    made = graph()
    for kind in ("KubernetesCluster", "KubernetesNodePool", "DatabaseCluster"):
        assert made.one(kind).inputs["tags"] == tags, kind
    assert made.one("KubernetesCluster").inputs["nodePool"]["tags"] == tags
    assert "stack test" in made.one("Vpc").inputs["description"]


def test_workloads_come_after_the_nodes_and_survive_new_credentials(graph: Callable[..., Any]):
    made = graph()
    (provider,) = made.all("kubernetes")
    assert made.one("KubernetesNodePool").urn in provider.dependencies
    assert provider.inputs["clusterIdentifier"] == "cluster-id"
    for resource in made.resources:
        if resource.type.startswith("kubernetes:"):
            assert resource.provider.startswith(provider.urn), resource.urn


def test_the_kubeconfig_holds_no_credentials(graph: Callable[..., Any]):
    made = graph()
    (provider,) = made.all("kubernetes")
    kubeconfig = json.loads(provider.inputs["kubeconfig"])
    (user,) = kubeconfig["users"]
    assert user["user"]["exec"]["command"] == "doctl"
    assert user["user"]["exec"]["args"][-1] == "cluster-id"
    assert "state-token" not in provider.inputs["kubeconfig"]
    assert "kubeconfig" in provider.secret_paths
    assert made.one("KubernetesCluster").inputs["kubeconfigExpireSeconds"] <= 3600


def test_the_service_connects_over_verified_tls_once_it_has_its_rights(graph: Callable[..., Any]):
    made = graph()
    params = made.one("Secret", "db-params")
    assert secret_data(params, "DB_SSL") == "true"
    assert secret_data(params, "DB_CA") == AUTHORITY
    assert secret_data(params, "DB_HOST") == "private-db.example"
    assert secret_data(params, "DB_PORT") == "25060"
    assert (secret_data(params, "DB_USER"), secret_data(params, "DB_PASSWORD")) == ("demouser", "user-password")
    rights = made.one("Job", "database-rights")
    assert rights.urn in params.dependencies
    pod = rights.inputs["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["args"] == [f"--command={grants('demo', 'demouser')}"]
    assert {"name": "PGSSLMODE", "value": "verify-full"} in container["env"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert "password" not in json.dumps(rights.inputs).replace("PGPASSWORD", "")


def test_a_new_password_grants_the_rights_again(graph: Callable[..., Any], cloud: Any):
    before = graph().one("Job", "database-rights").inputs
    assert graph().one("Job", "database-rights").inputs == before
    cloud.computed[token("DatabaseUser")] = lambda _: {"password": "another"}
    assert graph().one("Job", "database-rights").inputs != before


def test_secrets_are_marked_wherever_they_go(graph: Callable[..., Any]):
    made = graph()
    secrets = ("admin-password", "user-password", "push-token", "state-token", AUTH)
    seen: set[str] = set()
    for resource in made.resources:
        for path, text in leaves(resource.inputs):
            for secret in secrets:
                if secret in text or base64.b64encode(secret.encode()).decode() in text:
                    seen.add(secret)
                    assert any(path.startswith(known) for known in resource.secret_paths), (resource.urn, path)
    assert {"admin-password", "user-password", "push-token"} <= seen


def leaves(value: Any, path: str = "") -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [leaf for key, inner in value.items() for leaf in leaves(inner, f"{path}.{key}".lstrip("."))]
    if isinstance(value, list):
        return [leaf for index, inner in enumerate(value) for leaf in leaves(inner, f"{path}[{index}]")]
    return [(path, str(value))]


def test_images_are_pushed_with_the_registrys_credentials(graph: Callable[..., Any]):
    made = graph()
    image = made.one("Image")
    assert image.inputs["imageName"].startswith("registry.digitalocean.com/addressbook-test/addressbook:src-")
    assert image.inputs["registry"]["server"] == "registry.digitalocean.com"
    assert image.inputs["registry"]["username"] == "robot"
    credentials = made.one("ContainerRegistryDockerCredentials")
    assert credentials.inputs["write"] is True
    assert credentials.inputs["expirySeconds"] < 366 * 24 * 3600
    assert made.one("ContainerRegistry").urn in made.one("KubernetesCluster").dependencies


def test_an_existing_registry_is_used_and_not_owned(graph: Callable[..., Any]):
    made = graph(registry="ours")
    assert not made.all("ContainerRegistry")
    assert made.one("ContainerRegistryDockerCredentials").inputs["registryName"] == "ours"
    assert made.outputs["registryUrl"] == "registry.digitalocean.com/ours"


def test_a_region_without_registries_leaves_the_choice_to_the_provider(graph: Callable[..., Any]):
    assert graph(region="fra1").one("ContainerRegistry").inputs["region"] == "fra1"
    assert "region" not in graph(region="lon1").one("ContainerRegistry").inputs


def test_outputs(graph: Callable[..., Any]):
    made = graph()
    assert made.outputs["clusterName"] == "addressbook-test"
    assert made.outputs["clusterEndpoint"] == "https://cluster.example"
    assert made.outputs["databaseHost"] == "private-db.example"
    assert made.outputs["url"] == "http://203.0.113.7"


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
        cloud.computed[token(kind)] = lambda _, values=values: dict.fromkeys(values, rpc.UNKNOWN)

    def no_call(_: mocks.MockCallArgs) -> dict[str, Any]:
        raise AssertionError("a function was called although its argument is unknown")

    cloud.computed["docker:index/image:Image"] = lambda _: {"repoDigest": rpc.UNKNOWN}
    cloud.functions["digitalocean:index/getDatabaseCa:getDatabaseCa"] = no_call
    made = graph(preview=True)
    assert {resource.urn for resource in made.resources} == known
    assert isinstance(made.one("KubernetesCluster").inputs["vpcUuid"], Unknown)
    assert isinstance(made.one("Secret", "db-params").inputs["data"], Unknown)
    assert isinstance(made.one("kubernetes").inputs["kubeconfig"], Unknown)
    assert not made.outputs, "an output of the preview claims to be known"


def test_every_resource_belongs_to_a_component(graph: Callable[..., Any]):
    for resource in graph().resources:
        if resource.custom and not resource.type.endswith(":Namespace"):
            assert "addressbook:" in resource.parent, resource.urn


def test_docker_login_reads_the_only_entry():
    assert docker_login(json.dumps({"auths": {"any.example": {"auth": AUTH}}})) == ("robot", "push-token")


def test_names_in_sql_are_quoted():
    assert '"a""b"' in grants("demo", 'a"b')


def keys(**changed: str) -> PlatformKeys:
    values = {"cloud": "digitalocean", "kubernetesVersion": "1.34.1-do.0", **changed}
    return parse(values, PlatformKeys).platform  # pyright: ignore[reportReturnType]


def faults(**changed: str) -> list[str]:
    with pytest.raises(ConfigFault) as raised:
        keys(**changed)
    return str(raised.value).splitlines()


def test_every_key_is_declared():
    assert PlatformKeys.key_names() <= declared_keys()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("region", "Frankfurt"),
        ("kubernetesVersion", "latest"),
        ("nodeCount", "-1"),
        ("databaseVersion", "14"),
        ("maintenanceWindow", "sunday"),
        ("maintenanceWindow", "sunday 25:00"),
        ("registry", "https://registry.example"),
        ("deletionProtection", "maybe"),
    ],
)
def test_what_the_provider_would_refuse_is_refused_before(key: str, value: str):
    (fault,) = faults(**{key: value})
    assert fault.startswith(f"{key} = '{value}'")


def test_rules_between_keys():
    assert "nodeCount (5) or more" in faults(nodeCount="5", maxNodeCount="4")[0]
    assert "db-s-1vcpu-2gb is the smallest" in faults(highAvailability="true", databaseSize="db-s-1vcpu-1gb")[0]


def test_false_is_a_value_where_the_default_is_true():
    assert keys().deletion_protection is True
    assert keys(deletionProtection="false").deletion_protection is False


def test_missing_version_token_and_command_are_all_named_at_once(account: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("DIGITALOCEAN_ACCESS_TOKEN")
    (account / "doctl").unlink()
    found = faults(kubernetesVersion="")
    assert [fault.split(":")[0] for fault in found] == ["kubernetesVersion", "credentials", "doctl"]
    monkeypatch.setenv("DIGITALOCEAN_TOKEN", "x")
    assert [fault.split(":")[0] for fault in faults()] == ["doctl"]


@pytest.mark.parametrize(
    ("cloud_name", "loaded"),
    [("digitalocean", ["pulumi_digitalocean"]), ("local", [])],
)
def test_only_the_chosen_clouds_sdk_is_imported(cloud_name: str, loaded: list[str]):
    code = (
        f"import sys, components.release, stacks.{cloud_name};"
        "print(*sorted(set(sys.modules) & {'pulumi_digitalocean', 'pulumi_aws', 'pulumi_gcp'}))"
    )
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert shown.stdout.split() == loaded


def test_a_release_stack_takes_up_what_the_platform_hands_over(graph: Callable[..., Any], cloud: Any):
    platform = dict(graph().outputs)
    cloud.functions[READ_OUTPUTS] = lambda args: {"name": args["name"], "outputs": platform, "secretOutputNames": []}
    made = graph(platformStack="prod", namespace="branch-one", kubernetesVersion="")
    assert [each.type for each in made.resources if each.type.startswith("digitalocean:")] == [
        token("ContainerRegistryDockerCredentials")
    ]
    assert made.all("kubernetes")[0].inputs["kubeconfig"] == platform["kubeconfig"]
    assert made.all("kubernetes")[0].inputs["clusterIdentifier"] == "cluster-id"
    image = made.one("Image").inputs
    assert image["imageName"].startswith("registry.digitalocean.com/addressbook-test/addressbook:")
    assert (image["registry"]["username"], image["registry"]["password"]) == ("robot", "push-token")
    assert made.one("Image").secret_paths & {"registry", "registry.password"}
    final = made.one("FinalJob")
    assert final.inputs["kubeconfig"] == platform["kubeconfig"]
    assert final.options.protect, "a release's data is as safe as a platform's"
    assert made.outputs["databaseName"] == "release_branch_one"
    throw_away = graph(platformStack="prod", namespace="branch-one", deletionProtection=False, kubernetesVersion="")
    assert not [each.urn for each in throw_away.resources if each.options.protect]
