"""Pods that run psql against a server that only the cluster reaches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pulumi
import pulumi_kubernetes as k8s

from components.image_copy import ImageCopy
from components.pod import Labels, restricted_container, restricted_pod
from contract.platform import Database, Registry

#: User and group `postgres` in the official image.
POSTGRES_UID = 999
RETRIES = 4
#: Seconds that a script may take: the host name of a server just made may not be known at once.
DEADLINE_SECONDS = 300
#: Folder that the Secret's files are in.
FILES = "/run/secrets/database"
AUTHORITY = "ca.crt"
PSQL = ["psql", "--no-psqlrc", "--set=ON_ERROR_STOP=1"]


def client_image(configured: str, registry: Registry, repository: str, parent: pulumi.Resource) -> pulumi.Input[str]:
    """What the pods run: an image named by digest from the stack's own registry, once it is copied; a tag as it is.

    ``repository`` is the service's, the one that is there on every cloud: ECR makes none by itself.
    """
    if "@" not in configured:
        return configured
    return ImageCopy(configured, registry, repository, opts=pulumi.ResourceOptions(parent=parent)).image


def login_secret(
    labels: Labels,
    namespace: pulumi.Input[str],
    login: Database,
    opts: pulumi.ResourceOptions,
    more: Mapping[str, pulumi.Input[str]] | None = None,
) -> k8s.core.v1.Secret:
    """The Secret of a `psql_pod`: the administrator's ``login`` as libpq's variables, the authority, and ``more``."""
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
) -> k8s.core.v1.PodSpecArgsDict:
    """A pod whose container ``name`` runs the image's psql with these arguments.

    The Secret's keys become its environment (PGHOST, PGUSER, … are libpq's), and those in ``files`` are files as well.
    ``verified``: only a server with a certificate of the authority in the Secret will do.
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
            "resources": {"requests": {"cpu": "50m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}},
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
    return restricted_pod(POSTGRES_UID, {"containers": [container], "restart_policy": "Never", "volumes": [mounted]})


def psql_job(
    name: str,
    metadata: k8s.meta.v1.ObjectMetaArgsDict,
    template_annotations: Mapping[str, pulumi.Input[str]],
    pod: k8s.core.v1.PodSpecArgsDict,
    opts: pulumi.ResourceOptions,
) -> k8s.batch.v1.Job:
    """A Job of such a pod, run anew when its template changes; ``metadata`` has namespace and labels.

    Its name is generated, so that the next one can run before this one is removed.
    """
    return k8s.batch.v1.Job(
        name,
        metadata={
            **metadata,
            "annotations": {
                "pulumi.com/replaceUnready": "true",
                "pulumi.com/timeoutSeconds": str(DEADLINE_SECONDS + 30),
            },
        },
        spec={
            "backoff_limit": RETRIES,
            "active_deadline_seconds": DEADLINE_SECONDS,
            "template": {
                "metadata": {"labels": metadata.get("labels", {}), "annotations": template_annotations},
                "spec": pod,
            },
        },
        opts=opts,
    )
