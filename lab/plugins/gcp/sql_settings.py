"""Settings of a Cloud SQL instance: what is accepted, and what doesn't go together."""

from __future__ import annotations

import re
from collections.abc import Mapping

from lab.plugins.declared import Property
from lab.plugins.gcp.rules import LABELS, NETWORK, label_faults
from lab.plugins.properties import Properties
from lab.plugins.provider import Failure

SHARED_AUTHORITY = "GOOGLE_MANAGED_CAS_CA"
#: Edition Enterprise Plus has machine types of its own, and keeps changes for longer (days).
PLUS_TIER = re.compile(r"db-(perf-optimized-N|c4a-highmem)-[0-9]+")
TIER = r"db-(f1-micro|g1-small|custom-[0-9]+-[0-9]+|perf-optimized-N-[0-9]+)"
RECOVERY_DAYS = {"ENTERPRISE": 7, "ENTERPRISE_PLUS": 35}

SETTINGS: Mapping[str, Property] = {
    "tier": Property(str, required=True, pattern=TIER, rule="a machine type for PostgreSQL, such as db-custom-2-7680"),
    "edition": Property(str, values=frozenset(RECOVERY_DAYS)),
    "availabilityType": Property(str, values=frozenset({"ZONAL", "REGIONAL"})),
    "activationPolicy": Property(str, values=frozenset({"ALWAYS", "NEVER", "ON_DEMAND"})),
    "diskType": Property(str, replaces=True, values=frozenset({"PD_SSD", "PD_HDD", "HYPERDISK_BALANCED"})),
    "diskSize": Property(int),
    "diskAutoresize": Property(bool),
    "diskAutoresizeLimit": Property(int),
    "ipConfiguration": Property(
        dict,
        inner={
            "ipv4Enabled": Property(bool),
            "privateNetwork": Property(str, pattern=NETWORK.pattern, rule=NETWORK.rule),
            "allocatedIpRange": Property(str),
            "sslMode": Property(str, values=frozenset({"ALLOW_UNENCRYPTED_AND_ENCRYPTED", "ENCRYPTED_ONLY"})),
            "serverCaMode": Property(str, values=frozenset({"GOOGLE_MANAGED_INTERNAL_CA", SHARED_AUTHORITY})),
            "serverCertificateRotationMode": Property(
                str,
                values=frozenset({"NO_AUTOMATIC_ROTATION", "AUTOMATIC_ROTATION_DURING_MAINTENANCE"}),
            ),
        },
    ),
    "backupConfiguration": Property(
        dict,
        inner={
            "enabled": Property(bool),
            "startTime": Property(str, pattern=r"([01][0-9]|2[0-3]):[0-5][0-9]", rule="a time of day, HH:MM"),
            "location": Property(str),
            "pointInTimeRecoveryEnabled": Property(bool),
            "transactionLogRetentionDays": Property(int),
            "backupRetentionSettings": Property(
                dict,
                inner={
                    "retainedBackups": Property(int, required=True),
                    "retentionUnit": Property(str, values=frozenset({"COUNT"})),
                },
            ),
        },
    ),
    "maintenanceWindow": Property(
        dict,
        inner={
            "day": Property(int, values=frozenset(range(1, 8))),
            "hour": Property(int, values=frozenset(range(24))),
            "updateTrack": Property(str, values=frozenset({"canary", "stable", "week5"})),
        },
    ),
    "databaseFlags": Property(
        list, inner={"name": Property(str, required=True), "value": Property(str, required=True)}
    ),
    "deletionProtectionEnabled": Property(bool),
    "retainBackupsOnDelete": Property(bool),
    "finalBackupConfig": Property(dict, inner={"enabled": Property(bool), "retentionDays": Property(int)}),
    "userLabels": LABELS,
}


def settings_faults(settings: Properties) -> list[Failure]:
    """Faults between settings that are right each by itself."""
    found = label_faults(settings.get("userLabels"), "settings.userLabels")
    found += _edition_faults(settings)
    address = settings.get("ipConfiguration") or {}
    if address.get("ipv4Enabled", True) or not address.get("privateNetwork"):
        found.append(
            Failure("settings.ipConfiguration", "needs privateNetwork, and ipv4Enabled false: no public addresses.")
        )
    backups = settings.get("backupConfiguration") or {}
    if settings.get("availabilityType") == "REGIONAL" and not (
        backups.get("enabled") and backups.get("pointInTimeRecoveryEnabled")
    ):
        found.append(
            Failure("settings.availabilityType", "REGIONAL needs backups and point-in-time recovery switched on.")
        )
    return found


def _edition_faults(settings: Properties) -> list[Failure]:
    edition = settings.get("edition", "ENTERPRISE")
    found: list[Failure] = []
    if bool(PLUS_TIER.fullmatch(settings["tier"])) != (edition == "ENTERPRISE_PLUS"):
        found.append(Failure("settings.tier", f"is {settings['tier']}, which edition {edition} does not have."))
    days = (settings.get("backupConfiguration") or {}).get("transactionLogRetentionDays", 1)
    if not 1 <= days <= RECOVERY_DAYS[edition]:
        path = "settings.backupConfiguration.transactionLogRetentionDays"
        found.append(
            Failure(path, f"is {days}, and must be from 1 to {RECOVERY_DAYS[edition]} with edition {edition}.")
        )
    return found
