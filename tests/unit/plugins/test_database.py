"""What a cloud answers when the real server behind a simulated database can't be had."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.layout import Lab
from lab.plugins.account import Account, Record
from lab.plugins.aws.rds import Instance
from lab.plugins.digitalocean.databases import DatabaseCluster, DatabaseDb
from lab.plugins.engine import Engine
from lab.plugins.gcp.sql import DatabaseInstance
from lab.plugins.gcp.sql_contents import Database
from lab.plugins.kind import Kind, Refused
from lab.plugins.postgres import Server, Unavailable


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Account:
    """An account none of whose servers starts."""

    def start(_: Server) -> None:
        raise Unavailable("PostgreSQL did not start: no space")

    monkeypatch.setattr(Lab, "state", property(lambda _: tmp_path))
    monkeypatch.setattr(Server, "start", start)
    return Account(Lab.from_environment(), "cloud")


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (DatabaseCluster, "500 PostgreSQL did not start: no space"),
        (DatabaseInstance, "500 PostgreSQL did not start: no space"),
        (Instance, "500 InternalFailure: PostgreSQL did not start: no space"),
    ],
)
def test_a_look_at_a_database(account: Account, kind: type[Kind], said: str):
    record = Record(kind.__name__, "ours", {}, {}, made=True)
    with pytest.raises(Refused) as refused:
        kind(account, Engine()).look(record)
    assert str(refused.value) == said


@pytest.mark.parametrize(
    ("kind", "holder", "names", "said"),
    [
        (DatabaseDb, "DatabaseCluster", "clusterId", "422 PostgreSQL did not start: no space"),
        (Database, "DatabaseInstance", "instance", "400 PostgreSQL did not start: no space"),
    ],
)
def test_a_database_in_a_server(account: Account, kind: type[Kind], holder: str, names: str, said: str):
    account.put(Record(holder, "ours", {}, {}, made=True))
    with pytest.raises(Refused) as refused:
        kind(account, Engine()).unmake(Record(kind.__name__, "demo", {names: "ours", "name": "demo"}, {}))
    assert str(refused.value) == said
