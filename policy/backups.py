"""Databases have backups. DigitalOcean backs its databases up daily, and that cannot be switched off."""

from __future__ import annotations

from pulumi_policy import EnforcementLevel, ResourceValidationPolicy

from policy.rules import Resource, at, check_types, is_set

REMEDY = "so nothing could be restored: set"


def _rds(database: Resource) -> str | None:
    # A replica's data is its source's. The provider's default is 0 days (aws.rds.Instance).
    if is_set(database.props, "replicateSourceDb") or database.props.get("backupRetentionPeriod"):
        return None
    return f"the database has no backups, {REMEDY} backupRetentionPeriod to a number of days (config key backupDays)"


def _aurora(cluster: Resource) -> str | None:
    if cluster.props.get("backupRetentionPeriod") != 0:  # unset, it is one day
        return None
    return f"the database has no backups, {REMEDY} backupRetentionPeriod to a number of days"


def _cloud_sql(database: Resource) -> str | None:
    if is_set(database.props, "masterInstanceName"):
        return None
    if at(database.props, "settings", "backupConfiguration", "enabled") is True:
        return None
    return f"the database has no backups, {REMEDY} settings.backupConfiguration.enabled to true"


POLICIES = [
    ResourceValidationPolicy(
        name="database-backups",
        description="Databases have automatic backups.",
        enforcement_level=EnforcementLevel.MANDATORY,
        validate=check_types(
            {
                "aws:rds/instance:Instance": [_rds],
                "aws:rds/cluster:Cluster": [_aurora],
                "gcp:sql/databaseInstance:DatabaseInstance": [_cloud_sql],
            }
        ),
    ),
]
