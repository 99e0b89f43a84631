"""Cloud ``gcp``: GKE Autopilot, Artifact Registry, and Cloud SQL for PostgreSQL on one private network."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import IPv4Network
from typing import Annotated

from pydantic import AfterValidator, Field, field_validator

from components.database_rights import DatabaseRights, DatabaseRightsArgs
from components.gcp.cluster import Cluster, ClusterArgs
from components.gcp.database import ManagedDatabase, ManagedDatabaseArgs
from components.gcp.network import NETWORK_PREFIX, Network, NetworkArgs, Ranges
from components.gcp.nodes import NodeIdentity, NodeIdentityArgs
from components.gcp.project import (
    access_token,
    missing_access,
    missing_prerequisites,
    project_id,
    stack_labels,
    stack_name,
)
from components.gcp.registry import ContainerRegistry, RegistryArgs, caller_login
from components.gcp.services import ProjectServices
from components.namespace import namespace
from contract.platform import Platform, cloud_outputs
from contract.settings import DatabaseClientKeys, MaintenanceWindow, PostgresVersion, Settings
from stacks.platform_reference import CloudReleaseStackKeys, Connection, connect_by_kubeconfig

#: Order in which Google counts the days of the week, from 1.
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
#: Memory of a machine type of one's own (Cloud SQL documentation, Machine types): megabytes at least, and of which it
#: is a multiple; and gigabytes for each processor.
LEAST_MEMORY, MEMORY_STEP, MEMORY_PER_CPU = 3840, 256, (0.9, 6.5)
#: RFC 1918.
PRIVATE = [IPv4Network(block) for block in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")]
#: The range of Cloud SQL's own containers (Cloud SQL documentation, Private addresses).
UNREACHABLE = IPv4Network("172.17.0.0/16")
#: A load balancer with a backend service, Google's present kind; it can't become one later.
LOAD_BALANCER = {"cloud.google.com/l4-rbs": "enabled"}
_CUSTOM_SIZE = re.compile(r"^db-custom-(\d+)-(\d+)$")


def _range(value: str) -> str:
    try:
        return str(IPv4Network(value))
    except ValueError as error:
        raise ValueError(f"must be an IPv4 address range such as 203.0.113.0/24: {error}") from None


class PlatformKeys(DatabaseClientKeys):
    """Config keys of a Google Cloud platform; Pulumi.yaml says what each means. The project is ``gcp:project``."""

    region: str = Field(default="us-central1", pattern=r"^[a-z]+-[a-z]+[0-9]+$")
    kubernetes_version: str = Field(pattern=r"^1\.[0-9]+(\.[0-9]+-gke\.[0-9]+)?$")
    network_range: str = "10.64.0.0/16"
    api_server_access: list[Annotated[str, AfterValidator(_range)]] = Field(default=[])
    database_version: PostgresVersion = "15"
    database_size: str = Field(
        default="db-custom-1-3840",
        pattern=r"^db-(f1-micro|g1-small|custom-[0-9]+-[0-9]+|perf-optimized-N-[0-9]+)$",
    )
    high_availability: bool = False
    maintenance_window: MaintenanceWindow = "sunday 03:00"
    deletion_protection: bool = True
    final_snapshot: bool = True

    @field_validator("network_range")
    @classmethod
    def _network_range(cls, value: str) -> str:
        given = IPv4Network(_range(value))
        private = any(given.subnet_of(block) for block in PRIVATE)
        if given.prefixlen != NETWORK_PREFIX or not private or given == UNREACHABLE:
            raise ValueError(
                f"must be a private /{NETWORK_PREFIX}, and not {UNREACHABLE}, which Cloud SQL does not answer to"
            )
        return value

    @field_validator("database_size")
    @classmethod
    def _custom_size(cls, value: str) -> str:
        custom = _CUSTOM_SIZE.match(value)
        if not custom:
            return value
        cpus, memory = int(custom[1]), int(custom[2])
        least, most = (round(cpus * gigabytes * 1024) for gigabytes in MEMORY_PER_CPU)
        if cpus != 1 and (cpus % 2 or not 2 <= cpus <= 96):
            raise ValueError("has 1 processor, or an even number of them up to 96: db-custom-CPUS-MEGABYTES")
        least = max(LEAST_MEMORY, least)
        if memory % MEMORY_STEP or not least <= memory <= most:
            raise ValueError(
                f"needs a multiple of {MEMORY_STEP} MB of memory, from {least} to {most} with its number of processors"
            )
        return value

    @property
    def maintenance(self) -> tuple[int, int]:
        """Day of the week (Monday is 1) and hour (UTC) of the maintenance window."""
        day, _, time = self.maintenance_window.partition(" ")
        return WEEKDAYS.index(day) + 1, int(time.partition(":")[0])

    @classmethod
    def missing_prerequisites(cls) -> list[str]:
        """Project, credentials, the plugin that presents them, a name that Google takes."""
        return missing_prerequisites()

    def owns_image(self, image: str) -> bool:
        """By the name that images have in the registry that the stack makes or names."""
        return image.startswith(f"{self.region}-docker.pkg.dev/{project_id()}/{stack_name()}/")


class ReleaseStackKeys(CloudReleaseStackKeys):
    """Config keys of a stack on another's platform on Google Cloud."""

    @classmethod
    def missing_prerequisites(cls) -> list[str]:
        """Credentials, and the plugin that presents them."""
        return missing_access()


