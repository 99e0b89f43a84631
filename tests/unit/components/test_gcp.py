"""The resource graph of a stack on Google Cloud."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from ipaddress import IPv4Network
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pulumi
import pytest
from pulumi.output import Unknown
from pulumi.runtime import mocks, rpc

from components.gcp.cluster import maintenance_window
from components.gcp.database import private_name
from components.gcp.nodes import account_id
from components.gcp.services import SERVICES
from stacks.settings import PROJECT_ROOT as ROOT
from stacks.sharing import READ_OUTPUTS

ROOT_CA = "-----BEGIN CERTIFICATE-----\nroot of the shared authority\n-----END CERTIFICATE-----"
REGIONAL_CA = "-----BEGIN CERTIFICATE-----\nof the region\n-----END CERTIFICATE-----"
HOST = "0123abcd.4567efgh.us-central1.sql-psa.goog"
ACCESS_TOKEN = "ya29.of-the-caller"
CLIENT_CONFIG = "gcp:organizations/getClientConfig:getClientConfig"
RANDOM_ID = "random:index/randomId:RandomId"
CONFIG: dict[str, Any] = {
    "cloud": "gcp",
    "gcp:project": "acme-prod-1",
    "kubeContext": "",
    "registry": "",
    "kubernetesVersion": "1.34",
}
LABELS = {"pulumi-project": "addressbook", "pulumi-stack": "test"}
#: What Google's API computes, by resource type.
CLOUD: dict[str, dict[str, Any]] = {
    "gcp:container/cluster:Cluster": {
        "name": "addressbook-test-1a2b3c4",
        "endpoint": "203.0.113.9",
        "masterAuth": {"clusterCaCertificate": "Y2E=", "clientKey": "", "clientCertificate": ""},
    },
    "gcp:artifactregistry/repository:Repository": {
        "name": "addressbook-test",
        "registryUri": "us-central1-docker.pkg.dev/acme-prod-1/addressbook-test",
    },
    "gcp:serviceaccount/account:Account": {
        "email": "nodes@acme-prod-1.iam.gserviceaccount.com",
        "member": "serviceAccount:nodes@acme-prod-1.iam.gserviceaccount.com",
    },
    "gcp:sql/databaseInstance:DatabaseInstance": {
        "name": "addressbook-test-5d6e7f8",
        "privateIpAddress": "10.64.32.3",
        "dnsNames": [
            {
                "name": "primary.global.sql-psa.goog.",
                "connectionType": "PRIVATE_SERVICES_ACCESS",
                "dnsScope": "CLUSTER",
            },
            {"name": f"{HOST}.", "connectionType": "PRIVATE_SERVICES_ACCESS", "dnsScope": "INSTANCE"},
        ],
        "serverCaCerts": [{"cert": f"{ROOT_CA}\n"}, {"cert": REGIONAL_CA}],
    },
}


@pytest.fixture(autouse=True)
def account(cloud: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine with credentials and Google's plugin on PATH, and the values its API would compute.

    Returns the folder with the plugin and the credentials.
    """
    commands = tmp_path / "bin"
    commands.mkdir()
    (commands / "gke-gcloud-auth-plugin").write_text("#!/bin/sh\n")
    (commands / "gke-gcloud-auth-plugin").chmod(0o755)
    (commands / "credentials.json").write_text("{}")
    monkeypatch.setenv("PATH", f"{commands}:/usr/bin:/bin")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(commands / "credentials.json"))
    monkeypatch.delenv("GCE_METADATA_HOST", raising=False)
    for kind, values in CLOUD.items():
        cloud.computed[kind] = lambda _, values=values: values
    cloud.computed[RANDOM_ID] = lambda args: {"hex": f"{args.inputs['prefix']}0a1b2c"}
    cloud.functions[CLIENT_CONFIG] = lambda _: {"accessToken": ACCESS_TOKEN, "project": "acme-prod-1"}
    return commands


@pytest.fixture
def graph(declare: Callable[..., Any]) -> Callable[..., Any]:
    return lambda preview=False, **config: declare(preview=preview, **CONFIG | config)


def of_google(graph: Any) -> list[Any]:
    return [each for each in graph.resources if each.type.startswith("gcp:")]


