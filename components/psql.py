"""Pods that run psql against a server that is reachable only from the cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pulumi
import pulumi_kubernetes as k8s

from components.pod import Labels, restricted_container, restricted_pod
from contract.platform import Database

#: User and group `postgres` of the official image.
POSTGRES_UID = 999
RETRIES = 4
#: Minimum of the seconds until the Job fails. A new server's host name may take a while to resolve.
DEADLINE_SECONDS = 300
#: Disk space for logs. A pod may use as much as it requests, because GKE Autopilot lowers a limit to the request.
DISK = "64Mi"
RESOURCES: k8s.core.v1.ResourceRequirementsArgsDict = {
    "requests": {"cpu": "50m", "memory": "64Mi", "ephemeral-storage": DISK},
    "limits": {"memory": "128Mi", "ephemeral-storage": DISK},
}
#: Mount path of the Secret.
FILES = "/run/secrets/database"
AUTHORITY = "ca.crt"
PSQL = ["psql", "--no-psqlrc", "--set=ON_ERROR_STOP=1"]


def login_secret(
    labels: Labels,
    namespace: pulumi.Input[str],
    login: Database,
    opts: pulumi.ResourceOptions,
    more: Mapping[str, pulumi.Input[str]] | None = None,
) -> k8s.core.v1.Secret:
    """Declare the Secret of a `psql_pod`: the ``login`` as libpq's variables, its authority, and ``more``."""
    return k8s.core.v1.Secret(
        "database-administrator",
        metadata={"name": labels.app, "namespace": namespace, "labels": labels.all},
        string_data={
            "PGHOST": login.host,
            "PGPORT": pulumi.Output.from_input(login.port).apply(str),
            "PGDATABASE": login.name,
            "PGUSER": login.user,
            "PGPASSWORD": login.password,
            AUTHORITY: login.ca or "",
            **(more or {}),
        },
        opts=opts,
    )


def psql_pod(
    name: str,
    image: pulumi.Input[str],
    args: Sequence[pulumi.Input[str]],
    secret: k8s.core.v1.Secret,
    verified: bool,
    files: Sequence[str] = (AUTHORITY,),
    pull_secret: pulumi.Input[str] | None = None,
) -> k8s.core.v1.PodSpecArgsDict:
    """Return a pod whose container ``name`` runs psql with these arguments.

    The Secret's keys are its environment; those in ``files`` are also mounted as files. If ``verified``, psql accepts
    only a server whose certificate is signed by the authority in the Secret.
    """
    encrypted: list[k8s.core.v1.EnvVarArgsDict] = [
        {"name": "PGSSLMODE", "value": "verify-full"},
        {"name": "PGSSLROOTCERT", "value": f"{FILES}/{AUTHORITY}"},
    ]
    container = restricted_container(
        {
            "name": name,
            "image": image,
            "command": PSQL,
            "args": args,
            "env": encrypted if verified else [],
            "env_from": [{"secret_ref": {"name": secret.metadata["name"]}}],
            "resources": RESOURCES,
            "volume_mounts": [{"name": "authority", "mount_path": FILES, "read_only": True}],
        }
    )
    mounted: k8s.core.v1.VolumeArgsDict = {
        "name": "authority",
        "secret": {
            "secret_name": secret.metadata["name"],
            "default_mode": 0o440,
            "items": [{"key": key, "path": key} for key in files],
        },
    }
    return restricted_pod(
        POSTGRES_UID, {"containers": [container], "restart_policy": "Never", "volumes": [mounted]}, pull_secret
    )


def psql_job(
    name: str,
    labels: Labels,
    namespace: pulumi.Input[str],
    policy: k8s.networking.v1.NetworkPolicy,
    template_annotations: Mapping[str, pulumi.Input[str]],
    pod: k8s.core.v1.PodSpecArgsDict,
    rollout_timeout_seconds: int,
    opts: pulumi.ResourceOptions,
) -> k8s.batch.v1.Job:
    """Declare a Job of a `psql_pod`, which runs again when its template changes. It waits for its pods' ``policy``.

    It gets at least the time of a rollout, because its pod may be the first of a cluster that still has to make a node.
    Its name in the cluster is generated, so that its successor can run before it is removed.
    """
    deadline = max(DEADLINE_SECONDS, rollout_timeout_seconds)
    return k8s.batch.v1.Job(
        name,
        metadata={
            "namespace": namespace,
            "labels": labels.all,
            "annotations": {
                "pulumi.com/replaceUnready": "true",
                "pulumi.com/timeoutSeconds": str(deadline + 30),
            },
        },
        spec={
            "backoff_limit": RETRIES,
            "active_deadline_seconds": deadline,
            "template": {
                "metadata": {"labels": labels.all, "annotations": template_annotations},
                "spec": pod,
            },
        },
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[policy])),
    )
