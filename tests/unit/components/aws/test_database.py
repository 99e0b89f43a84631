"""RDS for PostgreSQL: who reaches it, how it is encrypted, and what outlives it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from tests.unit.components.aws.simulated import AUTHORITY
from tests.unit.components.graphs import secret_data


def test_the_database_is_reached_by_the_nodes_only_and_over_tls(graph: Callable[..., Any]):
    stack = graph()
    database = stack.one("Instance").inputs
    assert (database["engine"], database["engineVersion"], database["instanceClass"]) == (
        "postgres",
        "15",
        "db.t4g.micro",
    )
    assert database["publiclyAccessible"] is False
    assert stack.one("SubnetGroup").inputs["subnetIds"] == ["private-1-id", "private-2-id"]
    assert database["vpcSecurityGroupIds"] == ["database-id"]
    assert not {"ingress", "egress"} & stack.one("SecurityGroup").inputs.keys()
    rule = stack.one("SecurityGroupIngressRule").inputs
    assert (rule["referencedSecurityGroupId"], rule["fromPort"], rule["toPort"]) == ("sg-cluster", 5432, 5432)
    assert not {"cidrIpv4", "cidrIpv6", "prefixListId"} & rule.keys()
    for described in (
        stack.one("SecurityGroup").inputs,
        rule,
    ):  # all that EC2 takes (API reference, CreateSecurityGroup)
        assert re.fullmatch(r"[A-Za-z0-9 ._\-:/()#,@\[\]+=&;{}!$*]{1,255}", described["description"])
    parameters = stack.one("ParameterGroup").inputs
    assert parameters["family"] == "postgres15"
    assert {"name": "rds.force_ssl", "value": "1", "applyMethod": "immediate"} in parameters["parameters"]
    assert "name" not in parameters
    assert graph(databaseVersion="17").one("ParameterGroup").inputs["family"] == "postgres17"


def test_data_outlives_the_instance_and_its_keys(graph: Callable[..., Any]):
    database = graph().one("Instance").inputs
    assert database["storageEncrypted"] is True
    assert "kmsKeyId" not in database, "a key of the stack's would be deleted with it, and the snapshot be lost"
    assert database["backupRetentionPeriod"] >= 7
    assert database["copyTagsToSnapshot"] is True
    assert (database["skipFinalSnapshot"], database["deleteAutomatedBackups"]) == (False, False)
    assert database["finalSnapshotIdentifier"] == "addressbook-test-final-x1y2z3"
    thrown_away = graph(finalSnapshot=False).one("Instance").inputs
    assert (thrown_away["skipFinalSnapshot"], thrown_away["deleteAutomatedBackups"]) == (True, True)
    assert "finalSnapshotIdentifier" not in thrown_away


def test_storage_and_backups_are_as_configured(graph: Callable[..., Any], errors: Callable[..., list[str]]):
    database = graph(databaseStorageGib=200, databaseStorageLimitGib=500, backupDays=35).one("Instance").inputs
    assert (database["allocatedStorage"], database["maxAllocatedStorage"]) == (200, 500)
    assert database["backupRetentionPeriod"] == 35
    (error,) = errors(databaseStorageGib="100")
    assert error.startswith("databaseStorageLimitGib = ") and "raise it to 110" in error


def test_maintenance_and_backup_windows_never_meet(graph: Callable[..., Any]):
    for hour in (0, 1, 2, 12, 23):  # the backup's hour is on the day before in the first two
        database = graph(maintenanceWindow=f"sunday {hour:02}:00").one("Instance").inputs
        assert database["maintenanceWindow"] == f"sun:{hour:02}:00-sun:{hour:02}:30"
        assert not database["backupWindow"].startswith(f"{hour:02}:")
        assert len(database["backupWindow"]) == len("01:00-01:30")


def test_the_service_connects_over_verified_tls(graph: Callable[..., Any]):
    stack = graph()
    assert stack.one("Instance").inputs["caCertIdentifier"] == "rds-ca-rsa2048-g1", "AWS's default may be another one"
    assert "password" in stack.one("Instance").secret_paths
    params = stack.one("Secret", "db-params")
    assert secret_data(params, "DB_SSL") == "true"
    assert secret_data(params, "DB_CA") == AUTHORITY.read_text()
    assert secret_data(params, "DB_HOST") == "db.example"
    assert secret_data(params, "DB_PORT") == "5432"
    assert (secret_data(params, "DB_SCHEMA"), secret_data(params, "DB_USER")) == ("postgres", "postgres")
    assert secret_data(params, "DB_PASSWORD") == "password of database-password"
    assert stack.one("SecurityGroupIngressRule").urn in params.dependencies