def google(graph: Any, kind: str) -> Any:
    """The one resource of Google's of that kind; components of this project may have the same name."""
    (found,) = [each for each in of_google(graph) if short(each) == kind]
    return found


def short(resource: Any) -> str:
    return resource.type.rpartition(":")[2]


def secret_data(secret: Any, key: str) -> str:
    return base64.b64decode(secret.inputs["data"][key]).decode()


def all_before(graph: Any, resource: Any) -> set[str]:
    """URNs of all that is made before a resource, and so deleted after it."""
    direct = {each.urn: set(each.dependencies) for each in graph.resources}
    found: set[str] = set()
    waiting = set(resource.dependencies)
    while waiting:
        urn = waiting.pop()
        if urn not in found:
            found.add(urn)
            waiting |= direct.get(urn, set())
    return found


def test_what_is_bought(graph: Callable[..., Any]):
    made = graph()
    kinds = [short(each) for each in of_google(made) if short(each) != "Service"]
    assert sorted(kinds) == [
        "Account",
        "Cluster",
        "Connection",
        "Database",
        "DatabaseInstance",
        "GlobalAddress",
        "IAMMember",
        "ManagedZone",
        "Network",
        "RecordSet",
        "Repository",
        "RepositoryIamMember",
        "Router",
        "RouterNat",
        "Subnetwork",
        "User",
    ]
    cluster = google(made, "Cluster").inputs
    assert (cluster["enableAutopilot"], cluster["location"]) == (True, "us-central1")
    assert (cluster["minMasterVersion"], cluster["releaseChannel"]) == ("1.34", {"channel": "REGULAR"})
    database = google(made, "DatabaseInstance").inputs
    settings = database["settings"]
    assert (database["databaseVersion"], settings["tier"], settings["edition"]) == (
        "POSTGRES_15",
        "db-custom-1-3840",
        "ENTERPRISE",
    )
    assert settings["availabilityType"] == "ZONAL"
    assert settings["maintenanceWindow"] == {"day": 7, "hour": 3, "updateTrack": "stable"}
    assert google(made, "Database").inputs["name"] == "demo"
    assert google(made, "User").inputs["name"] == "demouser"


def test_apis_are_enabled_before_all_else_and_stay_when_it_goes(graph: Callable[..., Any]):
    made = graph()
    services = made.all("Service")
    enabled = [each for each in services if each.type.startswith("gcp:")]
    assert {each.inputs["service"] for each in enabled} == {f"{name}.googleapis.com" for name in SERVICES}
    assert all(each.inputs["disableOnDestroy"] is False for each in enabled)
    urns = {each.urn for each in enabled}
    for resource in of_google(made):
        if resource.urn not in urns:
            assert urns <= all_before(made, resource), resource.urn


def test_high_availability_is_a_standby_in_another_zone(graph: Callable[..., Any]):
    assert google(graph(highAvailability=True), "DatabaseInstance").inputs["settings"]["availabilityType"] == "REGIONAL"


def test_the_edition_follows_the_size(graph: Callable[..., Any]):
    settings = google(graph(databaseSize="db-perf-optimized-N-2"), "DatabaseInstance").inputs["settings"]
    assert settings["edition"] == "ENTERPRISE_PLUS"


def test_nothing_is_public_but_the_api_server_and_the_load_balancer(graph: Callable[..., Any]):
    made = graph()
    network = google(made, "Network")
    assert network.inputs["autoCreateSubnetworks"] is False
    cluster = google(made, "Cluster").inputs
    assert cluster["privateClusterConfig"]["enablePrivateNodes"] is True
    address = google(made, "DatabaseInstance").inputs["settings"]["ipConfiguration"]
    assert address["ipv4Enabled"] is False
    assert address["privateNetwork"] == cluster["network"] == "network-id"
    subnetwork = google(made, "Subnetwork").inputs
    assert subnetwork["privateIpGoogleAccess"] is True
    ranges = {each["rangeName"] for each in subnetwork["secondaryIpRanges"]}
    policy = cluster["ipAllocationPolicy"]
    assert {policy["clusterSecondaryRangeName"], policy["servicesSecondaryRangeName"]} == ranges
    assert "cloud.google.com/l4-rbs" in made.one("Service", "addressbook-lb").inputs["metadata"]["annotations"]


