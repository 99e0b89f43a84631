"""The simulated Google Cloud's account: what it takes, refuses and keeps."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from lab.layout import Lab
from lab.plugins import zones
from lab.plugins.account import FAULT_VARIABLE, Record
from lab.plugins.engine import Engine
from lab.plugins.gcp import gke_gcloud_auth_plugin, kubernetes, sql
from lab.plugins.gcp.cloud import CLIENT_CONFIG, GoogleCloud
from lab.plugins.gcp.credentials import VARIABLE, write_credentials
from lab.plugins.properties import UNKNOWN, Properties, Secret
from lab.plugins.provider import InitializationFailed, ProviderError, Resource
from lab.plugins.simulated import GOES_ON

KINDS: dict[str, Any] = {kind.__name__: kind for kind in GoogleCloud.kinds}
PROJECT = "acme-prod-1"
NETWORK = f"projects/{PROJECT}/global/networks/ours"


def resource(name: str, id: str = "", preview: bool = False) -> Resource:
    token = f"gcp:{KINDS[name].module}/{name[0].lower()}{name[1:]}:{name}"
    return Resource(urn="urn:test", type=token, name="ours", id=id, preview=preview, random_seed=bytes(range(16)))


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GoogleCloud:
    """The provider over an account in a folder of the test's own, logged in, with all APIs enabled."""
    monkeypatch.setattr(Lab, "state", property(lambda _: tmp_path))
    monkeypatch.setattr(zones, "ANSWER_SECONDS", 0)
    write_credentials(tmp_path / "credentials.json")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "credentials.json"))
    provider = GoogleCloud(Engine())
    provider.configure({"project": PROJECT})
    for api in {kind.api for kind in KINDS.values() if hasattr(kind, "api")}:
        make(provider, "Service", {"service": f"{api}.googleapis.com"})
    return provider


def make(cloud: GoogleCloud, name: str, inputs: Properties) -> Any:
    """Check and create, as the engine does."""
    checked = cloud.check(resource(name), {}, inputs)
    assert list(checked.failures) == []
    return cloud.create(resource(name), checked.inputs)


SUBNETWORK: Properties = {
    "name": "ours",
    "region": "europe-west3",
    "network": NETWORK,
    "ipCidrRange": "10.64.0.0/20",
    "secondaryIpRanges": [
        {"rangeName": "pods", "ipCidrRange": "10.64.128.0/17"},
        {"rangeName": "services", "ipCidrRange": "10.64.16.0/20"},
    ],
}
INSTANCE: Properties = {
    "name": "ours",
    "region": "europe-west3",
    "databaseVersion": "POSTGRES_15",
    "settings": {
        "tier": "db-custom-1-3840",
        "ipConfiguration": {"ipv4Enabled": False, "privateNetwork": NETWORK},
    },
}


