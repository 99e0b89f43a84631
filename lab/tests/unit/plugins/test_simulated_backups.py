"""Backups of simulated databases: what a restored server has already, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab.plugins import addresses
from lab.plugins.backups import Backups
from lab.plugins.digitalocean import databases
from lab.plugins.digitalocean.cloud import DigitalOcean
from lab.plugins.digitalocean.databases import DatabaseCluster
from lab.plugins.engine import Engine
from lab.plugins.provider import Created, ProviderError
from lab.tests.unit.plugins.simulated_accounts import delete, make, network


class PaperServer:
    """A server without data."""

    host, port, version = "10.99.2.1", 25060, "15"

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: ""

    def copy_data(self, target: Path) -> None:
        target.mkdir()


@pytest.fixture
def source(digitalocean: DigitalOcean, monkeypatch: pytest.MonkeyPatch) -> Created:
    """A database cluster `lost` with a database, a user and yesterday's backup."""
    monkeypatch.setattr(DatabaseCluster, "server", lambda *_: PaperServer())
    monkeypatch.setattr(databases, "free_port", lambda *_: PaperServer.port)
    monkeypatch.setattr(addresses, "take", lambda *_: PaperServer.host)
    created = cluster(digitalocean, "lost")
    make(digitalocean, "DatabaseUser", clusterId=created.id, name="demouser")
    make(digitalocean, "DatabaseDb", clusterId=created.id, name="demo")
    (record,) = digitalocean.account.records("DatabaseCluster")
    backup = DatabaseCluster(digitalocean.account, Engine()).take_backup(record, "daily")
    Backups(digitalocean.account).publish(backup)
    return created


def cluster(cloud: DigitalOcean, name: str, **inputs: Any) -> Created:
    vpc = cloud.account.records("Vpc")
    return make(
        cloud, "DatabaseCluster", name=name, engine="pg", version="15", size="db-s-1vcpu-1gb", region="fra1",
        nodeCount=1, privateNetworkUuid=vpc[0].id if vpc else network(cloud).id, **inputs,
    )  # fmt: skip


def test_a_restored_server_has_database_and_user_already(digitalocean: DigitalOcean, source: Created):
    restored = cluster(digitalocean, "restored", backupRestore={"databaseName": "lost"})
    for kind, name in (("DatabaseDb", "demo"), ("DatabaseUser", "demouser")):
        with pytest.raises(ProviderError, match="409 the name is taken"):
            make(digitalocean, kind, clusterId=restored.id, name=name)
    given = {"clusterId": restored.id, "name": "demouser"}
    user = digitalocean.invoke("digitalocean:index/getDatabaseUser:getDatabaseUser", given, preview=False)
    (original,) = digitalocean.account.records("DatabaseUser", clusterId=source.id)
    assert user["password"] == original.outputs["password"]


def test_a_deleted_servers_backups_are_gone(digitalocean: DigitalOcean, source: Created):
    delete(digitalocean, "DatabaseCluster", source.id)
    with pytest.raises(ProviderError, match="no database cluster 'lost' to restore a backup of"):
        cluster(digitalocean, "restored", backupRestore={"databaseName": "lost"})
    assert Backups(digitalocean.account).all() == []


def test_a_backup_must_be_older_than_the_wanted_time(digitalocean: DigitalOcean, source: Created):
    early = {"databaseName": "lost", "backupCreatedAt": "2020-01-01T00:00:00Z"}
    with pytest.raises(ProviderError, match="has no backup from before 2020"):
        cluster(digitalocean, "restored", backupRestore=early)
