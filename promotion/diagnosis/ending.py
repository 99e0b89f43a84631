"""Containers that started and ended: out of memory, killed by a probe, or by themselves."""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence

from promotion.diagnosis.reason import Reason
from promotion.diagnosis.snapshot import Document, parsed, part
from promotion.diagnosis.starting import UNSTARTABLE, command_missing, unstartable

#: A container that ran for less has not come to serve: what is wrong is in its start.
START_SECONDS = 10.0
#: Exit codes above it are 128 and the number of the signal that ended the process.
SIGNALLED = 128
#: What the kubelet says of a container whose end it did not see.
LOST = frozenset({"Unknown", "ContainerStatusUnknown"})
_LOG = "the log's last lines say why: mend it in the source, or in the environment it reads, and build it anew"


def why_ended(ended: Document, container: Document, killed_by_probe: str | None) -> Reason:
    """Why a container's process ended; ``killed_by_probe`` names the probe after which it was killed."""
    reason, said, code = str(ended.get("reason", "")), str(ended.get("message", "")), int(ended["exitCode"])
    if reason == "OOMKilled":
        return _out_of_memory(container)
    if reason in LOST:
        return Reason(
            "node-restarted",
            "the node or its container runtime was restarted, and the container with it",
            "nothing to mend in the release; look at the node if it happens again",
        )
    if reason in UNSTARTABLE:
        return unstartable(said)
    if killed_by_probe:
        return Reason(
            f"failing-{killed_by_probe}-probe",
            f"the container is killed because its {killed_by_probe} probe fails",
            probe_remedy(killed_by_probe),
        )
    return command_missing(code) or _ended_by_itself(code, seconds_lived(ended))


def seconds_lived(ended: Document) -> float:
    """Seconds from the container's start to its end; 0 where the kubelet knows neither."""
    if not ended.get("startedAt") or not ended.get("finishedAt"):
        return 0.0
    return (parsed(ended["finishedAt"]) - parsed(ended["startedAt"])).total_seconds()


def probe_remedy(probe: str) -> str:
    """What mends a failing probe."""
    key = "readinessPath" if probe == "readiness" else "livenessPath"
    return f"see that the service answers 200 to the probe, or correct the probe: {key} and port in the stack file"


def exit_words(code: int) -> str:
    """An exit code as people read it, the signal named."""
    if code > SIGNALLED:
        try:
            return f"exit code {code} ({signal.Signals(code - SIGNALLED).name})"
        except ValueError:
            pass
    return f"exit code {code}"


def _out_of_memory(container: Document) -> Reason:
    limit = part(container, "resources", "limits").get("memory")
    return Reason(
        "out-of-memory",
        f"the container uses more memory than its limit of {limit}"
        if limit
        else "the node ran out of memory and the container, which has no limit of its own, was killed for it",
        "raise memoryLimit in the stack file, or find what needs so much: a leak grows until any limit is reached",
    )


def _ended_by_itself(code: int, lived: float) -> Reason:
    if code == 0:
        return Reason(
            "ends-by-itself",
            "the container's process ends without an error (exit code 0), where a service has to go on running",
            "run the service in the foreground (CMD or ENTRYPOINT of the Dockerfile)",
        )
    if lived < START_SECONDS:
        return Reason("crash-at-start", f"the container crashes at its start with {exit_words(code)}", _LOG)
    return Reason("crash-later", f"the container crashes after a while with {exit_words(code)}", _LOG)


#: What databases' drivers say, and the addressbook's own commands: pattern, cause, sentence, remedy.
_DATABASE: tuple[tuple[str, str, str, str], ...] = (
    (
        r"password authentication failed|no pg_hba\.conf entry|does not let the user in|role \S+ does not exist"
        r"|InvalidPassword",
        "database-login",
        "the database does not let the service in",
        "the next `python -m promotion up` writes user and password (Secret db-params) as the platform has them; a"
        " password changed at the database by hand is changed back there",
    ),
    (
        r"remaining connection slots|too many (clients|connections)|has no connection left",
        "database-full",
        "the database has no connection left",
        "run fewer pods, lower DB_POOL_SIZE (environment in the stack file), or take a larger databaseSize",
    ),
    (
        r"database \"?[\w-]+\"? does not exist|has no database of that name",
        "database-missing",
        "the database server has no database of that name",
        "see DB_SCHEMA in Secret db-params; the platform makes the database, so the next `python -m promotion up`"
        " puts back what was deleted",
    ),
    (
        r"relation \S+ does not exist|column \S+ does not exist|lacks the addressbook's tables|UndefinedTable"
        r"|UndefinedColumn",
        "schema-behind",
        "the database's tables are not those that this version needs",
        "its migration has not run against this database: see migrateCommand, and the migration Job's log",
    ),
    (
        r"The database (cannot be reached|refuses connections|did not answer|is starting up|offers no TLS)"
        r"|connection to the database was lost|certificate was refused|no common TLS settings"
        r"|could not connect to server|could not translate host name|connection to server at .* failed"
        r"|ECONNREFUSED.{0,40}5432|5432.{0,60}(refused|timed out|timeout)|SequelizeConnection\w*Error"
        r"|the database system is (starting up|shutting down)",
        "database-unreachable",
        "the service cannot reach its database",
        "see that the database runs, that its name resolves, and that its firewall and the NetworkPolicies let the"
        " pods in; `kubectl exec` of `addressbook ping` in a pod asks it",
    ),
)


def database_trouble(lines: Sequence[str]) -> tuple[Reason, str] | None:
    """What the newest line about the database means, and that line; None where none tells of trouble."""
    for line in reversed(lines):
        for pattern, *reason in _DATABASE:
            if re.search(pattern, line, re.IGNORECASE):
                return Reason(*reason), line
    return None