@pytest.mark.parametrize(
    ("name", "given", "wrong"),
    [
        ("Network", {"name": "Ours"}, "name"),
        ("Network", {"name": "ours", "colour": "blue"}, "colour"),
        ("Network", {"name": "ours", "routingMode": "WORLD"}, "routingMode"),
        ("Subnetwork", {**SUBNETWORK, "region": "europe-west3-a"}, "region"),
        ("Subnetwork", {**SUBNETWORK, "network": "ours"}, "network"),
        ("Subnetwork", {**SUBNETWORK, "ipCidrRange": "10.64.128.0/20"}, "secondaryIpRanges[0].ipCidrRange"),
        ("Subnetwork", {**SUBNETWORK, "ipCidrRange": "10.64.0.1/20"}, "ipCidrRange"),
        ("Service", {"service": "compute"}, "service"),
        ("IAMMember", {"project": PROJECT, "role": "viewer", "member": "user:a@b.example"}, "role"),
        ("IAMMember", {"project": PROJECT, "role": "roles/viewer", "member": "a@b.example"}, "member"),
        ("Account", {"accountId": "ours"}, "accountId"),
        ("Repository", {"repositoryId": "ours", "location": "europe-west3", "format": "docker"}, "format"),
        (
            "Repository",
            {
                "repositoryId": "ours",
                "location": "europe-west3",
                "format": "DOCKER",
                "cleanupPolicies": [{"id": "a", "action": "DELETE", "mostRecentVersions": {"keepCount": 1}}],
            },
            "cleanupPolicies[0].mostRecentVersions",
        ),
        ("Cluster", {"location": "europe-west3-a", "enableAutopilot": True}, "location"),
        ("Cluster", {"location": "europe-west3"}, "enableAutopilot"),
        ("Cluster", {"location": "europe-west3", "enableAutopilot": True, "name": "a" * 41}, "name"),
        (
            "Cluster",
            {"location": "europe-west3", "enableAutopilot": True, "resourceLabels": {"Team": "a"}},
            "resourceLabels",
        ),
        ("DatabaseInstance", {**INSTANCE, "databaseVersion": "15"}, "databaseVersion"),
        ("DatabaseInstance", {**INSTANCE, "settings": {"tier": "db-custom-1-3840"}}, "settings.ipConfiguration"),
        (
            "DatabaseInstance",
            {**INSTANCE, "settings": {**INSTANCE["settings"], "edition": "ENTERPRISE_PLUS"}},
            "settings.tier",
        ),
        (
            "DatabaseInstance",
            {**INSTANCE, "settings": {**INSTANCE["settings"], "availabilityType": "REGIONAL"}},
            "settings.availabilityType",
        ),
        (
            "DatabaseInstance",
            {
                **INSTANCE,
                "settings": {**INSTANCE["settings"], "backupConfiguration": {"transactionLogRetentionDays": 8}},
            },
            "settings.backupConfiguration.transactionLogRetentionDays",
        ),
        ("ManagedZone", {"name": "ours", "dnsName": "example.com", "visibility": "private"}, "dnsName"),
        ("RecordSet", {"name": "a.example.", "managedZone": "ours", "type": "A", "rrdatas": ["a"]}, "rrdatas[0]"),
    ],
)
def test_wrong_inputs_are_named(cloud: GoogleCloud, name: str, given: Properties, wrong: str):
    assert [each.property for each in cloud.check(resource(name), {}, given).failures] == [wrong]


def test_a_smaller_disk_is_a_new_server_and_a_bigger_one_is_not(cloud: GoogleCloud):
    def sized(gigabytes: int) -> Properties:
        return {**INSTANCE, "settings": {**INSTANCE["settings"], "diskSize": gigabytes}}

    assert cloud.diff(resource("DatabaseInstance", "ours"), sized(20), {}, sized(10)).replace
    assert not cloud.diff(resource("DatabaseInstance", "ours"), sized(20), {}, sized(30)).replace


def test_ids_and_links_have_googles_form(cloud: GoogleCloud):
    network = make(cloud, "Network", {"name": "ours"})
    assert network.id == NETWORK
    assert network.outputs["selfLink"] == f"https://www.googleapis.com/compute/v1/{NETWORK}"
    subnetwork = make(cloud, "Subnetwork", SUBNETWORK)
    assert subnetwork.id == f"projects/{PROJECT}/regions/europe-west3/subnetworks/ours"
    account = make(cloud, "Account", {"accountId": "nodes-of-ours"})
    assert account.outputs["member"] == f"serviceAccount:nodes-of-ours@{PROJECT}.iam.gserviceaccount.com"
    repository = make(cloud, "Repository", {"repositoryId": "ours", "location": "europe-west3", "format": "DOCKER"})
    assert repository.outputs["registryUri"].endswith(f"/{PROJECT}/ours")
    assert isinstance(repository.outputs["pulumiLabels"], Secret)


def test_a_preview_makes_nothing_and_knows_nothing(cloud: GoogleCloud):
    before = cloud.account.records()
    made = cloud.create(resource("Network", preview=True), {"name": "ours"})
    assert made.outputs["selfLink"] is UNKNOWN
    assert cloud.account.records() == before


def test_an_api_must_be_enabled_first(cloud: GoogleCloud):
    cloud.delete(resource("Service", f"{PROJECT}/compute.googleapis.com"), {}, {})
    with pytest.raises(ProviderError, match=r"compute\.googleapis\.com has not been used in project acme-prod-1"):
        make(cloud, "Network", {"name": "ours"})


