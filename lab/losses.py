"""Lose a rehearsed stack's database as it can be lost in its cloud, and restore it by config."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from lab.project import SmokeTestError, create_person, delete_person, read_person
from lab.rehearsal import Rehearsal, StepFailed
from lab.simulation import Loss

PERSONS = 20
PROTECTION = "deletionProtection"


@dataclass
class Drill:
    """One loss and its restore."""

    rehearsal: Rehearsal
    persons: list[str] = field(default_factory=list[str])
    """Ids of the persons that must come back."""
    loss: Loss = field(default_factory=Loss)

    @property
    def url(self) -> str:
        return str(self.rehearsal.outputs()["url"])

    def steps(self) -> list[tuple[str, Callable[[], str]]]:
        """Return the steps in order, each with what was observed."""
        return [
            ("persons to lose", self._create_persons),
            ("the database is lost", self._lose),
            ("databaseRestore by config", self._restore),
            ("every person is back", self._read_persons),
            ("preview with the key", self._no_changes),
            ("preview without the key", self._remove_key),
        ]

    def _create_persons(self) -> str:
        url = self.url
        self.persons = [create_person(url) for _ in range(PERSONS)]
        return f"{len(self.persons)} persons created"

    def _lose(self) -> str:
        loss = self.rehearsal.simulation.lose(self.rehearsal.account)
        self.loss = loss
        if self._readable():
            raise StepFailed("the persons can still be read after the loss")
        return loss.seen

    def _readable(self) -> bool:
        try:
            read_person(self.url, self.persons[0])
        except SmokeTestError:
            return False
        return True

    def _restore(self) -> str:
        """Restore as docs/how-to/restore.md says: a server that still exists loses its protection first."""
        if not self.loss.server_exists:
            self._set_key()
            self._up("--refresh")
            return "a new server from the backup"
        self.rehearsal.configure(PROTECTION, "false")
        self._up()
        self._set_key()
        self._up()
        self.rehearsal.pulumi("config", "rm", PROTECTION)
        self._up()
        return "a new server from the backup, and the old one deleted"

    def _set_key(self) -> None:
        for part, value in self.loss.restore.items():
            self.rehearsal.pulumi("config", "set", "--path", f"databaseRestore.{part}", value)

    def _up(self, *options: str) -> None:
        self.rehearsal.pulumi("up", "--yes", "--skip-preview", *options)

    def _read_persons(self) -> str:
        url = self.url
        for person in self.persons:
            read_person(url, person)
            delete_person(url, person)
        return f"all {len(self.persons)} persons read"

    def _no_changes(self) -> str:
        self.rehearsal.pulumi("preview", "--diff", "--expect-no-changes")
        return "no changes"

    def _remove_key(self) -> str:
        self.rehearsal.pulumi("config", "rm", "databaseRestore")
        return self._no_changes()
