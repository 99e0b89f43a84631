"""Which backup an RDS instance begins from: a snapshot, or a point in time of an instance."""

from __future__ import annotations

from lab.plugins.account import Record
from lab.plugins.backups import Backup, Backups
from lab.plugins.database import DatabaseServer
from lab.plugins.kind import ApiError
from lab.plugins.properties import Properties
from lab.plugins.provider import Failure

SOURCES = ("sourceDbInstanceIdentifier", "sourceDbiResourceId", "sourceDbInstanceAutomatedBackupsArn")
#: Ids of the copies that stand for an instance's automated backups.
AUTOMATED = "automated:"


def failures(inputs: Properties) -> list[Failure]:
    """Return conflicts between the inputs that name a backup (provider's schema, ConflictsWith)."""
    point = inputs.get("restoreToPointInTime")
    if not point:
        return []
    name, found = "restoreToPointInTime", list[Failure]()
    if inputs.get("snapshotIdentifier"):
        found.append(Failure(name, "conflicts with snapshotIdentifier."))
    if sum(bool(point.get(each)) for each in SOURCES) != 1:
        found.append(Failure(name, f"needs exactly one of {', '.join(SOURCES)}."))
    if bool(point.get("restoreTime")) == bool(point.get("useLatestRestorableTime")):
        found.append(Failure(name, "needs either restoreTime or useLatestRestorableTime."))
    return found


def origin(kind: DatabaseServer, inputs: Properties) -> Backup | None:
    """Return the backup that a new instance begins from, None for an empty one. Raises ApiError if there is none."""
    backups = Backups(kind.account)
    if snapshot := inputs.get("snapshotIdentifier"):
        if found := backups.named(str(snapshot).rpartition(":snapshot:")[2]):
            return found
        raise ApiError(f"404 DBSnapshotNotFound: DBSnapshot not found: {snapshot}")
    if point := inputs.get("restoreToPointInTime"):
        return _point_in_time(kind, backups, point)
    return None


def _point_in_time(kind: DatabaseServer, backups: Backups, point: Properties) -> Backup:
    server, running = _source(kind, point)
    if running and point.get("useLatestRestorableTime"):
        backups.publish(kind.take_backup(running, AUTOMATED + server))
    if found := backups.latest(server, point.get("restoreTime") or ""):
        return found
    raise ApiError(
        f"400 InvalidParameterValue: there is no backup of {server} from before {point.get('restoreTime') or 'now'}"
    )


def _source(kind: DatabaseServer, point: Properties) -> tuple[str, Record | None]:
    """Return the source's resource id, and the instance if it exists. A deleted one has no identifier any more."""
    if identifier := point.get("sourceDbInstanceIdentifier"):
        running = kind.account.records(kind.type, identifier=identifier)
        if not running:
            raise ApiError(f"404 DBInstanceNotFound: DBInstance {identifier} not found")
        return running[0].id, running[0]
    id = str(point.get("sourceDbiResourceId") or "")
    return id, kind.account.get(kind.type, id)
