"""The simulated DigitalOcean says of its resource types what the SDK says of them."""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from lab.layout import Lab
from lab.plugins.account import FAULT_VARIABLE, Record
from lab.plugins.declared import Property, failures, replacing
from lab.plugins.digitalocean.cloud import FUNCTIONS, DigitalOcean
from lab.plugins.digitalocean.databases import DatabaseFirewall, DatabaseUser
from lab.plugins.digitalocean.kubernetes import KubernetesCluster
from lab.plugins.engine import Engine
from lab.plugins.kind import Kind
from lab.plugins.properties import UNKNOWN, Properties, Secret
from lab.plugins.provider import ProviderError, Resource

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import pulumi_digitalocean as sdk

KINDS = {kind.__name__: kind for kind in DigitalOcean.kinds}
#: The SDK leaves these optional, the provider does not (its schema: `version` is about to be required).
REQUIRED_BY_THE_PROVIDER = {"DatabaseCluster": {"version"}}
#: Outputs that the simulation leaves out: of other engines than PostgreSQL, and a service nobody here asks.
LEFT_OUT = {
    "DatabaseCluster": {
        "metrics_endpoints",
        *(f"ui_{part}" for part in ["database", "host", "password", "port", "uri", "user"]),
    },
    "DatabaseUser": {"access_cert", "access_key"},
}
NETWORK: Properties = {"region": "fra1", "name": "addressbook"}


def snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def parameters(args: Any) -> Mapping[str, inspect.Parameter]:
    return {name: each for name, each in inspect.signature(args.__init__).parameters.items() if name != "__self__"}


@pytest.mark.parametrize("name", KINDS)
def test_inputs_are_those_of_the_sdk(name: str):
    declared, known = KINDS[name].properties, parameters(getattr(sdk, f"{name}Args"))
    assert {snake(each) for each in declared} <= known.keys()
    required = {each for each, parameter in known.items() if parameter.default is inspect.Parameter.empty}
    assert {snake(each) for each, wanted in declared.items() if wanted.required} == required | (
        REQUIRED_BY_THE_PROVIDER.get(name, set())
    )


@pytest.mark.parametrize("name", KINDS)
def test_outputs_are_those_of_the_sdk(name: str):
    outputs = {each for each, value in vars(getattr(sdk, name)).items() if isinstance(value, property)}
    computed, known = ({snake(each) for each in names} for names in (KINDS[name].computed, KINDS[name].properties))
    assert computed <= outputs
    assert outputs - parameters(getattr(sdk, f"{name}Args")).keys() - computed - known == LEFT_OUT.get(name, set())
    line = inspect.getsource(getattr(sdk, name)).partition("additional_secret_outputs=")[2].partition("\n")[0]
    marked = {each for each in re.findall(r'"(\w+)"', line) if snake(each) in computed | known}
    assert marked == KINDS[name].secret


def test_every_type_that_the_program_declares_is_simulated():
    sources = (Path(__file__).resolve().parents[3] / "components" / "digitalocean").glob("*.py")
    used = {
        name
        for source in sources
        for name in (part.partition("(")[0] for part in source.read_text().split("digitalocean.")[1:])
        if name.isidentifier() and name[0].isupper()
    }
    assert used == set(KINDS)


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({"version": "1.34"}, "version"),
        ({"region": "mars1"}, "region"),
        ({"colour": "blue"}, "colour"),
        ({"region": None}, "region"),
        ({"ha": "yes"}, "ha"),
        ({"nodePool": {"name": "base", "size": "s-1vcpu-2gb", "nodes": 1}}, "nodePool.nodes"),
        ({"nodePool": {"name": "base"}}, "nodePool.size"),
        ({"maintenancePolicy": {"day": "someday"}}, "maintenancePolicy.day"),
        ({"tags": ["a", 1]}, "tags[1]"),
    ],
)
def test_wrong_inputs_are_named(given: Properties, wrong: str):
    cluster: Properties = {
        "region": "fra1",
        "version": "1.34.1-do.0",
        "nodePool": {"name": "base", "size": "s-1vcpu-2gb", "nodeCount": 1},
    }
    assert failures(KubernetesCluster.properties, cluster) == []
    assert [each.property for each in failures(KubernetesCluster.properties, {**cluster, **given})] == [wrong]