def test_ranges_are_apart_and_fit_the_network(graph: Callable[..., Any]):
    made = graph(networkRange="10.80.0.0/16")
    subnetwork, reserved = google(made, "Subnetwork").inputs, google(made, "GlobalAddress").inputs
    ranges = [
        subnetwork["ipCidrRange"],
        *(each["ipCidrRange"] for each in subnetwork["secondaryIpRanges"]),
        f"{reserved['address']}/{int(reserved['prefixLength'])}",
    ]
    networks = [IPv4Network(each) for each in ranges]
    assert all(each.subnet_of(IPv4Network("10.80.0.0/16")) for each in networks)
    assert not any(a.overlaps(b) for a, b in combinations(networks, 2)), ranges


def test_who_reaches_the_api_server(graph: Callable[..., Any]):
    def ranges(**config: Any) -> list[dict[str, str]]:
        return google(graph(**config), "Cluster").inputs["masterAuthorizedNetworksConfig"]["cidrBlocks"]

    assert ranges() == [{"cidrBlock": "0.0.0.0/0"}]
    assert ranges(apiServerAccess=["203.0.113.0/24", "198.51.100.7/32"]) == [
        {"cidrBlock": "203.0.113.0/24"},
        {"cidrBlock": "198.51.100.7/32"},
    ]


def test_nodes_have_an_account_of_their_own_with_the_least_rights(graph: Callable[..., Any]):
    made = graph()
    defaults = google(made, "Cluster").inputs["clusterAutoscaling"]["autoProvisioningDefaults"]
    assert defaults["serviceAccount"] == "nodes@acme-prod-1.iam.gserviceaccount.com"
    role, pull = google(made, "IAMMember"), google(made, "RepositoryIamMember")
    assert role.inputs["project"] == "acme-prod-1"
    assert role.inputs["role"] == "roles/container.defaultNodeServiceAccount"
    assert (pull.inputs["repository"], pull.inputs["role"]) == ("addressbook-test", "roles/artifactregistry.reader")
    assert role.inputs["member"] == pull.inputs["member"] == "serviceAccount:nodes@acme-prod-1.iam.gserviceaccount.com"
    assert {role.urn, pull.urn} <= set(google(made, "Cluster").dependencies)


def test_account_ids_fit_and_stay_apart():
    short_name, long_name = "addressbook-test", "addressbook-a-very-long-stack-name"
    for name in (short_name, long_name):
        assert 6 <= len(account_id(name)) <= 30
    assert account_id(long_name) != account_id(f"{long_name}-2")
    assert account_id(short_name) == account_id(short_name)


def test_production_is_protected_and_a_throw_away_stack_is_not(graph: Callable[..., Any]):
    def protected(made: Any) -> set[str]:
        return {short(each) for each in made.resources if each.options.protect}

    def refusing(made: Any) -> tuple[bool, bool, bool]:
        server = google(made, "DatabaseInstance").inputs
        return (
            google(made, "Cluster").inputs["deletionProtection"],
            server["deletionProtection"],
            server["settings"]["deletionProtectionEnabled"],
        )

    made = graph()
    assert protected(made) == {"Cluster", "Repository", "DatabaseInstance", "Database", "Service"}
    assert refusing(made) == (True, True, True)
    made = graph(deletionProtection=False)
    assert protected(made) == set()
    assert refusing(made) == (False, False, False)


def test_backups_and_the_last_one(graph: Callable[..., Any]):
    settings = google(graph(), "DatabaseInstance").inputs["settings"]
    assert settings["backupConfiguration"]["enabled"] is True
    assert settings["backupConfiguration"]["pointInTimeRecoveryEnabled"] is True
    assert settings["finalBackupConfig"] == {"enabled": True, "retentionDays": 30}
    assert settings["retainBackupsOnDelete"] is True
    kept = google(graph(deletionProtection=False), "DatabaseInstance").inputs["settings"]
    assert kept["finalBackupConfig"]["enabled"] is True, "a production stack that is taken down keeps its data"
    gone = google(graph(deletionProtection=False, finalSnapshot=False), "DatabaseInstance").inputs["settings"]
    assert (gone["finalBackupConfig"], gone["retainBackupsOnDelete"]) == ({"enabled": False}, False)