def provision(settings: Settings[PlatformKeys]) -> Platform:
    """A VPC with the cluster and the database in it, and the registry that its nodes pull from."""
    keys = settings.platform
    name, labels, token = stack_name(), stack_labels(), access_token()
    enabled = ProjectServices("services").enabled
    network = Network(
        "network",
        NetworkArgs(
            name=name,
            region=keys.region,
            ranges=Ranges(IPv4Network(keys.network_range)),
            labels=labels,
            services=enabled,
        ),
    )
    images = ContainerRegistry(
        "registry",
        RegistryArgs(
            name=name,
            region=keys.region,
            labels=labels,
            services=enabled,
            token=token,
            protect=keys.deletion_protection,
        ),
    )
    nodes = NodeIdentity(
        "nodes",
        NodeIdentityArgs(
            name=name, project=project_id(), region=keys.region, repository=images.repository, services=enabled
        ),
    )
    cluster = Cluster(
        "cluster",
        ClusterArgs(
            name=name,
            region=keys.region,
            version=keys.kubernetes_version,
            network=network.id,
            subnetwork=network.subnetwork,
            node_account=nodes.email,
            clients=keys.api_server_access,
            maintenance=keys.maintenance,
            labels=labels,
            protect=keys.deletion_protection,
            ready=[network.way_out, *nodes.rights],
        ),
    )
    database = ManagedDatabase(
        "database",
        ManagedDatabaseArgs(
            name=name,
            region=keys.region,
            version=keys.database_version,
            size=keys.database_size,
            standby=keys.high_availability,
            network=network.id,
            private_services=network.private_services,
            maintenance=keys.maintenance,
            labels=labels,
            services=enabled,
            protect=keys.deletion_protection,
            final_backup=keys.final_snapshot,
        ),
    )
    space = namespace(settings.stack.namespace, cluster.kubernetes).metadata["name"]
    rights = DatabaseRights(
        "database-rights",
        DatabaseRightsArgs(
            service=settings.service.name,
            namespace=space,
            database=database.connection,
            administrator=database.administrator,
            registry=images.registry,
            client_image=keys.database_client_image,
        ),
        kubernetes=cluster.kubernetes,
    )
    return Platform(
        kubernetes=cluster.kubernetes,
        namespace=space,
        registry=images.registry,
        database=rights.connection,
        protect=keys.deletion_protection,
        load_balancer_annotations=LOAD_BALANCER,
        outputs=cloud_outputs(cluster.name, cluster.endpoint, cluster.kubeconfig, images.registry, database.connection),
        administrator=database.administrator,
        access={
            "kubeconfig": cluster.kubeconfig,
            "cluster": cluster.identifier,
            "registry": images.registry.url,
        },
    )


def connect(settings: Settings[ReleaseStackKeys], access: Mapping[str, str]) -> Connection:
    """The cluster and the registry of another stack's platform, with credentials of the caller's."""
    return connect_by_kubeconfig(settings, access, caller_login(access["registry"], access_token()), LOAD_BALANCER)
