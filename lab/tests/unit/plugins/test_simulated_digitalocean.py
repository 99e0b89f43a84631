"""The simulated DigitalOcean: what it refuses, and what it calls things."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from lab.plugins.account import FAULT_VARIABLE, Record
from lab.plugins.database import InServer
from lab.plugins.digitalocean import doctl
from lab.plugins.digitalocean.cloud import DigitalOcean
from lab.plugins.digitalocean.databases import DatabaseFirewall, windows
from lab.plugins.digitalocean.versions import OFFERED
from lab.plugins.properties import Properties, plain
from lab.plugins.provider import ProviderError
from lab.tests.unit.plugins.simulated_accounts import UUID, delete, make, network, resource

CLUSTER: Properties = {
    "name": "ours",
    "region": "fra1",
    "version": "1.34.1-do.0",
    "nodePool": {"name": "base", "size": "s-1vcpu-2gb", "nodeCount": 1},
}


def test_a_pool_name_is_given_once_in_each_cluster(digitalocean: DigitalOcean):
    clusters = [UUID[:-1] + str(number) for number in (1, 2)]
    for id in clusters:
        digitalocean.account.put(Record("KubernetesCluster", id, {}, {}))
    pool: Properties = {"name": "workers", "size": "s-2vcpu-2gb", "nodeCount": 3}
    first, _ = (make(digitalocean, "KubernetesNodePool", clusterId=id, **pool) for id in clusters)
    with pytest.raises(ProviderError, match=f"name is taken: the account has one, id {first.id}"):
        make(digitalocean, "KubernetesNodePool", clusterId=clusters[0], **pool)


def test_an_unset_default_keeps_its_value_after_a_refresh(digitalocean: DigitalOcean):
    pool = resource(digitalocean, "KubernetesNodePool")
    fixed: Properties = {"clusterId": UUID, "name": "workers", "size": "s-2vcpu-2gb", "nodeCount": 3}
    grows: Properties = {**fixed, "autoScale": True, "minNodes": 3, "maxNodes": 5}
    assert digitalocean.check(pool, {}, fixed).inputs["autoScale"] is False
    assert digitalocean.check(pool, {**grows, "__defaults": []}, fixed).inputs["autoScale"] is False
    assert digitalocean.check(pool, grows, fixed).inputs["autoScale"] is True, "a refresh drops the list of defaults"
    assert digitalocean.check(pool, grows, {**fixed, "autoScale": False}).inputs["autoScale"] is False


@pytest.mark.parametrize(
    ("kind", "inputs", "import_id"),
    [("DatabaseUser", {"name": "demouser"}, f"{UUID},demouser"), ("DatabaseFirewall", {"rules": []}, UUID)],
)
def test_timeout_error_names_the_documented_import_id(
    digitalocean: DigitalOcean, monkeypatch: pytest.MonkeyPatch, kind: str, inputs: Properties, import_id: str
):
    monkeypatch.setattr(InServer, "sql", lambda *_: "")
    monkeypatch.setattr(DatabaseFirewall, "_admit", lambda *_: None)
    monkeypatch.setenv(FAULT_VARIABLE, "timeout")
    with pytest.raises(ProviderError, match=f"`pulumi import .*:{kind} test {import_id}`"):
        make(digitalocean, kind, clusterId=UUID, **inputs)
    found = digitalocean.read(resource(digitalocean, kind, import_id), {}, {})
    assert found is not None
    assert digitalocean.read(resource(digitalocean, kind, found.id), {}, {}) == found


def test_a_configured_token_is_a_login(digitalocean: DigitalOcean, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("DIGITALOCEAN_ACCESS_TOKEN")
    digitalocean.configure({"token": "given"})
    assert network(digitalocean).id


def test_a_network_with_members_is_not_deleted(digitalocean: DigitalOcean):
    vpc = network(digitalocean).id
    digitalocean.account.put(Record("DatabaseCluster", "1", {"privateNetworkUuid": vpc}, {}))
    with pytest.raises(ProviderError, match="still has members: DatabaseCluster 1"):
        delete(digitalocean, "Vpc", vpc)


def test_an_account_has_one_registry(digitalocean: DigitalOcean):
    registry = make(digitalocean, "ContainerRegistry", name="ours", subscriptionTierSlug="basic")
    assert (registry.id, registry.outputs["region"]) == ("ours", "nyc3")
    with pytest.raises(ProviderError, match="has a container registry already"):
        make(digitalocean, "ContainerRegistry", name="more", subscriptionTierSlug="basic")
    for function, argument in (("getDatabaseCa", "clusterId"), ("getContainerRegistry", "name")):
        with pytest.raises(ProviderError, match="404"):
            digitalocean.invoke(f"digitalocean:index/{function}:{function}", {argument: "none"}, preview=False)


def test_an_upgrade_is_answered_at_once_and_done_later(
    digitalocean: DigitalOcean, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    made = make(digitalocean, "KubernetesCluster", **CLUSTER)
    cluster = resource(digitalocean, "KubernetesCluster", made.id)
    wanted = {**CLUSTER, "version": "1.34.5-do.0"}
    outputs = digitalocean.update(cluster, CLUSTER, made.outputs, wanted)
    assert (outputs["version"], outputs["status"]) == ("1.34.1-do.0", "upgrading")
    assert digitalocean.diff(cluster, wanted, outputs, wanted), "until it is done, the next update would send it again"
    with pytest.raises(ProviderError, match="422 the Kubernetes cluster is upgrading already"):
        digitalocean.update(cluster, wanted, outputs, wanted)
    assert asked(capsys, "kubernetes", "cluster", "list")[0]["status"] == {"state": "upgrading"}
    monkeypatch.setattr("lab.plugins.digitalocean.upgrading.has_passed", lambda _: True)
    (row,) = asked(capsys, "kubernetes", "cluster", "list")
    assert (row["version"], row["status"]) == ("1.34.5-do.0", {"state": "running"})
    found = digitalocean.read(cluster, wanted, outputs)
    assert found is not None
    assert (found.inputs["version"], found.outputs["version"]) == ("1.34.5-do.0", "1.34.5-do.0")
    assert not digitalocean.diff(cluster, found.inputs, found.outputs, wanted)


def test_upgrades_go_one_step_at_a_time(digitalocean: DigitalOcean, capsys: pytest.CaptureFixture[str]):
    made = make(digitalocean, "KubernetesCluster", **CLUSTER)
    cluster = resource(digitalocean, "KubernetesCluster", made.id)
    assert asked(capsys, "kubernetes", "cluster", "get-upgrades", made.id) == [{"slug": "1.34.5-do.0"}]
    with pytest.raises(ProviderError, match=r"invalid upgrade from 1\.34\.1-do\.0 to 1\.35\.1-do\.0"):
        digitalocean.update(cluster, CLUSTER, made.outputs, {**CLUSTER, "version": "1.35.1-do.0"})
    with pytest.raises(ProviderError, match="422 invalid version slug"):
        make(digitalocean, "KubernetesCluster", **{**CLUSTER, "name": "another", "version": "1.20.1-do.0"})


def test_the_cloud_upgrades_a_cluster_by_itself(digitalocean: DigitalOcean, monkeypatch: pytest.MonkeyPatch):
    made = make(digitalocean, "KubernetesCluster", **CLUSTER)
    cluster = resource(digitalocean, "KubernetesCluster", made.id)
    monkeypatch.setenv(FAULT_VARIABLE, "upgraded:KubernetesCluster")
    for _ in range(2):
        found = digitalocean.read(cluster, CLUSTER, made.outputs)
        assert found is not None and found.outputs["version"] == "1.34.5-do.0"
    assert digitalocean.diff(cluster, found.inputs, found.outputs, CLUSTER).replace, "a lower version is a new cluster"
    ignoring = resource(digitalocean, "KubernetesCluster", made.id)
    ignoring = replace(ignoring, ignored=["version"])
    assert not digitalocean.diff(ignoring, found.inputs, found.outputs, CLUSTER)


def test_a_default_network_is_not_deleted(
    digitalocean: DigitalOcean, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    assert [row["default"] for row in asked(capsys, "vpcs", "list") if row["region"] == "fra1"] == [True]
    monkeypatch.setenv(FAULT_VARIABLE, "default:Vpc")
    assert asked(capsys, "vpcs", "list") == []
    made = network(digitalocean)
    assert made.outputs["default"] is True
    with pytest.raises(ProviderError, match="403 Can not delete default VPCs"):
        delete(digitalocean, "Vpc", made.id)


def test_the_account_answers_what_the_program_asks_first(
    digitalocean: DigitalOcean, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    assert asked(capsys, "account", "get")["droplet_limit"] == doctl.DROPLET_LIMIT
    assert len(asked(capsys, "kubernetes", "options", "versions")) == len(OFFERED)
    monkeypatch.setenv(FAULT_VARIABLE, "quota:Droplet")
    assert asked(capsys, "account", "get")["droplet_limit"] == doctl.NEW_DROPLET_LIMIT
    monkeypatch.setenv(FAULT_VARIABLE, "retired:KubernetesCluster")
    assert len(asked(capsys, "kubernetes", "options", "versions")) == 1
    assert doctl.main(["registries", "docker-config", "ours", "--output", "json"]) == 1
    make(digitalocean, "ContainerRegistry", name="ours", subscriptionTierSlug="basic")
    assert len(asked(capsys, "registries", "docker-config", "ours", "--read-write")["auths"]) == 1
    assert [row["name"] for row in asked(capsys, "registries", "list")] == ["ours"]


def test_outputs_have_the_official_shapes(digitalocean: DigitalOcean):
    schema = {kind.__name__: kind(digitalocean.account, digitalocean.engine).schema for kind in digitalocean.kinds}
    assert {"uiPassword", "uiUri"} <= schema["DatabaseCluster"].secrets
    assert {"accessCert", "accessKey"} <= schema["DatabaseUser"].secrets
    assert windows({"maintenanceWindows": [{"day": "sunday", "hour": "03:00"}]})[0]["hour"] == "03:00:00"


def asked(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    """Return what doctl answers in JSON."""
    capsys.readouterr()
    assert doctl.main([*arguments, "--output", "json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_record_has_an_address_and_a_name_in_its_domain(digitalocean: DigitalOcean):
    record: Properties = {"domain": "example.com", "type": "A", "value": "203.0.113.7", "ttl": 300}
    assert make(digitalocean, "DnsRecord", name="addressbook", **record).outputs["fqdn"] == "addressbook.example.com"
    assert make(digitalocean, "DnsRecord", name="@", **record).outputs["fqdn"] == "example.com"
    checked = digitalocean.check(resource(digitalocean, "DnsRecord"), {}, {**record, "name": "@", "value": "(pending)"})
    assert "must be an IPv4 address" in checked.failures[0].reason


def test_a_certificate_is_known_by_its_name(digitalocean: DigitalOcean):
    wanted: Properties = {"name": "ours-0a1b2c", "type": "lets_encrypt", "domains": ["addressbook.example.com"]}
    made = make(digitalocean, "Certificate", **wanted)
    assert made.id == "ours-0a1b2c" != made.outputs["uuid"]
    certificate = resource(digitalocean, "Certificate", made.id)
    changed = {**wanted, "domains": ["another.example.com"]}
    assert digitalocean.diff(certificate, wanted, made.outputs, changed).replace


def test_a_cluster_is_found_by_its_name(digitalocean: DigitalOcean):
    made = make(digitalocean, "KubernetesCluster", **CLUSTER)
    function = "digitalocean:index/getKubernetesCluster:getKubernetesCluster"
    found = digitalocean.invoke(function, {"name": "ours", "kubeconfigExpireSeconds": 600}, preview=True)
    assert (found["id"], found["region"]) == (made.id, "fra1")
    assert found["kubeConfigs"] != plain(made.outputs["kubeConfigs"]), "credentials of its own"
    with pytest.raises(ProviderError, match="Unable to find cluster with name: theirs"):
        digitalocean.invoke(function, {"name": "theirs"}, preview=True)
