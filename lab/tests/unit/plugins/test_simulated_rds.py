"""Simulated RDS: what it refuses, whom its servers admit, and how an instance is deleted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab.plugins import addresses
from lab.plugins.account import Record
from lab.plugins.aws import database_access
from lab.plugins.aws.cloud import Aws
from lab.plugins.aws.rds import Instance
from lab.plugins.aws.simulation import SIMULATION
from lab.plugins.properties import Properties
from lab.plugins.provider import Created, ProviderError
from lab.tests.unit.plugins.simulated_accounts import AwsNetwork, delete, make, resource

#: The security group that EKS would create for the nodes of a cluster.
NODES = "sg-0000000000000ffff"
DATABASE: Properties = {
    "identifier": "ours", "engine": "postgres", "engineVersion": "15", "instanceClass": "db.t4g.micro",
    "storageType": "gp3", "allocatedStorage": 20, "username": "postgres", "password": "abcdefgh", "port": 5432,
    "dbSubnetGroupName": "ours", "parameterGroupName": "ours", "skipFinalSnapshot": True,
}  # fmt: skip
WITH_SNAPSHOT = {"skipFinalSnapshot": False, "finalSnapshotIdentifier": "final"}


class PaperServer:
    """A server that only notes what it is told."""

    def __init__(self, guard: str) -> None:
        self.guard = guard
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

    def has_data(self) -> bool:
        return self.runs

    def copy_data(self, target: Path) -> None:
        target.mkdir()
        (target / "statements").write_text("\n".join(self.statements))

    def begin_with(self, data: Path) -> None:
        self.statements = [f"(data of {data.parent.name})"]

    def sql(self, statement: str) -> str:
        self.statements.append(statement)
        return ""

    def admit(self, sources: list[str], tls_only: bool) -> None:
        self.admitted = (sources, tls_only)


@pytest.fixture
def server(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> PaperServer:
    """The server of every instance, in a network with what an instance needs: subnets and parameters `ours`."""
    network = AwsNetwork(aws)
    make(aws, "SubnetGroup", name="ours", subnetIds=network.subnets)
    make(aws, "ParameterGroup", name="ours", family="postgres15")
    vpc = {"clusterSecurityGroupId": NODES, "vpcId": network.vpc}
    aws.account.put(Record("Cluster", "ours", {}, {"vpcConfig": vpc}, ready=True))
    server = PaperServer(make(aws, "SecurityGroup", name="ours", vpcId=network.vpc).id)
    monkeypatch.setattr(database_access, "server", lambda *_: server)
    monkeypatch.setattr(addresses, "take", lambda *_: server.host)
    return server


def instance(aws: Aws, server: PaperServer, **given: Any) -> Created:
    return make(aws, "Instance", **{**DATABASE, "vpcSecurityGroupIds": [server.guard], **given})


def test_security_groups_and_parameters_decide_who_connects(aws: Aws, server: PaperServer):
    instance(aws, server)
    assert "CREATE ROLE \"postgres\" LOGIN CREATEDB CREATEROLE PASSWORD 'abcdefgh'" in server.statements[0]
    assert server.admitted == ([], True), "nobody, until a rule admits somebody"
    port = {"ipProtocol": "tcp", "fromPort": 5432, "toPort": 5432, "securityGroupId": server.guard}
    rule = make(aws, "SecurityGroupIngressRule", referencedSecurityGroupId=NODES, **port)
    assert server.admitted == ([aws.account.lab.pod_range], True)
    make(aws, "SecurityGroupIngressRule", cidrIpv4="0.0.0.0/0", **{**port, "fromPort": 22, "toPort": 22})
    assert server.admitted == ([aws.account.lab.pod_range], True), "another port"
    parameters = {"name": "ours", "family": "postgres15"}
    for value, tls_only in (("0", False), ("1", True)):
        new = {**parameters, "parameters": [{"name": "rds.force_ssl", "value": value}]}
        aws.update(resource(aws, "ParameterGroup", "ours"), parameters, {}, new)
        assert server.admitted[1] is tls_only
    delete(aws, "SecurityGroupIngressRule", rule.id)
    assert server.admitted == ([], True)


def test_what_an_instance_uses_is_not_deleted(aws: Aws, server: PaperServer):
    instance(aws, server)
    for kind, id in (("SubnetGroup", "ours"), ("ParameterGroup", "ours"), ("SecurityGroup", server.guard)):
        with pytest.raises(ProviderError, match=r"still using it|still members|DependencyViolation"):
            delete(aws, kind, id)


def test_deletion_needs_no_protection_and_a_new_snapshot_name(aws: Aws, server: PaperServer):
    id = instance(aws, server, **WITH_SNAPSHOT, deletionProtection=True).id
    with pytest.raises(ProviderError, match="disable deletion protection"):
        delete(aws, "Instance", id)
    (record,) = aws.account.records("Instance")
    aws.update(resource(aws, "Instance", id), record.inputs, {}, {**record.inputs, "deletionProtection": False})
    delete(aws, "Instance", id)
    assert not server.runs
    assert aws.read(resource(aws, "Instance", id), {}, {}) is None
    again = instance(aws, server, **WITH_SNAPSHOT)
    with pytest.raises(ProviderError, match="DBSnapshotAlreadyExists"):
        delete(aws, "Instance", again.id)


@pytest.mark.parametrize("step", ["discard", "publish"])
def test_an_interrupted_deletion_can_be_repeated(
    aws: Aws, server: PaperServer, monkeypatch: pytest.MonkeyPatch, step: str
):
    id = instance(aws, server, **WITH_SNAPSHOT).id
    original = getattr(Instance, step)

    def killed(*given: Any) -> None:
        original(*given)
        raise KeyboardInterrupt

    with monkeypatch.context() as once, pytest.raises(KeyboardInterrupt):
        once.setattr(Instance, step, killed)
        delete(aws, "Instance", id)
    delete(aws, "Instance", id)
    assert aws.read(resource(aws, "Instance", id), {}, {}) is None


def test_an_instance_begins_from_a_snapshot(aws: Aws, server: PaperServer):
    first = instance(aws, server, **WITH_SNAPSHOT, deleteAutomatedBackups=False)
    delete(aws, "Instance", first.id)
    instance(aws, server, identifier="again", snapshotIdentifier="final")
    assert server.statements == ["(data of final)", "ALTER ROLE \"postgres\" PASSWORD 'abcdefgh'"]
    with pytest.raises(ProviderError, match="DBSnapshotNotFound"):
        instance(aws, server, identifier="third", snapshotIdentifier="no-such")


def test_a_point_in_time_needs_an_instance_and_a_backup(aws: Aws, server: PaperServer):
    first = instance(aws, server, **WITH_SNAPSHOT, deleteAutomatedBackups=False)
    latest = {"sourceDbInstanceIdentifier": "ours", "useLatestRestorableTime": True}
    instance(aws, server, identifier="beside", restoreToPointInTime=latest)
    assert server.statements[0] == f"(data of automated_{first.id})"
    early = {"sourceDbiResourceId": first.id, "restoreTime": "2020-01-01T00:00:00Z"}
    with pytest.raises(ProviderError, match="there is no backup"):
        instance(aws, server, identifier="early", restoreToPointInTime=early)
    delete(aws, "Instance", first.id)
    with pytest.raises(ProviderError, match="DBInstanceNotFound"):
        instance(aws, server, identifier="late", restoreToPointInTime=latest)
    kept = {"sourceDbiResourceId": first.id, "useLatestRestorableTime": True}
    instance(aws, server, identifier="kept", restoreToPointInTime=kept)
    assert server.statements[0] in ("(data of final)", f"(data of automated_{first.id})"), "both are its last state"


def test_a_lost_instances_logs_do_not_come_back(aws: Aws, server: PaperServer):
    """What it wrote last is in the groups that still exist when it is lost."""
    instance(aws, server, **WITH_SNAPSHOT, deletionProtection=True, enabledCloudwatchLogsExports=["postgresql"])
    logs = make(aws, "LogGroup", name="/aws/rds/instance/ours/postgresql", retentionInDays=90)
    assert SIMULATION.lose(aws.account).restore == {"snapshot": "final"}
    delete(aws, "LogGroup", logs.id)
    assert aws.account.records("LogGroup") == []


def test_an_upgrade_needs_its_parameters_and_never_goes_back(aws: Aws, server: PaperServer):
    ours = resource(aws, "Instance", instance(aws, server).id)
    (record,) = aws.account.records("Instance")
    for change, message in (
        ({"engineVersion": "16"}, "AllowMajorVersionUpgrade|needs one of family postgres16"),
        ({"engineVersion": "16", "allowMajorVersionUpgrade": True}, "needs one of family postgres16"),
        ({"engineVersion": "16", "parameterGroupName": None}, "AllowMajorVersionUpgrade"),
        ({"engineVersion": "14", "parameterGroupName": None}, "cannot upgrade postgres from 15 to 14"),
        ({"engineVersion": "15.12"}, r"cannot upgrade postgres from 15\.13 to 15\.12"),
        ({"allocatedStorage": 19}, "can't be made smaller"),
    ):
        with pytest.raises(ProviderError, match=message):
            aws.update(ours, record.inputs, {}, {**record.inputs, **change})


def test_rds_own_minor_version_may_be_too_old_for_an_upgrade(aws: Aws, server: PaperServer):
    ours = resource(aws, "Instance", instance(aws, server).id)
    (record,) = aws.account.records("Instance")
    make(aws, "ParameterGroup", name="newer", family="postgres16")
    new = {**record.inputs, "parameterGroupName": "newer", "allowMajorVersionUpgrade": True}
    with pytest.raises(ProviderError, match=r"cannot upgrade postgres from 15\.13 to 16\.8"):
        aws.update(ours, record.inputs, {}, {**new, "engineVersion": "16"})
    asked = {"engine": "postgres", "version": "15.13", "includeAll": True}
    answer = aws.invoke("aws:rds/getEngineVersion:getEngineVersion", asked, False)
    assert answer["validUpgradeTargets"][:3] == ["15.14", "16.9", "16.10"]
    assert aws.update(ours, record.inputs, {}, {**new, "engineVersion": "16.9"})["engineVersionActual"] == "16.9"
    name = {"dbInstanceIdentifier": "ours"}
    assert aws.invoke("aws:rds/getInstance:getInstance", name, False)["engineVersion"] == "16.9"


def test_an_import_finds_the_identifier_but_no_password(aws: Aws, server: PaperServer):
    id = instance(aws, server).id
    found = aws.read(resource(aws, "Instance", "ours"), {}, {})
    assert found is not None and found.id == id
    assert "password" not in found.inputs
