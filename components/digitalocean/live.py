"""What the account has already: versions that run, and the region's networks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pulumi

from components.digitalocean.doctl import DoctlError, ask_for_rows
from components.restored_server import is_servers_name, restored_name

#: State of a cluster, and status of a database, that takes changes (API reference, Kubernetes and Databases).
RUNNING, ONLINE = "running", "online"
CLUSTERS = ("kubernetes", "cluster", "list")
DATABASES = ("databases", "list")
NETWORKS = ("vpcs", "list")


@dataclass(frozen=True)
class LiveVersion:
    """Version and state of a cluster or a database server."""

    id: str
    #: Version slug of a cluster, major version of a database.
    version: str
    #: ``running`` or ``online``, or what is happening to it.
    state: str

    def reaches(self, wanted: str) -> bool:
        """Return whether it runs the wanted version or a newer one."""
        return version_numbers(self.version) >= version_numbers(wanted)


@dataclass(frozen=True)
class LiveNetwork:
    """A stack's network in the account."""

    #: UUID; "" if there is none yet.
    id: str
    #: Whether it is the region's default network, or will be once it is created. Such a network cannot be deleted.
    is_default: bool


@dataclass(frozen=True)
class Live:
    """What the account has of a stack. A part that does not exist is None."""

    cluster: LiveVersion | None
    database: LiveVersion | None
    network: LiveNetwork


def look(name: str, region: str, restore: Mapping[str, str]) -> Live:
    """Return what the account has of the stack whose resources have this name. Raises pulumi.RunError.

    ``restore`` is the backup that the database begins from; empty for none.
    """
    with ThreadPoolExecutor() as pool:
        clusters, databases, networks = pool.map(_rows, (CLUSTERS, DATABASES, NETWORKS))
    return Live(
        cluster=_cluster(_named(clusters, name, region)),
        database=_database(_own_database(databases, name, region, restore)),
        network=_network(networks, name, region),
    )


def look_at_cluster(id: str) -> LiveVersion | None:
    """Return the cluster with that id. Raises DoctlError."""
    return _cluster(next((row for row in ask_for_rows(*CLUSTERS) if row["id"] == id), None))


def look_at_database(id: str) -> LiveVersion | None:
    """Return the database server with that id. Raises DoctlError."""
    return _database(next((row for row in ask_for_rows(*DATABASES) if row["id"] == id), None))


def version_numbers(version: str) -> tuple[int, ...]:
    """Return a version's numbers, for comparison: (1, 34, 1, 0) for 1.34.1-do.0."""
    return tuple(int(number) for number in re.findall(r"[0-9]+", version))


def _rows(command: tuple[str, ...]) -> list[Mapping[str, Any]]:
    try:
        return ask_for_rows(*command)
    except DoctlError as error:
        raise pulumi.RunError(
            f"stack `{pulumi.get_stack()}`: nothing was changed, because `doctl {' '.join(command)}` fails: {error};"
            " run the command again once it succeeds (docs/how-to/first-day.md lists the token's scopes)"
        ) from None


def _named(rows: Iterable[Mapping[str, Any]], name: str, region: str) -> Mapping[str, Any] | None:
    return next((row for row in rows if row.get("name") == name and row.get("region") == region), None)


def _own_database(
    rows: Iterable[Mapping[str, Any]], name: str, region: str, restore: Mapping[str, str]
) -> Mapping[str, Any] | None:
    """Return the stack's database, which may have a backup's suffix also after the key was unset."""
    if restore:
        return _named(rows, restored_name(name, restore), region)
    return next((row for row in rows if is_servers_name(row["name"], name) and row["region"] == region), None)


def _cluster(row: Mapping[str, Any] | None) -> LiveVersion | None:
    return LiveVersion(row["id"], row["version"], row["status"]["state"]) if row else None


def _database(row: Mapping[str, Any] | None) -> LiveVersion | None:
    return LiveVersion(row["id"], row["version"], row["status"]) if row else None


def _network(rows: Iterable[Mapping[str, Any]], name: str, region: str) -> LiveNetwork:
    in_region = [row for row in rows if row.get("region") == region]
    if own := _named(in_region, name, region):
        return LiveNetwork(own["id"], bool(own.get("default")))
    return LiveNetwork("", not any(row.get("default") for row in in_region))
