"""A simulated cloud account. The lab keeps it on disk, so its resources outlive each engine run."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lab.files import write
from lab.layout import Lab

#: Environment variable that injects faults: ``FAULT:TYPE``, such as ``quota:KubernetesCluster``, with commas between.
FAULT_VARIABLE = "ADDRESSBOOK_LAB_FAULT"
#: The error message for expired credentials, except on AWS, whose tools have their own.
EXPIRED = "the credentials have expired or were revoked"
FAULTS = {
    "quota": "a create is refused because the account has reached its limit",
    "timeout": "the resource is created, but waiting for it times out",
    "name-taken": "a create is refused because another account has the name",
    "disabled": "an API that must be enabled beforehand is not (only Google Cloud, `disabled:Service`)",
    "upgraded": "the cloud has upgraded the resource by itself",
    "newer": "the cloud recommends a newer version (only AWS, `newer:Addon`)",
    "default": "the resource becomes the region's default, which cannot be deleted",
    "retired": "the cloud no longer offers the version for new resources",
    "undeletable": "a deletion fails because a site that it needs does not answer",
    "expired": "every request is refused because the credentials have expired (needs no type)",
}


@dataclass
class Record:
    """A resource in the account. Its secrets are stored in plain text.

    ``ready`` is false while the resource is being created, and stays false if the engine is killed meanwhile.
    """

    type: str
    id: str
    inputs: dict[str, Any]
    outputs: dict[str, Any]
    ready: bool = False


class Account:
    """The resources in one cloud's account, by type and id. A lock serialises changes from several processes."""

    def __init__(self, lab: Lab, cloud: str) -> None:
        self.lab = lab
        self.folder = lab.state / "clouds" / cloud

    @contextmanager
    def open(self) -> Iterator[dict[str, Record]]:
        """Yield all records by ``TYPE/ID``; store changes to the mapping unless the block raises."""
        for folder in (self.folder.parent, self.folder):
            folder.mkdir(exist_ok=True, mode=0o711)
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            records = self._load()
            yield records
            content = json.dumps({key: asdict(record) for key, record in records.items()}, indent=1, sort_keys=True)
            write(self._file, content, mode=0o600)

    def records(self, kind: str = "", **inputs: Any) -> list[Record]:
        """Return the account's resources: all, or those of a type that have these inputs."""
        return [
            each
            for each in self._load().values()
            if kind in ("", each.type) and all(each.inputs.get(name) == value for name, value in inputs.items())
        ]

    def get(self, kind: str, id: str) -> Record | None:
        """Return the resource with that id, or None."""
        return self._load().get(f"{kind}/{id}")

    def put(self, record: Record) -> None:
        """Add the resource, or replace the stored one."""
        with self.open() as records:
            records[f"{record.type}/{record.id}"] = record

    def remove(self, kind: str, id: str) -> None:
        """Remove the resource if the account has it."""
        with self.open() as records:
            records.pop(f"{kind}/{id}", None)

    @property
    def _file(self) -> Path:
        return self.folder / "account.json"

    def _load(self) -> dict[str, Record]:
        try:
            return {key: Record(**fields) for key, fields in json.loads(self._file.read_text(encoding="utf-8")).items()}
        except FileNotFoundError:
            return {}


def credentials_expired() -> bool:
    """Return whether the fault that hits every request, whatever its type, is injected."""
    return injected_fault("") == "expired"


def injected_fault(kind: str) -> str:
    """Return the first fault injected for this resource type, "" for none."""
    for each in os.environ.get(FAULT_VARIABLE, "").split(","):
        fault, _, wanted = each.partition(":")
        if fault in FAULTS and wanted in ("", kind):
            return fault
    return ""
