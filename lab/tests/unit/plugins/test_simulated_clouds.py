"""What every simulated cloud does: check inputs, keep an account, and play the faults that a rehearsal injects."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from lab.plugins.account import FAULT_VARIABLE, Record
from lab.plugins.aws.account import KEY_VARIABLES
from lab.plugins.aws.cloud import KINDS as AWS
from lab.plugins.database import DatabaseServer, InServer
from lab.plugins.digitalocean.cloud import KINDS as DIGITALOCEAN
from lab.plugins.engine import Engine
from lab.plugins.gcp.cloud import KINDS as GCP
from lab.plugins.gcp.credentials import VARIABLE
from lab.plugins.kind import ApiError, Kind
from lab.plugins.postgres import Server, ServerUnavailableError
from lab.plugins.properties import UNKNOWN, Properties, Secret
from lab.plugins.provider import InitializationFailed, ProviderError
from lab.plugins.sdk import Input, resource_schema
from lab.plugins.simulated import NEXT_UP_CONTINUES, SimulatedCloud
from lab.tests.unit.plugins.simulated_accounts import NETWORK, NETWORKS, PROJECT, UUID, delete, make, network, resource

COMPONENTS = Path(__file__).resolve().parents[4] / "components"
KINDS = [*AWS, *DIGITALOCEAN, *GCP]
#: The only types whose official provider keeps the id when waiting times out, beside all of AWS's.
KEPT_ON_TIMEOUT = ["Cluster"]

CLUSTER: Properties = {
    "region": "fra1", "version": "1.34.1-do.0", "nodePool": {"name": "base", "size": "s-1vcpu-2gb", "nodeCount": 1},
}  # fmt: skip
SUBNETWORK: Properties = {
    "name": "ours", "region": "europe-west3", "network": NETWORK, "ipCidrRange": "10.64.0.0/20",
    "secondaryIpRanges": [{"rangeName": "pods", "ipCidrRange": "10.64.128.0/17"}],
}  # fmt: skip
SETTINGS: Properties = {
    "tier": "db-custom-1-3840",
    "ipConfiguration": {"ipv4Enabled": False, "privateNetwork": NETWORK},
}
INSTANCE: Properties = {
    "name": "ours", "region": "europe-west3", "databaseVersion": "POSTGRES_15", "settings": SETTINGS,
}  # fmt: skip
REPOSITORY: Properties = {"repositoryId": "ours", "location": "europe-west3", "format": "DOCKER"}
AUTOPILOT: Properties = {"name": "ours", "location": "europe-west3", "enableAutopilot": True}
WINDOW = {"startTime": "2024-01-07T03:00:00Z", "recurrence": "FREQ=WEEKLY;BYDAY=SU"}
DATABASE: Properties = {
    "identifier": "ours", "engine": "postgres", "engineVersion": "15", "instanceClass": "db.t4g.micro",
    "storageType": "gp3", "allocatedStorage": 20, "username": "postgres", "password": "abcdefgh",
    "dbSubnetGroupName": "ours", "skipFinalSnapshot": True, "port": 5432,
}  # fmt: skip
#: Cloud, type, inputs, the valid inputs they change, and the property that a check must name ("" for none).
CASES: list[tuple[str, str, Properties, Properties, str]] = [
    ("digitalocean", "KubernetesCluster", {}, CLUSTER, ""),
    ("digitalocean", "KubernetesCluster", {"version": "1.34"}, CLUSTER, "version"),
    ("digitalocean", "KubernetesCluster", {"region": "mars1"}, CLUSTER, "region"),
    ("digitalocean", "KubernetesCluster", {"region": None}, CLUSTER, "region"),
    ("digitalocean", "KubernetesCluster", {"colour": "blue"}, CLUSTER, "colour"),
    ("digitalocean", "KubernetesCluster", {"ha": "yes"}, CLUSTER, "ha"),
    ("digitalocean", "KubernetesCluster", {"nodePool": {**CLUSTER["nodePool"], "nodes": 1}}, CLUSTER, "nodePool.nodes"),
    ("digitalocean", "KubernetesCluster", {"nodePool": {"name": "base"}}, CLUSTER, "nodePool.size"),
    ("digitalocean", "KubernetesCluster", {"maintenancePolicy": {"day": "never"}}, CLUSTER, "maintenancePolicy.day"),
    ("digitalocean", "KubernetesCluster", {"tags": ["a", 1]}, CLUSTER, "tags[1]"),
    ("digitalocean", "KubernetesCluster", {"tags": ["a b"]}, CLUSTER, "tags"),
    ("aws", "Vpc", {"cidrBlock": "10.0.0.0/8"}, {}, "cidrBlock"),
    ("aws", "Vpc", {"cidrBlock": "10.0.0.1/16"}, {}, "cidrBlock"),
    ("aws", "Vpc", {"cidrBlock": "10.0.0.0/16", "tags": {"aws:x": "1"}}, {}, 'tags["aws:x"]'),
    ("aws", "Eip", {"domain": "standard"}, {}, "domain"),
    ("aws", "NatGateway", {"subnetId": "subnet-00000000000000001"}, {}, "allocationId"),
    ("aws", "RouteTable", {"vpcId": "vpc-00000000000000001", "routes": [{"cidrBlock": "0.0.0.0/0"}]}, {}, "routes[0]"),
    ("aws", "SecurityGroup", {"name": "sg-mine"}, {}, "name"),
    ("aws", "SecurityGroup", {"description": "naïve"}, {}, "description"),
    ("aws", "SecurityGroup", {"ingress": []}, {}, "ingress"),
    ("aws", "SecurityGroupIngressRule", {"ipProtocol": "-1"}, {"securityGroupId": f"sg-{17 * '1'}"}, "cidrIpv4"),
    ("aws", "LaunchTemplate", {"instanceType": "small"}, {}, "instanceType"),
    ("aws", "LaunchTemplate", {"metadataOptions": {"httpTokens": "yes"}}, {}, "metadataOptions.httpTokens"),
    ("aws", "Role", {"assumeRolePolicy": "{"}, {}, "assumeRolePolicy"),
    ("aws", "Role", {"assumeRolePolicy": "{}", "name": "x" * 65}, {}, "name"),
    ("aws", "Key", {"deletionWindowInDays": 3}, {}, "deletionWindowInDays"),
    ("aws", "Alias", {"name": "alias/aws/mine", "targetKeyId": "1"}, {}, "name"),
    ("aws", "LogGroup", {"retentionInDays": 91}, {}, "retentionInDays"),
    ("aws", "Repository", {"name": "Capital"}, {}, "name"),
    ("aws", "Repository", {"imageTagMutability": "ALWAYS"}, {}, "imageTagMutability"),
    ("aws", "LifecyclePolicy", {"repository": "ours", "policy": '{"rules": []}'}, {}, "policy"),
    ("aws", "ParameterGroup", {"parameters": [{"name": "rds.force_ssl", "value": "yes"}]}, {"family": "postgres15"},
     "parameters[0].value"),
    ("aws", "ParameterGroup", {"parameters": [{"name": "max_connections", "value": "9"}]}, {"family": "postgres15"},
     "parameters[0].applyMethod"),
    ("aws", "Instance", {}, DATABASE, ""),
    ("aws", "Instance", {"identifier": "two--dashes"}, DATABASE, "identifier"),
    ("aws", "Instance", {"password": "with space"}, DATABASE, "password"),
    ("aws", "Instance", {"username": "rdsadmin"}, DATABASE, "username"),
    ("aws", "Instance", {"skipFinalSnapshot": False}, DATABASE, "finalSnapshotIdentifier"),
    ("aws", "Instance", {"allocatedStorage": 10}, DATABASE, "allocatedStorage"),
    ("aws", "Instance", {"maxAllocatedStorage": 21}, DATABASE, "maxAllocatedStorage"),
    ("aws", "Instance", {"caCertIdentifier": "rds-ca-2019"}, DATABASE, "caCertIdentifier"),
    ("aws", "Instance", {"enabledCloudwatchLogsExports": ["upgrade", UNKNOWN]}, DATABASE, ""),
    ("aws", "Instance", {"enabledCloudwatchLogsExports": ["audit"]}, DATABASE, "enabledCloudwatchLogsExports[0]"),
    ("aws", "Instance", {"enabledCloudwatchLogsExports": [1]}, DATABASE, "enabledCloudwatchLogsExports[0]"),
    ("aws", "Instance", {"maintenanceWindow": "sun:03:00-sun:03:10"}, DATABASE, "maintenanceWindow"),
    ("aws", "Instance", {"maintenanceWindow": "sun:01:00-sun:02:00", "backupWindow": "01:30-02:30"}, DATABASE,
     "backupWindow"),
    ("aws", "Instance", {"maintenanceWindow": "sun:03:00-sun:03:30", "backupWindow": "01:00-01:30"}, DATABASE, ""),
    ("gcp", "Network", {"name": "Ours"}, {}, "name"),
    ("gcp", "Network", {"name": "ours", "routingMode": "WORLD"}, {}, "routingMode"),
    ("gcp", "Subnetwork", {"network": UNKNOWN}, SUBNETWORK, ""),
    ("gcp", "Subnetwork", {"region": "europe-west3-a"}, SUBNETWORK, "region"),
    ("gcp", "Subnetwork", {"region": None}, SUBNETWORK, "region"),
    ("gcp", "Subnetwork", {"network": "ours"}, SUBNETWORK, "network"),
    ("gcp", "Subnetwork", {"ipCidrRange": "10.64.128.0/20"}, SUBNETWORK, "secondaryIpRanges[0].ipCidrRange"),
    ("gcp", "Subnetwork", {"ipCidrRange": "10.64.0.1/20"}, SUBNETWORK, "ipCidrRange"),
    ("gcp", "Service", {"service": "compute"}, {}, "service"),
    ("gcp", "IAMMember", {"role": "viewer"}, {"project": PROJECT, "member": "user:a@b.example"}, "role"),
    ("gcp", "IAMMember", {"member": "a@b.example"}, {"project": PROJECT, "role": "roles/viewer"}, "member"),
    ("gcp", "Account", {"accountId": "ours"}, {}, "accountId"),
    ("gcp", "Repository", {"format": "docker"}, REPOSITORY, "format"),
    ("gcp", "Repository", {"cleanupPolicies": [{"id": "a", "action": "DELETE", "mostRecentVersions": {}}]}, REPOSITORY,
     "cleanupPolicies[0]"),
    ("gcp", "Repository", {"cleanupPolicies": [{"id": "a", "action": "DELETE", "mostRecentVersions": {"keepCount": 1}}]}
     | REPOSITORY, {}, "cleanupPolicies[0].mostRecentVersions"),
    ("gcp", "Cluster", {"location": "europe-west3-a"}, AUTOPILOT, "location"),
    ("gcp", "Cluster", {"enableAutopilot": False}, AUTOPILOT, "enableAutopilot"),
    ("gcp", "Cluster", {"name": "a" * 41}, AUTOPILOT, "name"),
    ("gcp", "Cluster", {"resourceLabels": {"Team": "a"}}, AUTOPILOT, "resourceLabels"),
    ("gcp", "Cluster", {"maintenancePolicy": {"recurringWindow": {**WINDOW, "endTime": "2024-01-07T15:00:00Z"}}},
     AUTOPILOT, ""),
    ("gcp", "Cluster", {"maintenancePolicy": {"recurringWindow": {**WINDOW, "endTime": "2024-01-07T08:00:00Z"}}},
     AUTOPILOT, "maintenancePolicy.recurringWindow"),
    ("gcp", "Cluster", {"maintenancePolicy": {"recurringWindow": {**WINDOW, "endTime": "2024-01-07T05:00:00Z"}}},
     AUTOPILOT, "maintenancePolicy.recurringWindow.endTime"),
    ("gcp", "DatabaseInstance", {"databaseVersion": "15"}, INSTANCE, "databaseVersion"),
    ("gcp", "DatabaseInstance", {"settings": {"tier": "db-custom-1-3840"}}, INSTANCE, "settings.ipConfiguration"),
    ("gcp", "DatabaseInstance", {"settings": {**SETTINGS, "edition": "ENTERPRISE_PLUS"}}, INSTANCE, "settings.tier"),
    ("gcp", "DatabaseInstance", {"settings": {**SETTINGS, "availabilityType": "REGIONAL"}}, INSTANCE,
     "settings.availabilityType"),
    ("gcp", "DatabaseInstance", {"settings": {**SETTINGS, "backupConfiguration": {"transactionLogRetentionDays": 8}}},
     INSTANCE, "settings.backupConfiguration.transactionLogRetentionDays"),
    ("gcp", "ManagedZone", {"name": "ours", "dnsName": "example.com", "visibility": "private"}, {}, "dnsName"),
    ("gcp", "RecordSet", {"rrdatas": ["a"]}, {"name": "a.example.", "managedZone": "ours", "type": "A"}, "rrdatas[0]"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "kind", "given", "valid", "wrong"), CASES)
def test_check_names_the_wrong_input(
    request: pytest.FixtureRequest, name: str, kind: str, given: Properties, valid: Properties, wrong: str
):
    cloud: SimulatedCloud = request.getfixturevalue(name)
    found = cloud.check(resource(cloud, kind), {}, {**valid, **given}).failures
    assert [each.property for each in found] == ([wrong] if wrong else [])


def test_a_secret_is_checked_and_never_shown_to_others(digitalocean: SimulatedCloud):
    (wrong,) = digitalocean.check(resource(digitalocean, "Vpc"), {}, {"region": Secret("mars1")}).failures
    assert wrong.property == "region"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind.package}.{kind.__name__}")
def test_overlay_names_only_inputs_of_the_sdk(kind: type[Kind]):
    """A misspelt path would silently check, replace or refuse nothing."""
    schema = resource_schema(kind.package, kind.module, kind.__name__)
    paths = [*kind.rules, *kind.replaces, *kind.required, *kind.not_simulated, *kind.references]
    assert [path for path in paths if not declared(schema.inputs, path)] == []
    assert {*kind.defaults, *kind.filled_in} <= schema.outputs
    for other, path in {**kind.used_by, **kind.deleted_with}.items():
        (user,) = [each for each in KINDS if (each.package, each.__name__) == (kind.package, other)]
        assert declared(resource_schema(user.package, user.module, other).inputs, path), (other, path)


def declared(inputs: Any, path: str) -> bool:
    name, _, rest = path.partition(".")
    found: Input | None = inputs.get(name)
    if found is None:
        return False
    type = found.type.element or found.type
    return not rest or (type.fields is not None and declared(type.fields, rest))


def test_every_type_that_the_program_creates_is_simulated(cloud: SimulatedCloud):
    text = "".join(file.read_text() for file in (COMPONENTS / cloud.name).glob("*.py"))
    used = re.findall(rf"\b{cloud.name}\.(?:[a-z0-9]+\.)?([A-Z]\w+)(?<!Args)\(", text)
    assert set(used) == {kind.__name__ for kind in cloud.kinds}
    functions = set(re.findall(rf"\b{cloud.name}\.(?:[a-z0-9]+\.)?get_(\w+?)(?:_output)?\(", text))
    functions |= set(re.findall(rf'"{cloud.name}:\w+/get(\w+):get', text))
    simulated = {each.rpartition(":")[2].removeprefix("get") for each in cloud.functions}
    assert {name.replace("_", "").lower() for name in functions} == {name.lower() for name in simulated}


def test_a_preview_creates_nothing_and_leaves_outputs_unknown(cloud: SimulatedCloud):
    before = cloud.account.records()
    kind, inputs = NETWORKS[cloud.name]
    created = cloud.create(resource(cloud, kind, preview=True), inputs)
    assert (created.id, inputs.items() <= created.outputs.items()) == ("", True)
    unknown = {"aws": "arn", "digitalocean": "vpcUrn", "gcp": "selfLink"}[cloud.name]
    assert created.outputs[unknown] is UNKNOWN
    assert cloud.account.records() == before


def test_a_resource_stays_until_it_is_deleted(cloud: SimulatedCloud):
    created, kind = network(cloud), NETWORKS[cloud.name][0]
    later = type(cloud)(Engine())
    later.configure(cloud.configuration)
    found = later.read(resource(cloud, kind, created.id), {}, {})
    assert found is not None and found.outputs == created.outputs
    delete(later, kind, created.id)
    assert cloud.read(resource(cloud, kind, created.id), {}, {}) is None


@pytest.mark.parametrize(
    ("fault", "message", "left"),
    [
        ("quota:{}", "limit is reached", 0),
        ("timeout:Another,quota:{}", "limit is reached", 0),
        ("name-taken:{}", "it belongs to another account", 0),
        ("timeout:{}", "it exists in the account all the same", 1),
        ("expired", "credentials have expired", 0),
    ],
)
def test_injected_faults(cloud: SimulatedCloud, monkeypatch: pytest.MonkeyPatch, fault: str, message: str, left: int):
    kind, _ = NETWORKS[cloud.name]
    monkeypatch.setenv(FAULT_VARIABLE, fault.format(kind))
    with pytest.raises(ProviderError, match=message):
        network(cloud)
    assert len(cloud.account.records(kind)) == left
    monkeypatch.setenv(FAULT_VARIABLE, "quota:Another")
    assert network(cloud, **({} if cloud.name == "aws" else {"name": "another"})).id


def test_a_deletion_can_fail(cloud: SimulatedCloud, monkeypatch: pytest.MonkeyPatch):
    kind, _ = NETWORKS[cloud.name]
    created = network(cloud)
    monkeypatch.setenv(FAULT_VARIABLE, f"undeletable:{kind}")
    with pytest.raises(ProviderError, match="no answer from a site that the deletion needs"):
        delete(cloud, kind, created.id)
    monkeypatch.delenv(FAULT_VARIABLE)
    delete(cloud, kind, created.id)
    assert not cloud.account.records(kind)


def test_official_providers_that_keep_an_id_on_timeout():
    assert all(kind.kept_on_timeout for kind in AWS)
    assert [kind.__name__ for kind in (*DIGITALOCEAN, *GCP) if kind.kept_on_timeout] == KEPT_ON_TIMEOUT


def test_next_up_continues_after_a_timeout(aws: SimulatedCloud, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(FAULT_VARIABLE, "timeout:Vpc")
    with pytest.raises(InitializationFailed, match=NEXT_UP_CONTINUES) as caught:
        network(aws)
    assert "pulumi import" not in str(caught.value)
    state = caught.value.outputs
    assert (state["cidrBlock"], "arn" in state) == ("10.64.0.0/16", False)
    monkeypatch.delenv(FAULT_VARIABLE)
    (record,) = aws.account.records()
    updated = aws.update(resource(aws, "Vpc", caught.value.id), record.inputs, state, record.inputs)
    assert updated["arn"] == record.outputs["arn"]


@pytest.mark.parametrize("cloud", ["digitalocean", "gcp"], indirect=True)
def test_a_lost_id_can_be_imported_after_a_timeout(cloud: SimulatedCloud, monkeypatch: pytest.MonkeyPatch):
    kind, _ = NETWORKS[cloud.name]
    monkeypatch.setenv(FAULT_VARIABLE, f"timeout:{kind}")
    with pytest.raises(ProviderError) as caught:
        network(cloud)
    command = re.search(r"`pulumi import (\S+) test (\S+)`", str(caught.value))
    assert command is not None
    assert (command[1], command[2]) == (resource(cloud, kind).type, cloud.account.records(kind)[0].id)


def test_a_name_is_given_once(cloud: SimulatedCloud):
    if cloud.name == "aws":
        created, again = make(cloud, "LogGroup", name="ours"), lambda: make(cloud, "LogGroup", name="ours")
    else:
        created, again = network(cloud), lambda: network(cloud)
    with pytest.raises(ProviderError, match=f"name is taken: the account has one, id {created.id}.*pulumi import"):
        again()


def test_an_unset_name_is_generated_and_kept(digitalocean: SimulatedCloud):
    vpc = resource(digitalocean, "Vpc", "1")
    first = digitalocean.check(vpc, {}, {"region": "fra1"}).inputs
    later = digitalocean.check(vpc, first, {"region": "lon1"}).inputs
    assert (first["name"], later["name"]) == ("test-0000000", "test-0000000")
    changes = digitalocean.diff(vpc, first, {}, later)
    assert changes.replace and not changes.delete_before_replace, "the replacement can have another name"
    named = {"region": "fra1", "name": "ours"}
    assert digitalocean.diff(vpc, named, {}, {**named, "region": "lon1"}).delete_before_replace
    renamed = {"region": "lon1", "name": "another"}
    assert digitalocean.diff(vpc, named, {}, renamed).delete_before_replace, "the bridge only asks who named it"


@pytest.mark.parametrize(
    ("name", "kind", "old", "new", "replaces"),
    [
        ("digitalocean", "KubernetesCluster", {"nodePool": {"size": "a"}}, {"nodePool": {"size": "b"}}, True),
        ("digitalocean", "KubernetesCluster", {"nodePool": {"nodeCount": 1}}, {"nodePool": {"nodeCount": 2}}, False),
        ("digitalocean", "KubernetesCluster", {"version": "1.35.1-do.0"}, {"version": "1.34.9-do.0"}, True),
        ("digitalocean", "KubernetesCluster", {"version": "1.34.1-do.0"}, {"version": "1.35.1-do.0"}, False),
        ("gcp", "Cluster", {"network": "a"}, {"network": "b"}, True),
        ("gcp", "Cluster", {"minMasterVersion": "1.34"}, {"minMasterVersion": "1.35"}, False),
        ("gcp", "DatabaseInstance", INSTANCE, {**INSTANCE, "databaseVersion": "POSTGRES_16"}, False),
        ("gcp", "DatabaseInstance", INSTANCE, {**INSTANCE, "settings": {**SETTINGS, "diskType": "PD_HDD"}}, False),
        ("gcp", "Network", {"name": "a"}, {"name": "a", "deleteDefaultRoutesOnCreate": True}, False),
        ("gcp", "Subnetwork", SUBNETWORK, {**SUBNETWORK, "ipCidrRange": "10.64.0.0/19"}, False),
        ("gcp", "Subnetwork", SUBNETWORK, {**SUBNETWORK, "ipCidrRange": "10.64.0.0/21"}, True),
        ("gcp", "Cluster", {"ipAllocationPolicy": {"stackType": "IPV4"}}, {}, True),
        ("gcp", "IAMMember", {"condition": {"title": "a"}}, {"condition": {"title": "b"}}, True),
        ("gcp", "RepositoryIamMember", {"condition": {"title": "a"}}, {"condition": {"title": "b"}}, True),
        ("gcp", "DatabaseInstance", {"settings": {"diskSize": 20}}, {"settings": {"diskSize": 10}}, True),
        ("gcp", "DatabaseInstance", {"settings": {"diskSize": 20}}, {"settings": {"diskSize": 30}}, False),
        ("gcp", "Repository", REPOSITORY, {**REPOSITORY, "format": "NPM"}, True),
        ("gcp", "Repository", REPOSITORY, {**REPOSITORY, "labels": {"a": "b"}}, False),
        ("aws", "Cluster", {"encryptionConfig": {"resources": []}}, {}, True),
        ("aws", "Instance", {"port": 5432}, {"port": 5433}, False),
        ("aws", "Instance", {"storageEncrypted": False}, {"storageEncrypted": True}, True),
    ],
)
def test_which_changes_replace(
    request: pytest.FixtureRequest, name: str, kind: str, old: Properties, new: Properties, replaces: bool
):
    cloud: SimulatedCloud = request.getfixturevalue(name)
    changes = cloud.diff(resource(cloud, kind, "1"), old, {}, new)
    assert changes and bool(changes.replace) is replaces


def test_expired_credentials_stop_functions_too(cloud: SimulatedCloud, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(FAULT_VARIABLE, "expired")
    for function in cloud.functions:
        with pytest.raises(ProviderError, match="credentials have expired"):
            cloud.invoke(function, {}, preview=False)


@pytest.mark.parametrize(
    ("name", "variables", "message"),
    [
        ("aws", {KEY_VARIABLES[1]: ""}, "403 Unable to locate credentials"),
        ("digitalocean", {"DIGITALOCEAN_ACCESS_TOKEN": "", "DIGITALOCEAN_TOKEN": ""}, "401 there is no API token"),
        ("gcp", {VARIABLE: ""}, "401 there are no application default credentials"),
        ("gcp", {VARIABLE: "/nowhere"}, "401 there are no application default credentials"),
        ("gcp", {VARIABLE: __file__}, "401 there are no application default credentials"),
    ],
)
def test_without_credentials_nothing_works(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    variables: dict[str, str],
    message: str,
):
    cloud: SimulatedCloud = request.getfixturevalue(name)
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    with pytest.raises(ProviderError, match=message):
        network(cloud)
    with pytest.raises(ProviderError, match=message):
        cloud.invoke(next(iter(cloud.functions)), {}, preview=True)


def test_functions_check_their_arguments(cloud: SimulatedCloud):
    with pytest.raises(ProviderError, match="it has no argument colour"):
        cloud.invoke(next(iter(cloud.functions)), {"colour": "blue"}, preview=False)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if issubclass(kind, (DatabaseServer, InServer))])
def test_an_unavailable_server_is_an_error_of_the_api(
    kind: type[Kind], state: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
):
    def start(_: Server) -> None:
        raise ServerUnavailableError("PostgreSQL did not start: no space")

    monkeypatch.setattr(Server, "start", start)
    cloud: SimulatedCloud = request.getfixturevalue(kind.package.removeprefix("pulumi_"))
    found = kind(cloud.account, Engine())
    with pytest.raises(ApiError) as refused:
        if isinstance(found, InServer):
            cloud.account.put(Record(found.server_type.__name__, "ours", {}, {}))
            found.delete(Record(found.type, "demo", {found.server_input: "ours", "name": "demo"}, {}))
        else:
            found.refresh(Record(found.type, "ours", {}, {}))
    assert str(refused.value) == f"{kind.failure} PostgreSQL did not start: no space"  # pyright: ignore


def test_only_interrupted_creates_are_repeated(digitalocean: SimulatedCloud, monkeypatch: pytest.MonkeyPatch):
    statements: list[str] = []
    monkeypatch.setattr(InServer, "sql", lambda _, __, statement: statements.append(statement) or "")
    user: Properties = {"clusterId": UUID, "name": "demouser"}
    created = make(digitalocean, "DatabaseUser", **user)
    digitalocean.read(resource(digitalocean, "DatabaseUser", created.id), {}, {})
    assert len(statements) == 1
    digitalocean.account.put(Record("DatabaseUser", created.id, user, {}))  # what a killed engine leaves
    for _ in range(2):
        found = digitalocean.read(resource(digitalocean, "DatabaseUser", created.id), {}, {})
        assert found is not None and found.outputs["role"] == "normal"
    assert len(statements) == 2