def test_everything_that_takes_labels_is_labelled(graph: Callable[..., Any]):
    made = graph()
    assert google(made, "Cluster").inputs["resourceLabels"] == LABELS
    assert google(made, "DatabaseInstance").inputs["settings"]["userLabels"] == LABELS
    for kind in ("Repository", "GlobalAddress", "ManagedZone"):
        assert google(made, kind).inputs["labels"] == LABELS, kind
    for kind in ("Network", "Cluster", "Repository", "ManagedZone"):
        assert "stack test" in google(made, kind).inputs["description"], kind


def test_tags_are_for_good_and_nothing_is_cleaned_up(graph: Callable[..., Any]):
    repository = google(graph(), "Repository").inputs
    assert repository["format"] == "DOCKER"
    assert repository["dockerConfig"] == {"immutableTags": True}
    assert repository["vulnerabilityScanningConfig"] == {"enablementConfig": "INHERITED"}
    assert "cleanupPolicies" not in repository, "what an index is made of has no tag, and is pulled all the same"


def test_an_interrupted_up_knows_the_names_that_it_has_begun_with(graph: Callable[..., Any]):
    made = graph()
    endings = {each.urn: each.inputs["keepers"] for each in made.all("RandomId")}
    for kind, keepers in (("Cluster", {"region", "network", "subnetwork"}), ("DatabaseInstance", {"region"})):
        resource = google(made, kind)
        assert resource.inputs["name"] == "addressbook-test-0a1b2c"
        assert len(resource.inputs["name"]) - len("addressbook-test") == 7, "components/gcp/project.py counts on it"
        (ending,) = endings.keys() & set(resource.dependencies)
        assert set(endings[ending]) == keepers, "what is replaced has another name"


def test_workloads_come_after_all_they_need_and_survive_new_credentials(graph: Callable[..., Any]):
    made = graph()
    (provider,) = made.all("kubernetes")
    needed = {
        google(made, kind).urn for kind in ("RouterNat", "IAMMember", "RepositoryIamMember", "Cluster", "Subnetwork")
    }
    assert needed <= all_before(made, provider)
    assert provider.inputs["clusterIdentifier"] == "addressbook-test-id"
    for resource in made.resources:
        if resource.type.startswith("kubernetes:"):
            assert resource.provider.startswith(provider.urn), resource.urn


def test_teardown_takes_the_server_then_the_peering_then_the_network(graph: Callable[..., Any]):
    made = graph()
    server, peering, network = (google(made, kind) for kind in ("DatabaseInstance", "Connection", "Network"))
    assert peering.urn in server.dependencies
    assert google(made, "GlobalAddress").urn in peering.dependencies
    assert network.urn in all_before(made, peering)
    assert peering.inputs["deletionPolicy"] == "REMOVE_PEERING"
    for kind in ("Database", "User"):
        assert google(made, kind).inputs["deletionPolicy"] == "ABANDON", (
            "PostgreSQL would refuse; it goes with the server"
        )


def test_the_kubeconfig_holds_no_credentials(graph: Callable[..., Any]):
    (provider,) = graph().all("kubernetes")
    kubeconfig = json.loads(provider.inputs["kubeconfig"])
    (cluster,), (user,) = kubeconfig["clusters"], kubeconfig["users"]
    assert cluster["cluster"] == {"server": "https://203.0.113.9", "certificate-authority-data": "Y2E="}
    assert user["user"]["exec"]["command"] == "gke-gcloud-auth-plugin"
    assert user["user"]["exec"]["args"] == ["--use_application_default_credentials"]
    assert set(user["user"]) == {"exec"}
    assert ACCESS_TOKEN not in provider.inputs["kubeconfig"]
    assert "kubeconfig" in provider.secret_paths


