"""Config key `databaseRestore`: a new database begins from a backup, and the key may go again."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pytest

from components.restored_server import is_servers_name, restored_name
from contract.restore import check_parts
from stacks.platform_reference import READ_OUTPUTS
from tests.unit.components.clouds import CLOUDS
from tests.unit.components.graphs import all_before
from tests.unit.components.simulated import SimulatedCloud

SERVERS = {"aws": "Instance", "digitalocean": "DatabaseCluster", "gcp": "DatabaseInstance"}
SERVER, TIME = "addressbook-lost", "2026-11-30T09:15:00Z"
#: The key, and the inputs that name the backup.
ORIGINS: list[tuple[str, dict[str, str], dict[str, Any]]] = [
    ("aws", {"snapshot": "addressbook-final-x"}, {"snapshotIdentifier": "addressbook-final-x"}),
    (
        "aws",
        {"server": SERVER},
        {"restoreToPointInTime": {"sourceDbInstanceIdentifier": SERVER, "useLatestRestorableTime": True}},
    ),
    (
        "aws",
        {"server": "db-ABCDEFGHIJKLMNOPQRSTUVWXYZ", "time": TIME},
        {"restoreToPointInTime": {"sourceDbiResourceId": "db-ABCDEFGHIJKLMNOPQRSTUVWXYZ", "restoreTime": TIME}},
    ),
    (
        "digitalocean",
        {"server": SERVER, "time": TIME},
        {"backupRestore": {"databaseName": SERVER, "backupCreatedAt": TIME}},
    ),
    (
        "gcp",
        {"server": SERVER, "time": TIME, "deleted": TIME},
        {"clone": {"sourceInstanceName": SERVER, "pointInTime": TIME, "sourceInstanceDeletionTime": TIME}},
    ),
    ("gcp", {"server": SERVER, "backup": "17"}, {"restoreBackupContext": {"backupRunId": 17, "instanceId": SERVER}}),
]
#: What a cloud's API refuses to create in a server that has it from the backup.
REFUSED = {"aws": set[str](), "digitalocean": {"DatabaseDb", "DatabaseUser"}, "gcp": {"Database"}}
READ_USER = "digitalocean:index/getDatabaseUser:getDatabaseUser"


@pytest.fixture
def simulated(request: pytest.FixtureRequest) -> SimulatedCloud:
    return next(each for each in CLOUDS if each.name == request.param)


@pytest.fixture
def restored_user(cloud: Any) -> None:
    """Answer for the user that DigitalOcean's server has from its backup."""
    cloud.functions[READ_USER] = lambda args: {**args, "id": "u", "password": "of-the-backup", "role": "normal"}


def in_server(graph: Any) -> set[str]:
    kinds = {each.type.rpartition(":")[2] for each in graph.resources if not each.type.startswith("delivery:")}
    return kinds & {"DatabaseDb", "DatabaseUser", "Database"}


@pytest.mark.usefixtures("restored_user")
@pytest.mark.parametrize(("simulated", "restore", "origin"), ORIGINS, indirect=["simulated"])
def test_a_new_server_begins_from_the_backup(
    graph: Callable[..., Any], simulated: SimulatedCloud, restore: dict[str, str], origin: dict[str, Any]
):
    stack = graph(databaseRestore=restore)
    server = stack.one(SERVERS[simulated.name])
    assert origin.items() <= server.inputs.items()
    assert list(server.options.ignoreChanges) == [], "another backup makes another server"
    assert server.options.deleteBeforeReplace is False, "the old server may hold the backup"
    assert server.options.protect
    assert not in_server(stack) & REFUSED[simulated.name]


@pytest.mark.usefixtures("restored_user")
@pytest.mark.parametrize("simulated", ["aws", "digitalocean", "gcp"], indirect=True)
def test_the_key_may_go_again(graph: Callable[..., Any], cloud: Any, simulated: SimulatedCloud):
    cloud.functions[READ_OUTPUTS] = lambda args: {"name": args["name"], "outputs": {"databaseRestored": True}}
    stack = graph()
    server = stack.one(SERVERS[simulated.name])
    names = {"aws": "identifier", "digitalocean": "name"}
    kept = {"snapshotIdentifier", "restoreToPointInTime", "backupRestore", "clone", "restoreBackupContext"}
    ignored = set(server.options.ignoreChanges)
    assert ignored & kept
    if simulated.name == "gcp":
        assert list(stack.one("RandomId", "database-name").options.ignoreChanges) == ["keepers.restore"]
    else:
        assert names[simulated.name] in ignored
    assert not in_server(stack) & REFUSED[simulated.name]
    if REFUSED[simulated.name]:
        assert stack.outputs["databaseRestored"] is True


@pytest.mark.usefixtures("restored_user")
@pytest.mark.parametrize("simulated", ["aws", "digitalocean"], indirect=True)
def test_the_lost_servers_name_is_not_used_again(graph: Callable[..., Any], simulated: SimulatedCloud):
    property = {"aws": "identifier", "digitalocean": "name"}[simulated.name]
    names = [
        graph(databaseRestore=restore).one(SERVERS[simulated.name]).inputs[property]
        for restore in ({"server": SERVER}, {"server": SERVER}, {"server": SERVER, "time": TIME})
    ]
    assert names[0] == names[1] != names[2]
    assert all(name.startswith("addressbook-test-") for name in names)


@pytest.mark.parametrize(
    ("restore", "message"),
    [
        ({"time": TIME}, "must have these parts and no others: server, or server and time"),
        ({"server": SERVER, "time": "yesterday"}, "time must be a time in UTC such as"),
    ],
)
def test_an_incomplete_key_is_refused(restore: dict[str, str], message: str):
    with pytest.raises(ValueError, match=message):
        check_parts(restore, frozenset({"server"}), frozenset({"server", "time"}))


def test_a_local_database_begins_with_a_dump(
    declare: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "dump.sql").write_text("CREATE TABLE person ();\n")
    monkeypatch.setattr("stacks.local.PROJECT_ROOT", tmp_path)
    stack = declare(databaseRestore={"dump": "dump.sql"})
    dump = stack.one("Secret", "database-dump")
    assert gzip.decompress(base64.b64decode(dump.inputs["data"]["dump.sql.gz"])) == b"CREATE TABLE person ();\n"
    assert dump.secret_paths == {"data"} or "data.dump.sql.gz" in dump.secret_paths
    job = stack.one("Job", "database-restore")
    assert job.urn in all_before(stack, stack.one("Deployment"))
    policy = stack.one("NetworkPolicy", "addressbook-db").inputs["spec"]["ingress"][0]["from"][0]
    assert job.inputs["spec"]["template"]["metadata"]["labels"]["app"] in str(policy)


def test_a_missing_dump_is_refused(declare: Callable[..., Any]):
    with pytest.raises(pulumi.RunError, match=r"databaseRestore.*dump: there is no such file"):
        declare(databaseRestore={"dump": "no-such-dump.sql"})


def test_a_restored_server_is_recognized_by_its_name():
    restored = restored_name("addressbook-prod", {"snapshot": "x"})
    assert is_servers_name(restored, "addressbook-prod")
    assert is_servers_name("addressbook-prod", "addressbook-prod")
    assert not is_servers_name("addressbook-prod-two", "addressbook-prod")
