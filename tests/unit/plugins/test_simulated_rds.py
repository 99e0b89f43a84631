"""Simulated RDS: what it refuses, whom its servers let in, and how an instance goes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lab.plugins import addresses, zones
from lab.plugins.account import Record
from lab.plugins.aws import doors, rds, snapshots
from lab.plugins.aws.cloud import Aws
from lab.plugins.aws.rds import Instance
from lab.plugins.declared import failures
from lab.plugins.properties import UNKNOWN, Properties
from lab.plugins.provider import ProviderError
from tests.unit.plugins.aws_account import Network, make, resource, wrong

#: The security group that EKS would make for the nodes of a cluster.
NODES = "sg-0000000000000ffff"
DATABASE: Properties = {
    "identifier": "ours", "engine": "postgres", "engineVersion": "15", "instanceClass": "db.t4g.micro",
    "storageType": "gp3", "allocatedStorage": 20, "username": "postgres", "password": "abcdefgh",
    "dbSubnetGroupName": "ours", "skipFinalSnapshot": True, "port": 5432,
}  # fmt: skip


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({}, []),
        ({"identifier": "two--dashes"}, ["identifier"]),
        ({"password": "with space"}, ["password"]),
        ({"username": "rdsadmin"}, ["username"]),
        ({"skipFinalSnapshot": False}, ["finalSnapshotIdentifier"]),
        ({"allocatedStorage": 10}, ["allocatedStorage"]),
        ({"maxAllocatedStorage": 21}, ["maxAllocatedStorage"]),
        ({"caCertIdentifier": "rds-ca-2019"}, ["caCertIdentifier"]),
        ({"enabledCloudwatchLogsExports": ["audit"]}, ["enabledCloudwatchLogsExports[0]"]),
        ({"maintenanceWindow": "sun:03:00-sun:03:10"}, ["maintenanceWindow"]),
        ({"maintenanceWindow": "sun:01:00-sun:02:00", "backupWindow": "01:30-02:30"}, ["backupWindow"]),
        ({"maintenanceWindow": "sun:03:00-sun:03:30", "backupWindow": "01:00-01:30"}, []),
    ],
)
def test_wrong_databases_are_named(aws: Aws, given: Properties, found: list[str]):
    assert wrong(aws, "Instance", **{**DATABASE, **given}) == found


class PaperServer:
    """A server that only notes whom it lets in; ``inputs`` are those of an instance that can be made."""

    def __init__(self, inputs: Properties) -> None:
        self.inputs = inputs
        self.host, self.port, self.version, self.runs = "10.99.2.1", 5432, "15", False
        self.admitted: tuple[list[str], bool] = ([], True)
        self.statements: list[str] = []

    def create(self) -> None:
        self.runs = True

    def destroy(self) -> None:
        self.runs = False

    def start(self) -> None:
        self.runs = True

    def running(self) -> bool:
        return self.runs

    def sql(self, statement: str) -> str:
        self.statements.append(statement)
        return ""

    def admit(self, sources: list[str], tls_only: bool) -> None:
        self.admitted = (sources, tls_only)


@pytest.fixture
def database(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> PaperServer:
    """The server of database instances, in a network with what they need: subnets and parameters `ours`."""
    network = Network(aws)
    make(aws, "SubnetGroup", name="ours", subnetIds=network.subnets)
    guard = make(aws, "SecurityGroup", name="ours", vpcId=network.vpc)
    make(aws, "ParameterGroup", name="ours", family="postgres15")
    vpc = {"clusterSecurityGroupId": NODES, "vpcId": network.vpc}
    aws.account.put(Record("Cluster", "ours", {}, {"vpcConfig": vpc}, made=True))
    server = PaperServer({**DATABASE, "vpcSecurityGroupIds": [guard.id]})
    monkeypatch.setattr(doors, "server", lambda *_: server)
    monkeypatch.setattr(addresses, "take", lambda *_: server.host)
    for name in ("put", "remove"):
        monkeypatch.setattr(zones, name, lambda *_: None)
    return server


def test_the_doors_of_a_database_are_what_its_groups_say(aws: Aws, database: PaperServer):
    make(aws, "Instance", **database.inputs, parameterGroupName="ours")
    assert "CREATE ROLE \"postgres\" LOGIN CREATEDB CREATEROLE PASSWORD 'abcdefgh'" in database.statements[0]
    assert database.admitted == ([], True), "nobody, until a rule says otherwise"
    (guard,) = database.inputs["vpcSecurityGroupIds"]
    port = {"ipProtocol": "tcp", "fromPort": 5432, "toPort": 5432}
    rule = make(aws, "SecurityGroupIngressRule", securityGroupId=guard, referencedSecurityGroupId=NODES, **port)
    assert database.admitted == ([aws.account.lab.pod_range], True)
    other = {**port, "fromPort": 22, "toPort": 22}
    make(aws, "SecurityGroupIngressRule", securityGroupId=guard, cidrIpv4="0.0.0.0/0", **other)
    assert database.admitted == ([aws.account.lab.pod_range], True), "another port"
    parameters = {"name": "ours", "family": "postgres15"}
    for value, tls_only in (("0", False), ("1", True)):
        new = {**parameters, "parameters": [{"name": "rds.force_ssl", "value": value}]}
        aws.update(resource(aws, "ParameterGroup", "ours"), parameters, {}, new)
        assert database.admitted[1] is tls_only
    aws.delete(resource(aws, "SecurityGroupIngressRule", rule.id), {}, {})
    assert database.admitted == ([], True)


def test_a_database_goes_only_unprotected_and_leaves_a_snapshot_of_a_new_name(aws: Aws, database: PaperServer):
    kept = {**database.inputs, "skipFinalSnapshot": False, "finalSnapshotIdentifier": "the-last"}
    made = make(aws, "Instance", **kept, deletionProtection=True)
    instance = resource(aws, "Instance", made.id)
    with pytest.raises(ProviderError, match="disable deletion protection"):
        aws.delete(instance, {}, {})
    (record,) = [each for each in aws.account.records() if each.type == "Instance"]
    free = {**record.inputs, "deletionProtection": False}
    aws.update(instance, record.inputs, {}, free)
    aws.delete(instance, {}, {})
    assert not database.runs
    assert aws.read(instance, {}, {}) is None
    again = make(aws, "Instance", **kept)
    with pytest.raises(ProviderError, match="DBSnapshotAlreadyExists"):
        aws.delete(resource(aws, "Instance", again.id), {}, {})


@pytest.mark.parametrize("interrupted", [doors.remove, snapshots.take_snapshot])
def test_an_interrupted_deletion_can_be_repeated(
    aws: Aws, database: PaperServer, monkeypatch: pytest.MonkeyPatch, interrupted: Callable[..., None]
):
    kept = {**database.inputs, "skipFinalSnapshot": False, "finalSnapshotIdentifier": "the-last"}
    instance = resource(aws, "Instance", make(aws, "Instance", **kept).id)

    def killed(*given: Any) -> None:
        interrupted(*given)
        raise KeyboardInterrupt

    with monkeypatch.context() as once, pytest.raises(KeyboardInterrupt):
        once.setattr(doors if interrupted is doors.remove else rds, interrupted.__name__, killed)
        aws.delete(instance, {}, {})
    aws.delete(instance, {}, {})
    assert aws.read(instance, {}, {}) is None


def test_a_database_is_upgraded_with_its_parameters_and_never_back(aws: Aws, database: PaperServer):
    made = make(aws, "Instance", **database.inputs, parameterGroupName="ours")
    instance = resource(aws, "Instance", made.id)
    (record,) = [each for each in aws.account.records() if each.type == "Instance"]
    for change, said in (
        ({"engineVersion": "16"}, "AllowMajorVersionUpgrade"),
        ({"engineVersion": "16", "allowMajorVersionUpgrade": True}, "needs one of family postgres16"),
        ({"engineVersion": "14"}, "cannot upgrade postgres from 15 to 14"),
        ({"allocatedStorage": 19}, "can't be made smaller"),
    ):
        with pytest.raises(ProviderError, match=said):
            aws.update(instance, record.inputs, {}, {**record.inputs, **change})
    found = aws.read(resource(aws, "Instance", "ours"), {}, {})
    assert found is not None and found.id == made.id, "it is imported by its identifier"
    assert "password" not in found.inputs, "which nobody can read again"


def test_elements_of_lists_are_checked():
    logs = {"enabledCloudwatchLogsExports": Instance.properties["enabledCloudwatchLogsExports"]}
    assert failures(logs, {"enabledCloudwatchLogsExports": ["upgrade", UNKNOWN]}) == []
    assert failures(logs, {"enabledCloudwatchLogsExports": ["upgrade", 1]})
