"""Data is encrypted at rest and in transit. What a cloud always encrypts is not checked."""

from __future__ import annotations

from pulumi_policy import EnforcementLevel, ResourceValidationPolicy

from policy.rules import Resource, at, check_types, is_set, list_at

ENCRYPTED_SQL = ("ENCRYPTED_ONLY", "TRUSTED_CLIENT_CERTIFICATE_REQUIRED")
#: From this major version, PostgreSQL on RDS requires TLS by default (RDS user guide, SSL with PostgreSQL).
FORCED_SINCE = 15
FORCE_TLS = "rds.force_ssl"


def _rds_storage(database: Resource) -> str | None:
    # A replica, or a member of a cluster, inherits the encryption of its source.
    if any(is_set(database.props, key) for key in ("replicateSourceDb", "replicationSourceIdentifier")):
        return None
    if database.props.get("storageEncrypted") is True:
        return None
    return "the database's storage is not encrypted: set storageEncrypted to true (this replaces the database)"


def _rds_tls(parameters: Resource) -> str | None:
    family = str(parameters.props.get("family") or "")
    if not family.startswith("postgres"):
        return None
    given = [each.get("value") for each in list_at(parameters.props, "parameters") if each.get("name") == FORCE_TLS]
    major = family.removeprefix("postgres").partition(".")[0]
    unset = not given and major.isdecimal() and int(major) < FORCED_SINCE
    if unset or any(str(value) != "1" for value in given):
        return f"the database accepts connections without TLS: set parameter {FORCE_TLS} to `1`"
    return None


def _cloud_sql_tls(database: Resource) -> str | None:
    mode = at(database.props, "settings", "ipConfiguration", "sslMode")
    if mode in ENCRYPTED_SQL:
        return None
    return "the database accepts connections without TLS: set settings.ipConfiguration.sslMode to ENCRYPTED_ONLY"


def _eks_secrets(cluster: Resource) -> str | None:
    if "secrets" in list_at(cluster.props, "encryptionConfig", "resources"):
        return None
    return "the cluster's Secrets are not encrypted with a KMS key: set encryptionConfig, with resources [secrets]"


def _ecr(repository: Resource) -> str | None:
    kinds = [each.get("encryptionType") for each in list_at(repository.props, "encryptionConfigurations")]
    if kinds and all(kind in ("AES256", "KMS", "KMS_DSSE") for kind in kinds):
        return None
    return "the images' encryption is not set: set encryptionConfigurations with encryptionType AES256 or KMS"


def _key_rotation(key: Resource) -> str | None:
    # Signing keys and imported keys cannot be rotated (KMS developer guide, Rotating keys).
    rotates = at(key.props, "customerMasterKeySpec") in (None, "SYMMETRIC_DEFAULT")
    if not rotates or key.props.get("enableKeyRotation") is True:
        return None
    return "the key is never rotated: set enableKeyRotation to true"


def _disks(template: Resource) -> str | None:
    for mapping in list_at(template.props, "blockDeviceMappings"):
        if is_set(mapping, "ebs") and str(at(mapping, "ebs", "encrypted")).lower() != "true":
            return f"disk {mapping.get('deviceName')} of the nodes is not encrypted: set ebs.encrypted to `true`"
    return None


def _volume(volume: Resource) -> str | None:
    return None if volume.props.get("encrypted") is True else "the volume is not encrypted: set encrypted to true"


POLICIES = [
    ResourceValidationPolicy(
        name="encryption",
        description="Data is encrypted at rest and in transit.",
        enforcement_level=EnforcementLevel.MANDATORY,
        validate=check_types(
            {
                "aws:rds/instance:Instance": [_rds_storage],
                "aws:rds/cluster:Cluster": [_rds_storage],
                "aws:rds/parameterGroup:ParameterGroup": [_rds_tls],
                "aws:eks/cluster:Cluster": [_eks_secrets],
                "aws:ecr/repository:Repository": [_ecr],
                "aws:kms/key:Key": [_key_rotation],
                "aws:ec2/launchTemplate:LaunchTemplate": [_disks],
                "aws:ebs/volume:Volume": [_volume],
                "gcp:sql/databaseInstance:DatabaseInstance": [_cloud_sql_tls],
            }
        ),
    ),
]
