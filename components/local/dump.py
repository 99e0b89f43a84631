"""Load a dump into a new database, from inside the cluster."""

from __future__ import annotations

import base64
import gzip
import hashlib
from pathlib import Path

import pulumi
import pulumi_kubernetes as k8s

from components.network_policies import database_client_policy
from components.pod import Labels, restricted_container, restricted_pod
from components.psql import POSTGRES_UID, RESOURCES
from contract.platform import Database

#: Bytes of a compressed dump. A Secret holds 1 MiB (Kubernetes documentation, Secrets), base64 and metadata included.
MAX_DUMP_BYTES = 700 * 1024
#: Seconds until the Job fails.
DEADLINE_SECONDS = 600
FOLDER, FILE = "/run/secrets/dump", "dump.sql.gz"
#: The dump and its mark are one transaction, so a Job that runs again finds either neither or both.
SCRIPT = r"""
set -eu
tables=$(psql -XAtc "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'")
mark=$(psql -XAtc "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = current_database()")
if [ "$mark" = "restored $DIGEST" ]; then echo "already restored"; exit 0; fi
if [ "$tables" != 0 ]; then echo "the database is not empty: nothing was loaded" >&2; exit 1; fi
{ gunzip -c "$DUMP"; echo "COMMENT ON DATABASE \"$PGDATABASE\" IS 'restored $DIGEST';"; } |
  psql --no-psqlrc --quiet --output=/dev/null --set=ON_ERROR_STOP=1 --single-transaction --file=-
"""


def packed(file: Path) -> bytes:
    """Return the dump, compressed; always the same bytes for the same dump."""
    return gzip.compress(file.read_bytes(), mtime=0)


def loader_app(service: str) -> str:
    """Return label ``app`` of the pod that loads the dump."""
    return f"{service}-db-restore"


def load_dump(
    file: Path,
    service: str,
    image: str,
    namespace: pulumi.Input[str],
    database: Database,
    opts: pulumi.ResourceOptions,
) -> k8s.batch.v1.Job:
    """Declare a Job that loads the dump, its NetworkPolicy, and the Secret with dump and login.

    It fails if the database has tables that are not from this dump. ``image`` is PostgreSQL's, which has psql.
    """
    labels = Labels(app=loader_app(service), part_of=service)
    dump = packed(file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    password = pulumi.Output.from_input(database.password).apply(lambda text: base64.b64encode(text.encode()).decode())
    secret = k8s.core.v1.Secret(
        "database-dump",
        metadata={"name": labels.app, "namespace": namespace, "labels": labels.all},
        data={FILE: pulumi.Output.secret(base64.b64encode(dump).decode()), "password": password},
        opts=opts,
    )
    container = restricted_container(
        {
            "name": "restore",
            "image": image,
            "command": ["sh", "-c", SCRIPT],
            "env": [
                {"name": "PGHOST", "value": database.host},
                {"name": "PGPORT", "value": pulumi.Output.from_input(database.port).apply(str)},
                {"name": "PGDATABASE", "value": database.name},
                {"name": "PGUSER", "value": database.user},
                {
                    "name": "PGPASSWORD",
                    "value_from": {"secret_key_ref": {"name": secret.metadata["name"], "key": "password"}},
                },
                {"name": "DUMP", "value": f"{FOLDER}/{FILE}"},
                {"name": "DIGEST", "value": digest},
            ],
            "resources": RESOURCES,
            "volume_mounts": [{"name": "dump", "mount_path": FOLDER, "read_only": True}],
        }
    )
    pod = restricted_pod(
        POSTGRES_UID,
        {
            "containers": [container],
            "restart_policy": "Never",
            "volumes": [
                {
                    "name": "dump",
                    "secret": {
                        "secret_name": secret.metadata["name"],
                        "default_mode": 0o440,
                        "items": [{"key": FILE, "path": FILE}],
                    },
                }
            ],
        },
    )
    policy = database_client_policy("database-restore", labels, namespace, database.port, opts)
    return k8s.batch.v1.Job(
        "database-restore",
        metadata={
            "namespace": namespace,
            "labels": labels.all,
            "annotations": {
                "pulumi.com/replaceUnready": "true",
                "pulumi.com/timeoutSeconds": str(DEADLINE_SECONDS + 30),
            },
        },
        spec={
            "backoff_limit": 1,
            "active_deadline_seconds": DEADLINE_SECONDS,
            "template": {"metadata": {"labels": labels.all}, "spec": pod},
        },
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[policy])),
    )
