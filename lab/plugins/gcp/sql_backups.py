"""Which backup a Cloud SQL instance begins from: a backup run, or a clone of an instance at a point in time."""

from __future__ import annotations

from lab.plugins.backups import Backup, Backups
from lab.plugins.database import DatabaseServer
from lab.plugins.kind import ApiError
from lab.plugins.properties import Properties


def origin(kind: DatabaseServer, inputs: Properties) -> Backup | None:
    """Return the backup that a new instance begins from, None for an empty one. Raises ApiError if there is none."""
    backups = Backups(kind.account)
    if wanted := inputs.get("restoreBackupContext"):
        run = str(int(wanted["backupRunId"]))
        if (found := backups.named(run)) and found.server == (wanted.get("instanceId") or inputs["name"]):
            return found
        raise ApiError(f"404 the backup run {run} of {wanted.get('instanceId')} does not exist")
    if clone := inputs.get("clone"):
        return _clone(kind, backups, clone)
    return None


def _clone(kind: DatabaseServer, backups: Backups, clone: Properties) -> Backup:
    source, until = clone["sourceInstanceName"], clone.get("pointInTime") or ""
    running = kind.account.get(kind.type, source)
    if not running and not clone.get("sourceInstanceDeletionTime"):
        raise ApiError(f"404 the Cloud SQL instance {source} does not exist")
    if running and not until:
        backups.publish(kind.take_backup(running, f"clone-of-{source}"))
    if found := backups.latest(source, until):
        return found
    raise ApiError(f"400 a backup of {source} from before {until or 'its deletion'} cannot be found")