def test_what_is_idempotent_at_google_is_here(cloud: GoogleCloud):
    for _ in range(2):
        make(cloud, "Service", {"service": "compute.googleapis.com"})
        make(cloud, "IAMMember", {"project": PROJECT, "role": "roles/viewer", "member": "user:a@b.example"})


@pytest.mark.parametrize(
    ("fault", "said", "left"),
    [
        ("quota:Network", "limit is reached", 0),
        ("name-taken:Network", "somebody else has it", 0),
        ("timeout:Network", f"pulumi import gcp:compute/network:Network ours {NETWORK}`", 1),
        ("expired", "credentials have expired", 0),
    ],
)
def test_faults(cloud: GoogleCloud, monkeypatch: pytest.MonkeyPatch, fault: str, said: str, left: int):
    monkeypatch.setenv(FAULT_VARIABLE, fault)
    with pytest.raises(ProviderError, match=re.escape(said)):
        make(cloud, "Network", {"name": "ours"})
    assert len([each for each in cloud.account.records() if each.type == "Network"]) == left


def test_expired_credentials_stop_functions_too(cloud: GoogleCloud, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(FAULT_VARIABLE, "expired")
    with pytest.raises(ProviderError, match="getClientConfig: 401 the credentials have expired"):
        cloud.invoke(CLIENT_CONFIG, {}, preview=False)
    assert gke_gcloud_auth_plugin.main([gke_gcloud_auth_plugin.OPTION]) == 1


def test_a_cluster_that_timed_out_is_in_the_state_and_nothing_else_is(
    cloud: GoogleCloud, monkeypatch: pytest.MonkeyPatch
):
    assert [kind.__name__ for kind in GoogleCloud.kinds if kind.kept_on_timeout] == ["Cluster"]
    monkeypatch.setattr(kubernetes.Cluster, "build", lambda *_: {"endpoint": "10.0.0.1", "masterVersion": "1.34.1"})
    monkeypatch.setenv(FAULT_VARIABLE, "timeout:Cluster")
    inputs: Properties = {"name": "ours", "location": "europe-west3", "enableAutopilot": True}
    with pytest.raises(InitializationFailed, match=GOES_ON) as caught:
        make(cloud, "Cluster", inputs)
    assert "pulumi import" not in str(caught.value)
    assert "endpoint" not in caught.value.outputs, "it is known once the cluster is ready"
    monkeypatch.delenv(FAULT_VARIABLE)
    updated = cloud.update(resource("Cluster", caught.value.id), inputs, caught.value.outputs, inputs)
    assert updated["endpoint"] == "10.0.0.1"


def test_without_credentials_nothing_works(cloud: GoogleCloud, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    real = tmp_path / "real.json"
    real.write_text('{"type": "authorized_user", "refresh_token": "somebody\'s"}')
    for value in ("", "/nowhere", str(real)):
        monkeypatch.setenv(VARIABLE, value)
        with pytest.raises(ProviderError, match="401"):
            make(cloud, "Network", {"name": "ours"})
        with pytest.raises(ProviderError, match="401"):
            cloud.invoke(CLIENT_CONFIG, {}, preview=True)


def test_an_access_token_is_another_one_each_time(cloud: GoogleCloud):
    first, second = (cloud.invoke(CLIENT_CONFIG, {}, preview=True) for _ in range(2))
    assert first["project"] == PROJECT
    assert first["accessToken"] != second["accessToken"]


def test_what_others_need_is_not_deleted(cloud: GoogleCloud):
    make(cloud, "Network", {"name": "ours"})
    subnetwork = make(cloud, "Subnetwork", SUBNETWORK)
    with pytest.raises(ProviderError, match="already being used by Subnetwork ours"):
        cloud.delete(resource("Network", NETWORK), {}, {})
    cloud.delete(resource("Subnetwork", subnetwork.id), {}, {})
    cloud.delete(resource("Network", NETWORK), {}, {})


def test_the_producer_holds_on_to_a_connection(cloud: GoogleCloud):
    make(cloud, "Network", {"name": "ours"})
    reserved: Properties = {
        "name": "services",
        "purpose": "VPC_PEERING",
        "addressType": "INTERNAL",
        "address": "10.64.32.0",
        "prefixLength": 20,
        "network": NETWORK,
    }
    make(cloud, "GlobalAddress", reserved)
    inputs: Properties = {
        "network": NETWORK,
        "service": "servicenetworking.googleapis.com",
        "reservedPeeringRanges": ["services"],
    }
    plain = make(cloud, "Connection", inputs)
    with pytest.raises(ProviderError, match="producer services"):
        cloud.delete(resource("Connection", plain.id), inputs, {})
    abandoned = {**inputs, "deletionPolicy": "ABANDON"}
    cloud.delete(resource("Connection", plain.id), abandoned, {})
    with pytest.raises(ProviderError, match="already being used by Connection"):
        cloud.delete(resource("Network", NETWORK), {}, {})
    cloud.update(resource("Connection", plain.id), inputs, {}, {**inputs, "deletionPolicy": "REMOVE_PEERING"})
    cloud.delete(resource("Connection", plain.id), {**inputs, "deletionPolicy": "REMOVE_PEERING"}, {})
    assert cloud.read(resource("Connection", plain.id), {}, {}) is None


def test_a_protected_cluster_and_server_are_kept(cloud: GoogleCloud):
    protected: Properties = {"name": "ours", "settings": {"deletionProtectionEnabled": True}}
    cloud.account.put(Record("Cluster", "1", {"name": "ours"}, {}, made=True))
    cloud.account.put(Record("DatabaseInstance", "2", {"name": "ours", "settings": {}}, {}, made=True))
    cloud.account.put(Record("DatabaseInstance", "3", {**protected, "deletionProtection": False}, {}, made=True))
    for name, id in (("Cluster", "1"), ("DatabaseInstance", "2"), ("DatabaseInstance", "3")):
        with pytest.raises(ProviderError, match=r"deletion_protection=false|is protected"):
            cloud.delete(resource(name, id), {}, {})


def test_a_server_needs_the_peering_first(cloud: GoogleCloud):
    make(cloud, "Network", {"name": "ours"})
    with pytest.raises(ProviderError, match="at least 1 private services connection"):
        make(cloud, "DatabaseInstance", INSTANCE)


def test_an_import_has_no_password(cloud: GoogleCloud, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sql.DatabaseInstance, "look", lambda *_: {})
    cloud.account.put(Record("DatabaseInstance", "ours", {**INSTANCE, "rootPassword": "secret"}, {}, made=True))
    imported = cloud.read(resource("DatabaseInstance", "ours"), {}, {})
    assert imported is not None
    assert "rootPassword" not in {**imported.inputs, **imported.outputs}
    refreshed = cloud.read(resource("DatabaseInstance", "ours"), {"rootPassword": Secret("known")}, {})
    assert refreshed is not None
    assert refreshed.inputs["rootPassword"] == Secret("known")


def test_a_private_zone_is_in_the_labs_dns(cloud: GoogleCloud):
    zone: Properties = {"name": "ours", "dnsName": "europe-west3.sql-psa.goog.", "visibility": "private"}
    make(cloud, "ManagedZone", zone)
    record: Properties = {"name": "a.europe-west3.sql-psa.goog.", "managedZone": "ours", "type": "A"}
    made = make(cloud, "RecordSet", {**record, "rrdatas": ["10.203.2.1"]})
    file = cloud.account.lab.zones / "europe-west3.sql-psa.goog.zone"
    assert "a.europe-west3.sql-psa.goog. 5 IN A 10.203.2.1\n" in file.read_text()
    before = serial(file)
    cloud.update(resource("RecordSet", made.id), {}, {}, {**record, "rrdatas": ["10.203.2.2"]})
    assert "IN A 10.203.2.2\n" in file.read_text()
    assert serial(file) > before, "else DNS would not look again"
    with pytest.raises(ProviderError, match="holds records still"):
        cloud.delete(resource("ManagedZone", f"projects/{PROJECT}/managedZones/ours"), {}, {})
    cloud.delete(resource("RecordSet", made.id), {}, {})
    assert "10.203.2." not in file.read_text()
    cloud.delete(resource("ManagedZone", f"projects/{PROJECT}/managedZones/ours"), {}, {})
    assert not file.exists()


def serial(file: Path) -> int:
    words = file.read_text().split()
    return int(words[words.index("hostmaster") + 1])