def test_the_size_of_the_base_pool_replaces_the_cluster_and_its_number_does_not():
    paths = set(replacing(KubernetesCluster.properties))
    assert "nodePool.size" in paths
    assert "nodePool.nodeCount" not in paths


def test_unknown_values_are_taken_in_a_preview():
    assert failures({"name": Property(str, required=True, pattern="[a-z]+")}, {"name": UNKNOWN}) == []
    assert failures({"name": Property(str, pattern="[a-z]+", rule="letters")}, {"name": Secret("1")})


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DigitalOcean:
    """The provider over an account in a folder of the test's own."""
    monkeypatch.setenv("DIGITALOCEAN_ACCESS_TOKEN", "of-a-test")
    monkeypatch.setattr(Lab, "state", property(lambda _: tmp_path))
    return DigitalOcean(Engine())


def resource(kind: type[Kind] | str, id: str = "", preview: bool = False) -> Resource:
    name = kind if isinstance(kind, str) else kind.__name__
    return Resource(
        urn="urn:test",
        type=f"digitalocean:index/{name[0].lower()}{name[1:]}:{name}",
        name="network",
        id=id,
        preview=preview,
        random_seed=bytes(range(16)),
    )


def test_a_resource_lives_in_the_account_until_it_is_deleted(cloud: DigitalOcean):
    made = cloud.create(resource("Vpc"), NETWORK)
    again = DigitalOcean(Engine())
    found = again.read(resource("Vpc", made.id), {}, {})
    assert found is not None
    assert (found.inputs, found.outputs["vpcUrn"]) == (NETWORK, f"do:vpc:{made.id}")
    again.delete(resource("Vpc", made.id), {}, {})
    assert cloud.read(resource("Vpc", made.id), {}, {}) is None


def test_what_is_made_is_not_made_again_and_what_was_interrupted_is_finished(
    cloud: DigitalOcean, monkeypatch: pytest.MonkeyPatch
):
    statements: list[str] = []
    monkeypatch.setattr(DatabaseUser, "sql", lambda _, __, statement: statements.append(statement) or "")
    user: Properties = {"clusterId": "00000000-0000-0000-0000-000000000000", "name": "demouser"}
    made = cloud.create(resource("DatabaseUser"), user)
    cloud.read(resource("DatabaseUser", made.id), {}, {})
    assert len(statements) == 1
    cloud.account.put(Record("DatabaseUser", made.id, user, {}))  # as an engine killed in the midst leaves it
    for _ in range(2):
        found = cloud.read(resource("DatabaseUser", made.id), {}, {})
        assert found is not None
        assert found.outputs["role"] == "normal"
    assert len(statements) == 2


def test_a_preview_makes_nothing_and_knows_nothing(cloud: DigitalOcean):
    made = cloud.create(resource("Vpc", preview=True), NETWORK)
    assert made.id == ""
    assert made.outputs["vpcUrn"] is UNKNOWN
    assert cloud.account.records() == []


def test_a_name_is_given_once(cloud: DigitalOcean):
    first = cloud.create(resource("Vpc"), NETWORK)
    with pytest.raises(ProviderError, match=f"name is taken: the account has one, id {first.id}.*pulumi import"):
        cloud.create(resource("Vpc"), NETWORK)


def test_a_pool_s_name_is_given_once_in_a_cluster(cloud: DigitalOcean):
    clusters = [f"00000000-0000-0000-0000-00000000000{number}" for number in (1, 2)]
    for id in clusters:
        cloud.account.put(Record("KubernetesCluster", id, {}, {}))
    pools = [{"clusterId": id, "name": "workers", "size": "s-2vcpu-2gb", "nodeCount": 3} for id in clusters]
    first, _ = (cloud.create(resource("KubernetesNodePool"), pool) for pool in pools)
    with pytest.raises(ProviderError, match=f"name is taken: the account has one, id {first.id}"):
        cloud.create(resource("KubernetesNodePool"), pools[0])