def test_the_certificate_names_the_host_that_the_service_connects_to(graph: Callable[..., Any]):
    made = graph()
    address = google(made, "DatabaseInstance").inputs["settings"]["ipConfiguration"]
    assert address["sslMode"] == "ENCRYPTED_ONLY"
    assert address["serverCaMode"] == "GOOGLE_MANAGED_CAS_CA", "a server's own authority names no host"
    record, zone = google(made, "RecordSet"), google(made, "ManagedZone")
    assert (record.inputs["name"], record.inputs["type"]) == (f"{HOST}.", "A")
    assert record.inputs["rrdatas"] == ["10.64.32.3"]
    assert zone.inputs["visibility"] == "private"
    assert zone.inputs["privateVisibilityConfig"] == {"networks": [{"networkUrl": "network-id"}]}
    assert record.inputs["name"].endswith(f".{zone.inputs['dnsName']}")
    params = made.one("Secret", "db-params")
    assert secret_data(params, "DB_HOST") == HOST
    assert secret_data(params, "DB_SSL") == "true"
    assert secret_data(params, "DB_CA") == f"{ROOT_CA}\n{REGIONAL_CA}"
    assert secret_data(params, "DB_PORT") == "5432"
    assert secret_data(params, "DB_USER") == "demouser"
    assert secret_data(params, "DB_PASSWORD") == "password of database-user"
    assert record.urn in all_before(made, params), "the name is known before anybody asks for it"


def test_a_server_without_a_private_name_is_an_error():
    public = SimpleNamespace(name="x.sql.goog.", connection_type="PUBLIC", dns_scope="INSTANCE")
    private = SimpleNamespace(name=HOST, connection_type="PRIVATE_SERVICES_ACCESS", dns_scope="INSTANCE")
    assert private_name([public, private]) == f"{HOST}."  # pyright: ignore[reportArgumentType]
    with pytest.raises(pulumi.RunError, match="could not be verified"):
        private_name([public])  # pyright: ignore[reportArgumentType]


def test_the_service_gets_its_rights_from_the_administrator(graph: Callable[..., Any]):
    made = graph()
    rights = made.one("Job", "database-rights")
    assert rights.urn in made.one("Secret", "db-params").dependencies
    login = made.one("Secret", "database-administrator").inputs["stringData"]
    assert (login["PGUSER"], login["PGHOST"]) == ("postgres", HOST)
    assert login["PGPASSWORD"] == google(made, "DatabaseInstance").inputs["rootPassword"]
    assert login["PGPASSWORD"] != google(made, "User").inputs["password"]


def test_secrets_are_marked_wherever_they_go(graph: Callable[..., Any]):
    made = graph()
    secrets = ("password of database-user", "password of database-administrator", ACCESS_TOKEN)
    seen: set[str] = set()
    for resource in made.resources:
        for path, text in leaves(resource.inputs):
            for secret in secrets:
                if secret in text or base64.b64encode(secret.encode()).decode() in text:
                    seen.add(secret)
                    assert any(path.startswith(known) for known in resource.secret_paths), (resource.urn, path)
    assert seen == set(secrets)


def leaves(value: Any, path: str = "") -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [leaf for key, inner in value.items() for leaf in leaves(inner, f"{path}.{key}".lstrip("."))]
    if isinstance(value, list):
        return [leaf for index, inner in enumerate(value) for leaf in leaves(inner, f"{path}[{index}]")]
    return [(path, str(value))]


def test_images_are_pushed_with_a_short_lived_token(graph: Callable[..., Any]):
    image = graph().one("Image").inputs
    assert image["imageName"].startswith("us-central1-docker.pkg.dev/acme-prod-1/addressbook-test/addressbook:src-")
    assert image["registry"] == {
        "server": "us-central1-docker.pkg.dev",
        "username": "oauth2accesstoken",
        "password": ACCESS_TOKEN,
    }


