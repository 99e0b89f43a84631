"""Resources whose version changes some time after it was asked for, and sometimes without being asked."""

from __future__ import annotations

from datetime import timedelta

from lab.plugins.account import Record, injected_fault
from lab.plugins.digitalocean.kind import DigitalOceanKind
from lab.plugins.digitalocean.versions import UPGRADE_SECONDS
from lab.plugins.kind import ApiError
from lab.plugins.properties import Properties
from lab.plugins.times import has_passed, timestamp

#: Output of the account's own, with the version to come and the time of its arrival.
PENDING = "__upgrade"
UPGRADING = "upgrading"


class Upgrading(DigitalOceanKind):
    """A type with an input ``version``. A refresh reads the version that runs."""

    reported = ("version",)
    settled: str
    """The state in which it takes changes."""

    def offered(self, version: str) -> list[str]:
        """Return the versions to which this one can be upgraded."""
        raise NotImplementedError

    def begin_upgrade(self, record: Record, new: Properties) -> Properties:
        """Return the outputs right after an update: the old version, until the upgrade is done. Raises ApiError."""
        running = str(record.outputs.get("version", record.inputs["version"]))
        if new["version"] == running:
            return {"version": running}
        if record.outputs.get(PENDING):
            raise ApiError(f"422 the {self.title} is upgrading already; wait until it is {self.settled}")
        if new["version"] not in (offered := self.offered(running)):
            raise ApiError(f"422 invalid upgrade from {running} to {new['version']}; possible: {', '.join(offered)}")
        ends = timestamp(timedelta(seconds=UPGRADE_SECONDS))
        return {"version": running, "status": UPGRADING, PENDING: {"version": new["version"], "ends": ends}}

    def upgraded(self, record: Record) -> Properties:
        """Return the outputs that an upgrade has changed meanwhile: the user's own, or the cloud's."""
        pending = record.outputs.get(PENDING)
        if pending and has_passed(pending["ends"]):
            return {"version": pending["version"], "status": self.settled, PENDING: None}
        running = str(record.outputs.get("version", record.inputs["version"]))
        is_as_configured = not pending and running == record.inputs["version"]
        if injected_fault(self.type) == "upgraded" and is_as_configured and (newer := self.offered(running)):
            return {"version": newer[-1]}
        return {}