def test_a_name_is_made_up_where_none_is_given(cloud: DigitalOcean):
    checked = cloud.check(resource("Vpc"), {}, {"region": "fra1"})
    assert checked.inputs["name"] == "network-0001020"
    kept = cloud.check(resource("Vpc"), checked.inputs, {"region": "lon1"})
    assert kept.inputs["name"] == "network-0001020"
    changes = cloud.diff(resource("Vpc", "1"), checked.inputs, {}, kept.inputs)
    assert changes.replace
    assert not changes.delete_before_replace, "the next one can have another name"
    named = cloud.diff(resource("Vpc", "1"), NETWORK, {}, {**NETWORK, "region": "lon1"})
    assert named.delete_before_replace


@pytest.mark.parametrize(
    ("fault", "said", "left"),
    [
        ("quota:Vpc", "limit is reached", 0),
        ("name-taken:Vpc", "somebody else has it", 0),
        ("timeout:Vpc", "pulumi import digitalocean:index/vpc:Vpc network", 1),
        ("expired", "credentials have expired", 0),
    ],
)
def test_faults(cloud: DigitalOcean, monkeypatch: pytest.MonkeyPatch, fault: str, said: str, left: int):
    monkeypatch.setenv(FAULT_VARIABLE, fault)
    with pytest.raises(ProviderError, match=said):
        cloud.create(resource("Vpc"), NETWORK)
    assert len(cloud.account.records()) == left
    monkeypatch.setenv(FAULT_VARIABLE, "quota:DatabaseCluster")
    assert cloud.create(resource("Vpc"), {**NETWORK, "name": "another"}).id


@pytest.mark.parametrize(("function", "argument"), [(name, argument) for name, (argument, _) in FUNCTIONS.items()])
def test_expired_credentials_stop_functions_too(
    cloud: DigitalOcean, monkeypatch: pytest.MonkeyPatch, function: str, argument: str
):
    with pytest.raises(ProviderError, match="404"):
        cloud.invoke(function, {argument: "none"}, preview=False)
    monkeypatch.setenv(FAULT_VARIABLE, "expired")
    with pytest.raises(ProviderError, match="credentials have expired"):
        cloud.invoke(function, {argument: "none"}, preview=False)


def test_what_the_provider_drops_at_a_timeout_is_imported_by_the_id_it_documents(
    cloud: DigitalOcean, monkeypatch: pytest.MonkeyPatch
):
    """None of DigitalOcean's types keeps the id of what it has waited for too long."""
    assert not any(kind.kept_on_timeout for kind in DigitalOcean.kinds)
    monkeypatch.setattr(DatabaseUser, "sql", lambda *_: "")
    monkeypatch.setattr(DatabaseFirewall, "_admit", lambda *_: None)
    monkeypatch.setenv(FAULT_VARIABLE, "timeout")
    cluster = "00000000-0000-0000-0000-000000000000"
    for kind, inputs, wanted in (
        (DatabaseUser, {"name": "demouser"}, f"{cluster},demouser"),
        (DatabaseFirewall, {"rules": []}, cluster),
    ):
        with pytest.raises(ProviderError, match=f"`pulumi import .*:{kind.__name__} network {wanted}`"):
            cloud.create(resource(kind), {"clusterId": cluster, **inputs})
        found = cloud.read(resource(kind, wanted), {}, {})
        assert found is not None
        assert cloud.read(resource(kind, found.id), {}, {}) == found


def test_without_a_token_nothing_works(cloud: DigitalOcean, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("DIGITALOCEAN_ACCESS_TOKEN")
    with pytest.raises(ProviderError, match="401"):
        cloud.create(resource("Vpc"), NETWORK)
    cloud.configure({"token": "given"})
    assert cloud.create(resource("Vpc"), NETWORK).id


def test_what_others_need_is_not_deleted(cloud: DigitalOcean):
    network = cloud.create(resource("Vpc"), NETWORK)
    registry = cloud.create(resource("ContainerRegistry"), {"name": "ours", "subscriptionTierSlug": "basic"})
    assert registry.id == "ours"
    with pytest.raises(ProviderError, match="has a container registry already"):
        cloud.create(resource("ContainerRegistry"), {"name": "more", "subscriptionTierSlug": "basic"})
    cloud.account.put(Record("DatabaseCluster", "1", {"privateNetworkUuid": network.id}, {}))
    with pytest.raises(ProviderError, match="still has members"):
        cloud.delete(resource("Vpc", network.id), {}, {})
