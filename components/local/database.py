"""PostgreSQL inside the cluster, for a laptop or a temporary cluster."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pulumi
import pulumi_kubernetes as k8s
import pulumi_random as random

from components.component import Component
from components.local.dump import load_dump, loader_app
from components.namespace import PLATFORM_LABEL
from components.pod import Labels, migration_app, restricted_container, restricted_pod
from components.psql import POSTGRES_UID
from contract.platform import Database

#: The same names as on the clouds, so that a service runs unchanged on every cloud.
DATABASE_NAME = "demo"
DATABASE_USER = "demouser"
POSTGRES_PORT = 5432
PASSWORD_LENGTH = 24
#: Enough for 60 pods, surge included, with the addressbook's pool of 4 connections.
MAX_CONNECTIONS = 250
#: Disk space for logs, sockets and /tmp; the data has a volume of its own.
DISK = "128Mi"


@dataclass(frozen=True)
class LocalDatabaseArgs:
    """Image and size of the database."""

    #: Name of the service that uses the database.
    service: str
    namespace: pulumi.Input[str]
    #: An image with the official PostgreSQL image's interface.
    image: str
    #: Size of the volume, a Kubernetes quantity.
    storage: str
    rollout_timeout_seconds: int
    #: File that a new database begins with; None: it begins empty.
    dump: Path | None = None


class LocalDatabase(Component):
    """A PostgreSQL in one pod with its own volume.

    Creates a password, its Secret, a volume claim, a StatefulSet, a ClusterIP Service and a NetworkPolicy. The claim is
    not part of the StatefulSet, so the data outlives pods and replacements of the StatefulSet; only `destroy` removes
    it.
    """

    #: Its host is known once the server answers.
    connection: Database

    def __init__(
        self,
        name: str,
        args: LocalDatabaseArgs,
        kubernetes: k8s.Provider,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("local:Database", name, opts)
        self._args = args
        self._name = f"{args.service}-db"
        self._labels = Labels(app=self._name, part_of=args.service)
        self._options = pulumi.ResourceOptions(parent=self, provider=kubernetes)

        password = random.RandomPassword(
            "database-password",
            length=PASSWORD_LENGTH,
            special=False,
            opts=pulumi.ResourceOptions(parent=self),
        ).result
        secret = k8s.core.v1.Secret(
            "database-password", metadata=self._metadata(), string_data={"password": password}, opts=self._options
        )
        claim = k8s.core.v1.PersistentVolumeClaim(
            "database",
            metadata=self._metadata(),
            spec={"access_modes": ["ReadWriteOnce"], "resources": {"requests": {"storage": args.storage}}},
            opts=self._options,
        )
        service = k8s.core.v1.Service(
            "database",
            metadata=self._metadata(),
            spec={
                "selector": self._labels.selector,
                "ports": [{"name": "postgres", "port": POSTGRES_PORT, "target_port": "postgres"}],
            },
            opts=self._options,
        )
        server = self._server(secret, claim, self._network_policy())
        self.connection = Database(
            host=pulumi.Output.all(service.metadata["name"], args.namespace, server.id).apply(
                lambda values: f"{values[0]}.{values[1]}.svc"
            ),
            port=POSTGRES_PORT,
            name=DATABASE_NAME,
            user=DATABASE_USER,
            password=password,
        )
        if args.dump:
            loaded = load_dump(args.dump, args.service, args.image, args.namespace, self.connection, self._options)
            self.connection = replace(
                self.connection,
                host=pulumi.Output.all(self.connection.host, loaded.id).apply(lambda values: values[0]),
            )
        self.register_outputs({"host": self.connection.host})

    def _metadata(self) -> k8s.meta.v1.ObjectMetaArgs:
        return k8s.meta.v1.ObjectMetaArgs(name=self._name, namespace=self._args.namespace, labels=self._labels.all)

    def _network_policy(self) -> k8s.networking.v1.NetworkPolicy:
        """Allow connections from the service's pods and migrations, and from release stacks' namespaces."""
        apps = [self._args.service, migration_app(self._args.service)]
        if self._args.dump:
            apps.append(loader_app(self._args.service))
        clients: k8s.networking.v1.NetworkPolicyPeerArgsDict = {
            "pod_selector": {"match_expressions": [{"key": "app", "operator": "In", "values": apps}]}
        }
        releases: k8s.networking.v1.NetworkPolicyPeerArgsDict = {
            "namespace_selector": {"match_labels": {PLATFORM_LABEL: self._args.namespace}}
        }
        return k8s.networking.v1.NetworkPolicy(
            "database",
            metadata=self._metadata(),
            spec={
                "pod_selector": {"match_labels": self._labels.selector},
                "policy_types": ["Ingress", "Egress"],
                "ingress": [{"from_": [clients, releases], "ports": [{"port": POSTGRES_PORT, "protocol": "TCP"}]}],
                "egress": [],
            },
            opts=self._options,
        )

    def _server(
        self,
        secret: k8s.core.v1.Secret,
        claim: k8s.core.v1.PersistentVolumeClaim,
        policy: k8s.networking.v1.NetworkPolicy,
    ) -> k8s.apps.v1.StatefulSet:
        probe: k8s.core.v1.ProbeArgsDict = {
            "exec_": {"command": ["pg_isready", "-U", DATABASE_USER, "-d", DATABASE_NAME, "-h", "127.0.0.1"]}
        }
        container = restricted_container(
            {
                "name": "postgres",
                "image": self._args.image,
                "args": ["-c", f"max_connections={MAX_CONNECTIONS}"],
                "env": [
                    {"name": "POSTGRES_DB", "value": DATABASE_NAME},
                    {"name": "POSTGRES_USER", "value": DATABASE_USER},
                    {"name": "POSTGRES_PASSWORD_FILE", "value": "/run/secrets/postgres/password"},
                    {"name": "PGDATA", "value": "/var/lib/postgresql/data/pgdata"},
                ],
                "ports": [{"name": "postgres", "container_port": POSTGRES_PORT}],
                # A startup probe, because recovery after a hard stop may outlast any liveness limit.
                "startup_probe": {
                    **probe,
                    "period_seconds": 1,
                    "failure_threshold": self._args.rollout_timeout_seconds,
                },
                "readiness_probe": {**probe, "period_seconds": 2, "timeout_seconds": 5},
                "liveness_probe": {**probe, "period_seconds": 10, "timeout_seconds": 5, "failure_threshold": 6},
                "resources": {
                    "requests": {"cpu": "100m", "memory": "128Mi", "ephemeral-storage": DISK},
                    "limits": {"memory": "512Mi", "ephemeral-storage": DISK},
                },
                "volume_mounts": [
                    {"name": "data", "mount_path": "/var/lib/postgresql/data"},
                    {"name": "password", "mount_path": "/run/secrets/postgres", "read_only": True},
                    {"name": "run", "mount_path": "/var/run/postgresql"},
                    {"name": "tmp", "mount_path": "/tmp"},  # noqa: S108 a mount inside the container
                ],
            }
        )
        pod = restricted_pod(
            POSTGRES_UID,
            {
                "containers": [container],
                "volumes": [
                    {"name": "data", "persistent_volume_claim": {"claim_name": claim.metadata["name"]}},
                    {"name": "password", "secret": {"secret_name": secret.metadata["name"], "default_mode": 0o440}},
                    {"name": "run", "empty_dir": {"size_limit": DISK}},
                    {"name": "tmp", "empty_dir": {"size_limit": DISK}},
                ],
                "termination_grace_period_seconds": 30,
            },
        )
        return k8s.apps.v1.StatefulSet(
            "database",
            metadata={
                "name": self._name,
                "namespace": self._args.namespace,
                "labels": self._labels.all,
                "annotations": {"pulumi.com/timeoutSeconds": str(self._args.rollout_timeout_seconds)},
            },
            spec={
                "service_name": self._name,
                "replicas": 1,
                "selector": {"match_labels": self._labels.selector},
                "template": {"metadata": {"labels": self._labels.all}, "spec": pod},
            },
            opts=pulumi.ResourceOptions.merge(self._options, pulumi.ResourceOptions(depends_on=[policy])),
        )
