"""The simulated Google Cloud: what it accepts, refuses and keeps."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from lab.plugins.account import FAULT_VARIABLE, Record
from lab.plugins.gcp import gke_gcloud_auth_plugin, kubernetes, projects, sql
from lab.plugins.gcp.cloud import GoogleCloud
from lab.plugins.gcp.kind import USABLE_FROM
from lab.plugins.properties import Properties, Secret
from lab.plugins.provider import InitializationFailed, ProviderError
from lab.plugins.simulated import NEXT_UP_CONTINUES
from lab.plugins.times import timestamp
from lab.tests.unit.plugins.simulated_accounts import NETWORK, PROJECT, delete, make, network, resource

CLIENT_CONFIG = "gcp:organizations/getClientConfig:getClientConfig"
DAY = timedelta(days=1)
ZONE = f"projects/{PROJECT}/managedZones/ours"
SUBNETWORK: Properties = {
    "name": "ours", "region": "europe-west3", "network": NETWORK, "ipCidrRange": "10.64.0.0/20",
}  # fmt: skip
INSTANCE: Properties = {
    "name": "ours", "region": "europe-west3", "databaseVersion": "POSTGRES_15",
    "settings": {"tier": "db-custom-1-3840", "ipConfiguration": {"ipv4Enabled": False, "privateNetwork": NETWORK}},
}  # fmt: skip


def test_ids_and_links_have_googles_form(gcp: GoogleCloud):
    created = network(gcp)
    assert created.id == NETWORK
    assert created.outputs["selfLink"] == f"https://www.googleapis.com/compute/v1/{NETWORK}"
    assert make(gcp, "Subnetwork", **SUBNETWORK).id == f"projects/{PROJECT}/regions/europe-west3/subnetworks/ours"
    account = make(gcp, "Account", accountId="nodes-of-ours")
    assert account.outputs["member"] == f"serviceAccount:nodes-of-ours@{PROJECT}.iam.gserviceaccount.com"
    repository = make(gcp, "Repository", repositoryId="ours", location="europe-west3", format="DOCKER")
    assert repository.outputs["registryUri"].endswith(f"/{PROJECT}/ours")
    assert isinstance(repository.outputs["pulumiLabels"], Secret)


def test_an_api_must_be_enabled_first(gcp: GoogleCloud):
    delete(gcp, "Service", f"{PROJECT}/compute.googleapis.com")
    with pytest.raises(ProviderError, match=r"compute\.googleapis\.com has not been used in project acme-prod-1"):
        network(gcp)


def test_a_new_api_refuses_requests_for_a_while(gcp: GoogleCloud, monkeypatch: pytest.MonkeyPatch):
    delete(gcp, "Service", f"{PROJECT}/compute.googleapis.com")
    monkeypatch.setattr(projects, "USABLE_AFTER", timedelta(minutes=1))
    make(gcp, "Service", service="compute.googleapis.com")
    with pytest.raises(ProviderError, match=r"compute\.googleapis\.com has not been used.*SERVICE_DISABLED"):
        network(gcp)
    with pytest.raises(ProviderError, match="SERVICE_DISABLED"):
        gcp.invoke("gcp:compute/getRegions:getRegions", {}, preview=True)


def test_enabling_an_api_ends_with_resource_manager(gcp: GoogleCloud, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(FAULT_VARIABLE, "disabled:Service")
    with pytest.raises(ProviderError, match=r"serviceusage\.googleapis\.com has not been used"):
        make(gcp, "Service", service="storage.googleapis.com")
    gcp.account.put(Record("Service", f"{PROJECT}/serviceusage.googleapis.com", {}, {USABLE_FROM: timestamp(-DAY)}))
    delete(gcp, "Service", f"{PROJECT}/cloudresourcemanager.googleapis.com")
    with pytest.raises(ProviderError, match=r"cloudresourcemanager\.googleapis\.com has not been used"):
        make(gcp, "Service", service="storage.googleapis.com")
    make(gcp, "Service", service="cloudresourcemanager.googleapis.com")
    make(gcp, "Service", service="storage.googleapis.com")


def test_apis_and_roles_may_be_granted_twice(gcp: GoogleCloud):
    for _ in range(2):
        make(gcp, "Service", service="compute.googleapis.com")
        make(gcp, "IAMMember", project=PROJECT, role="roles/viewer", member="user:a@b.example")


def test_the_credential_command_refuses_expired_credentials(
    gcp: GoogleCloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    command = [gke_gcloud_auth_plugin.OPTION]
    assert gke_gcloud_auth_plugin.main(command) == 1, "the account has no cluster"
    gcp.account.put(Record("Cluster", "1", {}, {}, ready=True))
    assert gke_gcloud_auth_plugin.main(command) == 0
    assert '"kind": "ExecCredential"' in capsys.readouterr().out
    monkeypatch.setenv(FAULT_VARIABLE, "expired")
    assert gke_gcloud_auth_plugin.main(command) == 1


def test_a_cluster_that_timed_out_is_in_the_state(gcp: GoogleCloud, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(kubernetes.Cluster, "create", lambda *_: {"endpoint": "10.0.0.1", "masterVersion": "1.34.1"})
    monkeypatch.setenv(FAULT_VARIABLE, "timeout:Cluster")
    inputs: Properties = {"name": "ours", "location": "europe-west3", "enableAutopilot": True}
    with pytest.raises(InitializationFailed, match=NEXT_UP_CONTINUES) as caught:
        make(gcp, "Cluster", **inputs)
    assert "endpoint" not in caught.value.outputs, "it is known once the cluster is ready"
    monkeypatch.delenv(FAULT_VARIABLE)
    updated = gcp.update(resource(gcp, "Cluster", caught.value.id), inputs, caught.value.outputs, inputs)
    assert updated["endpoint"] == "10.0.0.1"


def test_each_access_token_is_a_new_one(gcp: GoogleCloud):
    first, second = (gcp.invoke(CLIENT_CONFIG, {}, preview=True) for _ in range(2))
    assert first["project"] == PROJECT
    assert first["accessToken"] != second["accessToken"]


def test_the_identity_pool_comes_with_the_first_cluster(gcp: GoogleCloud):
    role = resource(gcp, "IAMMember")
    role = replace(role, type="gcp:serviceaccount/iAMMember:IAMMember")
    inputs: Properties = {
        "serviceAccountId": f"projects/{PROJECT}/serviceAccounts/pods@{PROJECT}.iam.gserviceaccount.com",
        "role": "roles/iam.workloadIdentityUser",
        "member": f"serviceAccount:{PROJECT}.svc.id.goog[ours/pods]",
    }
    with pytest.raises(ProviderError, match=r"identity pool acme-prod-1\.svc\.id\.goog does not exist"):
        gcp.create(role, inputs)
    gcp.account.put(Record("Cluster", f"projects/{PROJECT}/locations/europe-west3/clusters/ours", {}, {}, ready=True))
    assert gcp.create(role, inputs).id.endswith("[ours/pods]")


def test_what_others_use_is_not_deleted(gcp: GoogleCloud):
    network(gcp)
    subnetwork = make(gcp, "Subnetwork", **SUBNETWORK).id
    router = make(gcp, "Router", name="ours", region="europe-west3", network=NETWORK).id
    nat = {"sourceSubnetworkIpRangesToNat": "ALL_SUBNETWORKS_ALL_IP_RANGES", "region": "europe-west3"}
    gateway = make(gcp, "RouterNat", name="ours", router="ours", **nat).id
    with pytest.raises(ProviderError, match="already being used by Subnetwork ours, Router ours"):
        delete(gcp, "Network", NETWORK)
    with pytest.raises(ProviderError, match="already being used by RouterNat ours"):
        delete(gcp, "Router", router)
    for kind, id in (("RouterNat", gateway), ("Router", router), ("Subnetwork", subnetwork), ("Network", NETWORK)):
        delete(gcp, kind, id)


def test_a_peering_is_only_removed_without_its_producer(gcp: GoogleCloud):
    network(gcp)
    reserved = {"purpose": "VPC_PEERING", "addressType": "INTERNAL", "address": "10.64.32.0", "prefixLength": 20}
    range = make(gcp, "GlobalAddress", name="services", network=NETWORK, **reserved).id
    inputs: Properties = {
        "network": NETWORK, "service": "servicenetworking.googleapis.com", "reservedPeeringRanges": ["services"],
    }  # fmt: skip
    id = make(gcp, "Connection", **inputs).id
    with pytest.raises(ProviderError, match="producer services"):
        delete(gcp, "Connection", id, inputs)
    delete(gcp, "Connection", id, {**inputs, "deletionPolicy": "ABANDON"})
    for kind, used in (("Network", NETWORK), ("GlobalAddress", range)):
        with pytest.raises(ProviderError, match=r"already being used by .*Connection"):
            delete(gcp, kind, used)
    removable = {**inputs, "deletionPolicy": "REMOVE_PEERING"}
    gcp.update(resource(gcp, "Connection", id), inputs, {}, removable)
    delete(gcp, "Connection", id, removable)
    assert gcp.read(resource(gcp, "Connection", id), {}, {}) is None
    with pytest.raises(ProviderError, match="Cannot modify allocated ranges in CreateConnection"):
        make(gcp, "Connection", **removable)
    make(gcp, "Connection", **removable, updateOnCreationFail=True)


@pytest.mark.parametrize(
    ("kind", "inputs", "message"),
    [
        ("Cluster", {}, "deletion_protection=false"),
        ("DatabaseInstance", {"settings": {}}, "deletion_protection=false"),
        (
            "DatabaseInstance",
            {"settings": {"deletionProtectionEnabled": True}, "deletionProtection": False},
            "protected",
        ),
        ("Network", {"deletionPolicy": "PREVENT"}, "deletion policy is PREVENT"),
    ],
)
def test_a_protected_resource_is_kept(gcp: GoogleCloud, kind: str, inputs: Properties, message: str):
    gcp.account.put(Record(kind, "1", {"name": "ours", **inputs}, {}, ready=True))
    with pytest.raises(ProviderError, match=message):
        delete(gcp, kind, "1")


def test_a_database_needs_the_peering_first(gcp: GoogleCloud):
    network(gcp)
    with pytest.raises(ProviderError, match="at least 1 private services connection"):
        make(gcp, "DatabaseInstance", **INSTANCE)


def test_an_import_has_no_password(gcp: GoogleCloud, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sql.DatabaseInstance, "refresh", lambda *_: {})
    gcp.account.put(Record("DatabaseInstance", "ours", {**INSTANCE, "rootPassword": "secret"}, {}, ready=True))
    instance = resource(gcp, "DatabaseInstance", "ours")
    imported = gcp.read(instance, {}, {})
    assert imported is not None and "rootPassword" not in {**imported.inputs, **imported.outputs}
    refreshed = gcp.read(instance, {"rootPassword": Secret("known")}, {})
    assert refreshed is not None and refreshed.inputs["rootPassword"] == Secret("known")


def test_a_network_has_one_private_zone_of_a_name(gcp: GoogleCloud):
    def zone(name: str, origin: str, network: str) -> None:
        networks = {"networks": [{"networkUrl": network}]}
        make(gcp, "ManagedZone", name=name, dnsName=origin, visibility="private", privateVisibilityConfig=networks)

    one, other = (make(gcp, "Network", name=name).id for name in ("one", "other"))
    zone("first", "europe-west3.sql-psa.goog.", one)
    zone("of-a-server", "a.b.europe-west3.sql-psa.goog.", one)
    zone("elsewhere", "europe-west3.sql-psa.goog.", other)
    with pytest.raises(ProviderError, match="409 the name is taken"):
        zone("second", "europe-west3.sql-psa.goog.", one)


def test_a_private_zone_is_in_the_labs_dns(gcp: GoogleCloud):
    make(gcp, "ManagedZone", name="ours", dnsName="europe-west3.sql-psa.goog.", visibility="private")
    record: Properties = {"name": "a.europe-west3.sql-psa.goog.", "managedZone": "ours", "type": "A"}
    id = make(gcp, "RecordSet", **record, rrdatas=["10.203.2.1"]).id
    file = gcp.account.lab.zones / "europe-west3.sql-psa.goog.zone"
    assert "a.europe-west3.sql-psa.goog. 5 IN A 10.203.2.1\n" in file.read_text()
    before = serial(file)
    gcp.update(resource(gcp, "RecordSet", id), {}, {}, {**record, "rrdatas": ["10.203.2.2"]})
    assert "IN A 10.203.2.2\n" in file.read_text()
    assert serial(file) > before, "DNS only reloads a zone whose serial has grown"
    with pytest.raises(ProviderError, match="still contains records"):
        delete(gcp, "ManagedZone", ZONE)
    delete(gcp, "RecordSet", id)
    assert "10.203.2." not in file.read_text()
    delete(gcp, "ManagedZone", ZONE)
    assert not file.exists()


def serial(file: Path) -> int:
    words = file.read_text().split()
    return int(words[words.index("hostmaster") + 1])


def test_a_cluster_is_found_by_name_and_place(gcp: GoogleCloud):
    id = f"projects/{PROJECT}/locations/europe-west3/clusters/ours"
    outputs: Properties = {"endpoint": "10.0.0.1", "masterAuth": {"clusterCaCertificate": "Q0E="}, "masterVersion": "1"}
    inputs: Properties = {"clusterAutoscaling": {"autoProvisioningDefaults": {"serviceAccount": "nodes@ours"}}}
    gcp.account.put(Record("Cluster", id, {**inputs, "network": NETWORK}, outputs, ready=True))
    function = "gcp:container/getCluster:getCluster"
    found = gcp.invoke(function, {"name": "ours", "location": "europe-west3"}, preview=True)
    assert (found["endpoint"], found["network"]) == ("10.0.0.1", NETWORK)
    assert found["nodePools"][0]["nodeConfigs"] == [{"serviceAccount": "nodes@ours"}]
    with pytest.raises(ProviderError, match="locations/europe-west1/clusters/ours not found"):
        gcp.invoke(function, {"name": "ours", "location": "europe-west1"}, preview=True)


def test_a_cluster_has_a_version_on_offer(gcp: GoogleCloud):
    asked: Properties = {"name": "ours", "location": "europe-west3", "enableAutopilot": True}
    with pytest.raises(ProviderError, match=r'Master version "1\.99" is unsupported'):
        make(gcp, "Cluster", **asked, minMasterVersion="1.99")
    offered = gcp.invoke("gcp:container/getEngineVersions:getEngineVersions", {}, preview=True)["validMasterVersions"]
    assert make(gcp, "Cluster", **asked, minMasterVersion="1.34").outputs["masterVersion"] in offered
