"""Last snapshots of databases: what AWS keeps of an instance that is gone, by name only."""

from __future__ import annotations

import json
from pathlib import Path

from lab.files import write
from lab.plugins.account import Account, Record
from lab.plugins.engine import Engine
from lab.plugins.kind import Refused


def snapshots(account: Account) -> list[str]:
    """Names of the account's snapshots."""
    file = _file(account)
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else []


def check_new_snapshot(account: Account, record: Record) -> None:
    """Raise Refused if the account has a snapshot of that name already."""
    name = record.inputs["finalSnapshotIdentifier"]
    if name in snapshots(account):
        raise Refused(
            f"400 DBSnapshotAlreadyExists: cannot create the snapshot because one with the identifier {name} already"
            " exists"
        )


def take_snapshot(account: Account, record: Record, engine: Engine) -> None:
    """Note the name; nothing is copied."""
    name = record.inputs["finalSnapshotIdentifier"]
    write(_file(account), json.dumps([*snapshots(account), name]), mode=0o600)
    engine.info(f"simulated: the last snapshot {name} would be kept in the account; no data is, here")


def _file(account: Account) -> Path:
    return account.folder / "snapshots.json"
