"""A simulated cloud account: what it holds, kept in the lab's state, so that it outlives each engine run."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lab.files import write
from lab.layout import Lab

#: Environment variable that injects a fault, as ``FAULT:TYPE``, such as ``quota:KubernetesCluster``.
FAULT_VARIABLE = "ADDRESSBOOK_LAB_FAULT"
#: What the clouds say of it, but AWS, whose tools have words of their own.
EXPIRED = "the credentials have expired or were revoked"
FAULTS = {
    "quota": "creating one is refused: the account's limit is reached",
    "timeout": "it is made, but the wait for it ends before it is ready",
    "name-taken": "creating one is refused: somebody else has the name",
    "expired": "every request is refused: the credentials have expired (needs no type)",
}


@dataclass
class Record:
    """A resource in the account; secrets in it are plain, as in any cloud's own books.

    ``made`` is false while it is being made, and stays so when the engine was killed meanwhile.
    """

    type: str
    id: str
    inputs: dict[str, Any]
    outputs: dict[str, Any]
    made: bool = False


class Account:
    """The resources of one cloud's account, by type and id. Changes are under a lock, across processes."""

    def __init__(self, lab: Lab, cloud: str) -> None:
        self.lab = lab
        self.folder = lab.state / "clouds" / cloud

    @contextmanager
    def open(self) -> Iterator[dict[str, Record]]:
        """All records, by ``TYPE/ID``; what is changed in the mapping is kept, unless an exception ends the block."""
        for folder in (self.folder.parent, self.folder):
            folder.mkdir(exist_ok=True, mode=0o711)
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            records = self._load()
            yield records
            content = json.dumps({key: asdict(record) for key, record in records.items()}, indent=1, sort_keys=True)
            write(self._file, content, mode=0o600)

    def records(self) -> list[Record]:
        """Everything in the account, as it is now."""
        return list(self._load().values())

    def get(self, kind: str, id: str) -> Record | None:
        """The resource with that id, or None."""
        return self._load().get(f"{kind}/{id}")

    def put(self, record: Record) -> None:
        """Add it, or store it anew."""
        with self.open() as records:
            records[f"{record.type}/{record.id}"] = record

    def remove(self, kind: str, id: str) -> None:
        """Forget it; it may be gone already."""
        with self.open() as records:
            records.pop(f"{kind}/{id}", None)

    def remove_all(self, which: Callable[[Record], bool]) -> None:
        """Forget what goes with something else."""
        with self.open() as records:
            for key, each in list(records.items()):
                if which(each):
                    del records[key]

    @property
    def _file(self) -> Path:
        return self.folder / "account.json"

    def _load(self) -> dict[str, Record]:
        try:
            return {key: Record(**fields) for key, fields in json.loads(self._file.read_text(encoding="utf-8")).items()}
        except FileNotFoundError:
            return {}


def expired() -> bool:
    """Whether the fault is played that every request meets, whatever its type."""
    return injected("") == "expired"


def injected(kind: str) -> str:
    """The fault to play for this resource type, "" for none."""
    fault, _, wanted = os.environ.get(FAULT_VARIABLE, "").partition(":")
    return fault if fault in FAULTS and wanted in ("", kind) else ""
