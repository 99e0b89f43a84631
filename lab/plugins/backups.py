"""Backups of the real servers behind simulated databases: copies of their data, kept in the account's folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from lab.files import write
from lab.plugins.account import Account, Record
from lab.plugins.postgres import Server
from lab.plugins.times import timestamp


@dataclass
class Backup:
    """One backup of one server."""

    id: str
    server: str
    """What the cloud knows the server by: a name, or an id that outlives it."""
    taken: str
    """Time, RFC 3339."""
    inside: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """The account's records of what is in the server."""

    def records(self) -> list[Record]:
        """Return what is in the server."""
        return [Record(**each) for each in self.inside]


class Backups:
    """The backups of an account. Emptying the account removes them."""

    def __init__(self, account: Account) -> None:
        self.folder = account.folder / "backups"

    def all(self) -> list[Backup]:
        """Return the account's backups, oldest first."""
        files = self.folder.glob("*/backup.json")
        found = [Backup(**json.loads(file.read_text(encoding="utf-8"))) for file in files]
        return sorted(found, key=lambda each: moment(each.taken))

    def named(self, id: str) -> Backup | None:
        """Return the backup with this id."""
        return next((each for each in self.all() if each.id == id), None)

    def latest(self, server: str, until: str = "") -> Backup | None:
        """Return the server's last backup, or its last one until a time."""
        own = [each for each in self.all() if each.server == server]
        return next((each for each in reversed(own) if not until or moment(each.taken) <= moment(until)), None)

    def take(self, server: Server, id: str, of: str, inside: Sequence[Record] = ()) -> Backup:
        """Copy a server's data, which stops it for a moment. An interrupted deletion has its copy already."""
        data = self.data(id)
        if server.has_data():
            shutil.rmtree(data, ignore_errors=True)
            data.parent.mkdir(parents=True, exist_ok=True, mode=0o711)
            server.copy_data(data)
        return Backup(id, of, timestamp(), [asdict(each) for each in inside])

    def publish(self, backup: Backup) -> None:
        """Add a backup that was taken to the account."""
        write(self.data(backup.id).parent / "backup.json", json.dumps(asdict(backup)), mode=0o600)

    def remove_of(self, server: str) -> None:
        """Remove the backups of a server."""
        for each in self.all():
            if each.server == server:
                shutil.rmtree(self.data(each.id).parent)

    def data(self, id: str) -> Path:
        """Return the folder with a backup's data."""
        return self.folder / id.replace("/", "_").replace(":", "_") / "data"


def moment(time: str) -> datetime:
    """Return a time in RFC 3339."""
    return datetime.fromisoformat(time)
