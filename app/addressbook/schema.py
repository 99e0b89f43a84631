"""Brings the database's schema to the version this code knows.

Migrations are plain SQL, `migrations/NNNN_name.sql`, numbered from 1 without a gap. While two releases run
side by side both use one schema, so a migration only ever adds (expand); what the older release still
reads is removed one release later (contract). That is why a newer schema is left alone and is no error.
"""

import asyncio
import re
import ssl
import time
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

import asyncpg

from addressbook.database import FAILURES, Unavailable, connect, explain
from addressbook.settings import DatabaseSettings

if TYPE_CHECKING:
    from addressbook.database import Connection

LOCK = 0x61646472
"""Number of the advisory lock ("addr") that a migration of this database holds."""
TABLE_LOCK_SECONDS = 2
"""A migration that cannot lock its table lets queued requests pass, then retries."""
RETRY_SECONDS = 0.5

_FILE_NAME = re.compile(r"(\d{4})_(\w+)\.sql")
_WAITABLE = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
"""Failures that may go away while waiting, unlike a wrong password."""


@dataclass(frozen=True)
class Migration:
    version: int
    name: str
    sql: str


def migrations() -> list[Migration]:
    """Return all migrations of this package, in order."""
    found: list[Migration] = []
    for file in resources.files("addressbook").joinpath("migrations").iterdir():
        if match := _FILE_NAME.fullmatch(file.name):
            found.append(Migration(int(match[1]), match[2], file.read_text("utf-8")))
    found.sort(key=lambda migration: migration.version)
    if [migration.version for migration in found] != list(range(1, len(found) + 1)):
        raise RuntimeError("The migrations are not numbered from 1 without a gap.")
    return found


async def migrate(settings: DatabaseSettings, wait_seconds: float, steps: list[Migration]) -> str:
    """Apply missing migrations and return a sentence. Raises `Unavailable` after `wait_seconds`."""
    deadline = time.monotonic() + wait_seconds
    applied: list[str] = []
    while True:
        try:
            connection = await connect(settings)
            try:
                return await _apply_missing(connection, steps, applied, deadline)
            finally:
                connection.terminate()
        except _WAITABLE as error:
            # A certificate that is refused now is refused in a minute, too.
            lasting = isinstance(error, ssl.SSLCertVerificationError)
            if lasting or time.monotonic() + RETRY_SECONDS >= deadline:
                raise Unavailable(explain(error)) from error
        except FAILURES as error:
            raise Unavailable(explain(error)) from error
        await asyncio.sleep(RETRY_SECONDS)


async def _apply_missing(
    connection: "Connection", steps: list[Migration], applied: list[str], deadline: float
) -> str:
    while True:
        async with connection.transaction():
            version = await _lock_and_read_version(connection, deadline)
            if version > len(steps):
                return (
                    f"The schema is at version {version}, newer than this release's {len(steps)}: left alone."
                )
            if version == len(steps):
                done = f" (applied now: {', '.join(applied)})" if applied else ""
                return f"The schema is at version {version}, as this release needs it{done}."
            step = steps[version]
            await connection.execute(f"SET LOCAL lock_timeout = '{TABLE_LOCK_SECONDS}s'")
            await _apply(connection, step, deadline)
            await connection.execute(
                "INSERT INTO schema_version (version, name) VALUES ($1, $2)", step.version, step.name
            )
        applied.append(f"{step.version} {step.name}")


async def _apply(connection: "Connection", step: Migration, deadline: float) -> None:
    try:
        await connection.execute(step.sql, timeout=_left(deadline))
    except _WAITABLE:
        raise
    except asyncpg.PostgresError as error:
        reason = f"Migration {step.version} {step.name} failed and was undone: {error}."
        raise Unavailable(reason) from error


async def _lock_and_read_version(connection: "Connection", deadline: float) -> int:
    """Return the schema's version, and block other migrations until this transaction ends."""
    wait = _left(deadline)
    await connection.execute(f"SET LOCAL lock_timeout = '{wait * 1000:.0f}ms'")
    await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK, timeout=wait + 1)
    await connection.execute(
        "CREATE TABLE IF NOT EXISTS schema_version ("
        " version integer PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
    )
    version = await connection.fetchval("SELECT coalesce(max(version), 0) FROM schema_version")
    assert isinstance(version, int)
    return version


def _left(deadline: float) -> float:
    """Return the seconds until `deadline`, with a minimum so that a running database can still answer."""
    return max(deadline - time.monotonic(), 1.0)
