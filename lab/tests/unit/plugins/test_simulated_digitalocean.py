"""The simulated DigitalOcean: what it refuses, and what it calls things."""

from __future__ import annotations

import pytest

from lab.plugins.account import FAULT_VARIABLE, Record
from lab.plugins.database import InServer
from lab.plugins.digitalocean.cloud import DigitalOcean
from lab.plugins.digitalocean.databases import DatabaseFirewall
from lab.plugins.properties import Properties
from lab.plugins.provider import ProviderError
from lab.tests.unit.plugins.simulated_accounts import UUID, delete, make, network, resource


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