def test_outputs(graph: Callable[..., Any]):
    outputs = graph().outputs
    assert outputs["clusterName"] == "addressbook-test-1a2b3c4"
    assert outputs["clusterEndpoint"] == "https://203.0.113.9"
    assert outputs["registryUrl"] == "us-central1-docker.pkg.dev/acme-prod-1/addressbook-test"
    assert outputs["databaseHost"] == HOST
    assert outputs["databasePassword"] == "password of database-user"
    assert json.loads(outputs["kubeconfig"])["current-context"] == "addressbook-test-1a2b3c4"
    assert outputs["url"] == "http://203.0.113.7"


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
    cloud.computed["docker:index/image:Image"] = lambda _: {"repoDigest": rpc.UNKNOWN}
    cloud.computed[RANDOM_ID] = lambda _: {"hex": rpc.UNKNOWN}
    cloud.computed["random:index/randomPassword:RandomPassword"] = lambda _: {"result": rpc.UNKNOWN}
    asked: list[mocks.MockCallArgs] = []
    cloud.functions[CLIENT_CONFIG] = lambda args: (asked.append(args), {"accessToken": ACCESS_TOKEN})[1]
    made = graph(preview=True)
    assert {resource.urn for resource in made.resources} == known
    assert len(asked) == 1, "the caller's own token is known before anything is made"
    for kind, path in (
        ("Cluster", "network"),
        ("RecordSet", "name"),
        ("DatabaseInstance", "rootPassword"),
    ):
        assert isinstance(google(made, kind).inputs[path], Unknown), kind
    assert isinstance(made.one("kubernetes").inputs["kubeconfig"], Unknown)
    assert isinstance(made.one("Secret", "db-params").inputs["data"], Unknown)
    assert google(made, "DatabaseInstance").inputs["settings"]["tier"] == "db-custom-1-3840"
    assert not made.outputs, "an output of the preview claims to be known"


def test_every_resource_belongs_to_a_component(graph: Callable[..., Any]):
    for resource in graph().resources:
        if resource.custom and not resource.type.endswith(":Namespace"):
            assert "addressbook:" in resource.parent, resource.urn


@pytest.mark.parametrize(("day", "name", "by"), [(1, "Monday", "MO"), (7, "Sunday", "SU")])
def test_the_maintenance_window_is_long_enough_for_gke(day: int, name: str, by: str):
    window = maintenance_window(day, 23)
    opens, closes = (datetime.fromisoformat(str(window[key])) for key in ("start_time", "end_time"))
    assert (f"{opens:%A}", opens.hour) == (name, 23)
    assert window["recurrence"] == f"FREQ=WEEKLY;BYDAY={by}"
    assert 4 * (closes - opens).total_seconds() >= 48 * 3600, "GKE wants 48 hours in any 32 days"


def test_only_googles_sdk_is_imported():
    code = (
        "import sys, components.release, stacks.gcp;"
        "print(*sorted(set(sys.modules) & {'pulumi_digitalocean', 'pulumi_aws', 'pulumi_gcp'}))"
    )
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert shown.stdout.split() == ["pulumi_gcp"]


def test_a_release_stack_takes_up_what_the_platform_hands_over(graph: Callable[..., Any], cloud: Any):
    platform = dict(graph().outputs)
    cloud.functions[READ_OUTPUTS] = lambda args: {"name": args["name"], "outputs": platform, "secretOutputNames": []}
    made = graph(platformStack="prod", namespace="branch-one", kubernetesVersion="")
    assert [each.type for each in made.resources if each.type.startswith("gcp:")] == []
    assert made.all("kubernetes")[0].inputs["kubeconfig"] == platform["kubeconfig"]
    assert made.all("kubernetes")[0].inputs["clusterIdentifier"] == "addressbook-test-id"
    image = made.one("Image").inputs
    assert image["imageName"].startswith("us-central1-docker.pkg.dev/acme-prod-1/addressbook-test/addressbook:")
    assert (image["registry"]["username"], image["registry"]["password"]) == ("oauth2accesstoken", ACCESS_TOKEN)
    assert made.one("Image").secret_paths & {"registry", "registry.password"}
    final = made.one("FinalJob")
    assert final.inputs["kubeconfig"] == platform["kubeconfig"]
    assert final.options.protect, "a release's data is as safe as a platform's"
    assert made.outputs["databaseName"] == "release_branch_one"
    throw_away = graph(platformStack="prod", namespace="branch-one", deletionProtection=False, kubernetesVersion="")
    assert not [each.urn for each in throw_away.resources if each.options.protect]
