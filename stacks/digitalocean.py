"""Cloud ``digitalocean``: DOKS, the account's container registry, and managed PostgreSQL in one VPC."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import pulumi
from pydantic import Field, ValidationInfo, field_validator

from components.database_rights import DatabaseRights, DatabaseRightsArgs
from components.digitalocean.account import missing_prerequisites, stack_name, stack_tags
from components.digitalocean.checks import Wanted, refuse_what_the_account_cannot_have
from components.digitalocean.cluster import Cluster, ClusterArgs, existing_cluster
from components.digitalocean.database import ManagedDatabase, ManagedDatabaseArgs
from components.digitalocean.entrance import LOAD_BALANCER, ManagedCertificate, record_in, tls
from components.digitalocean.live import LiveNetwork, LiveVersion, look
from components.digitalocean.network import Network, NetworkArgs
from components.digitalocean.registry import ImageRegistry, RegistryArgs
from components.namespace import namespace
from components.pull_secret import with_pull_secret
from contract.platform import HTTP_PORT, HTTPS_PORT, ClusterAccess, Connection, Entrance, Platform, cloud_outputs
from contract.restore import Restore, check_parts
from contract.settings import DatabaseClientKeys, MaintenanceWindow, PostgresVersion, Settings
from contract.update import wanted_version
from stacks.entrance import HOSTNAME, EntranceKeys, needs_hostname, with_load_balancer, without_gateway
from stacks.existing_cluster import of_own_cluster, version_of_own_cluster
from stacks.platform_reference import CloudReleaseStackKeys, connect_by_kubeconfig
from stacks.restoring import restored_output, was_restored

#: The smallest plan with room for a service's image history.
SMALLEST_PLAN = "basic"
#: Seconds until an autoscaled pool has another node. An estimate: DigitalOcean names no number.
NEW_NODE_SECONDS = 300
#: The smallest size of a database node.
SMALLEST_DATABASE = "db-s-1vcpu-1gb"
#: The smallest size that can have a standby.
SMALLEST_WITH_STANDBY = "db-s-1vcpu-2gb"


class LoadBalancerKeys(EntranceKeys):
    """Config keys of the load balancer, on a platform and in a release stack."""

    certificate: str = Field(
        default="",
        pattern=r"^([A-Za-z0-9][A-Za-z0-9_ .-]*)?$",
        max_length=255,
        description="Name of a certificate for `hostname` in the account (`doctl compute certificate list`). Unset:"
        " with dnsZone a Let's Encrypt certificate, which DigitalOcean renews; otherwise no HTTPS.",
    )
    dns_zone: str = Field(
        default="",
        max_length=253,
        pattern=HOSTNAME,
        description="Domain in the account's DNS that gets a record for `hostname`, and proves it for the certificate"
        " (`doctl compute domain list`). Unset: no record.",
    )

    _need_hostname = field_validator("certificate", "dns_zone")(needs_hostname)
    _needs_no_gateway = field_validator("certificate")(without_gateway)
    _needs_load_balancer = field_validator("dns_zone")(with_load_balancer)

    @field_validator("dns_zone")
    @classmethod
    def _require_parent(cls, value: str, others: ValidationInfo) -> str:
        hostname: str = others.data.get("hostname", "")
        if value and hostname and not f".{hostname}".endswith(f".{value}"):
            raise ValueError(f"must be the domain of `hostname` ({hostname})")
        return value

    def entrance(self) -> Entrance:
        """Return how users reach the release, and declare the certificate."""
        certificate: Mapping[str, pulumi.Input[str]] = {}
        if self.certificate:
            certificate = tls(self.certificate)
        elif self.dns_zone and not self.gateway:
            certificate = ManagedCertificate("certificate", stack_name(), self.hostname).annotations
        # DigitalOcean's controller gives a new Service the load balancer that has its name. Traefik's Service must not
        # get the public Service's, which is deleted when the stack gets its Gateway.
        name = f"{stack_name()}-gateway" if self.gateway else stack_name()
        return Entrance(
            annotations={f"{LOAD_BALANCER}-name": name, **certificate},
            ports=[HTTP_PORT, HTTPS_PORT] if certificate else [HTTP_PORT],
            hostname=self.hostname,
            sources=self.allowed_sources,
            publish=record_in(self.dns_zone, self.hostname) if self.dns_zone else None,
            gateway=self.portable_gateway,
        )


class PlatformKeys(DatabaseClientKeys, LoadBalancerKeys):
    """Config keys of a DigitalOcean platform."""

    region: str = Field(
        examples=["fra1"],
        pattern=r"^[a-z]{3}[0-9]$",
        description="Region slug. A change replaces everything.",
    )
    cluster: str = Field(
        default="",
        pattern=r"^([A-Za-z0-9][A-Za-z0-9.-]*)?$",
        max_length=255,
        description="Name of an existing cluster of the region (`doctl kubernetes cluster list`), used instead of an"
        " own one and never changed; the database goes into its VPC. Unset: the stack creates one. A change replaces"
        " everything.",
    )
    kubernetes_version: str = Field(
        default="",
        validate_default=True,
        examples=["1.34.1-do.0"],
        pattern=r"^([0-9]+\.[0-9]+\.[0-9]+-do\.[0-9]+)?$",
        description="Version slug that the cluster has at least (`doctl kubernetes options versions`). A newer one"
        " upgrades in place, one step at a time. A cluster that DigitalOcean has upgraded further stays as it is."
        " Mandatory without `cluster`.",
    )
    _without_version = field_validator("kubernetes_version")(version_of_own_cluster)
    _of_own_cluster = field_validator("node_count", "max_node_count", "node_size", "vpc")(of_own_cluster)
    node_count: int = Field(
        default=3, ge=1, le=500, description="Worker nodes; with maxNodeCount, the minimum number of them."
    )
    max_node_count: int | None = Field(
        default=None,
        ge=1,
        le=500,
        description="Maximum number of worker nodes for autoscaling. Unset: no autoscaling.",
    )
    node_size: str = Field(
        default="s-2vcpu-2gb",
        pattern=r"^[a-z0-9.-]+$",
        description="Droplet size of the worker nodes. A change creates a new pool, then removes the old one; the"
        " cluster stays.",
    )
    registry: str | None = Field(
        default=None,
        pattern=r"^[a-z0-9][a-z0-9-]{0,62}$",
        description="Name of the account's existing container registry. Unset: the stack creates one.",
    )
    vpc: str = Field(
        default="",
        pattern=r"^([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})?$",
        description="UUID of an existing VPC of the region for cluster and database (`doctl vpcs list`). Unset: the"
        " stack creates one. A change replaces everything.",
    )
    registry_name: str | None = Field(
        default=None,
        examples=["acme-addressbook"],
        pattern=r"^[a-z0-9][a-z0-9-]{0,62}$",
        description="Name of the registry that the stack creates, unique in all of DigitalOcean. Unset:"
        " `<project>-<stack>`. A change replaces the registry with its images.",
    )
    registry_plan: Literal["starter", "basic", "professional"] = Field(
        default=SMALLEST_PLAN,
        description="Plan of the account's registries when the stack creates the first: `starter` has 500 MiB and 1"
        " repository, `basic` 5 GiB and 5. Change it later in the control panel; an update leaves it alone.",
    )
    database_version: PostgresVersion = "15"
    high_availability: bool = Field(
        default=False,
        description="Control plane of several nodes (cannot be switched off again) and a standby database node.",
    )
    database_size: str | None = Field(
        default=None,
        pattern=r"^[a-z0-9-]+$",
        description=f"Size slug of each database node. Unset: {SMALLEST_DATABASE}, or with highAvailability"
        f" {SMALLEST_WITH_STANDBY}, the smallest with a standby.",
    )
    maintenance_window: MaintenanceWindow = Field(
        default="sunday 03:00",
        description="Weekday and full hour (UTC) of the database's maintenance. The cluster ignores it, because its"
        " automatic upgrades are off; raise kubernetesVersion to get patches.",
    )
    deletion_protection: bool = Field(
        default=True,
        description="The engine refuses to delete the cluster, the registry and the database. Set it to false only to"
        " take the stack down.",
    )
    database_restore: Restore = Field(
        default={},
        description="Begin the database from a backup: `server` (name of the existing database cluster) and `time`"
        " (UTC; unset: its latest backup). A new value makes a new server, which deletionProtection refuses while there"
        " is one. Unset: the server is kept. See docs/how-to/restore.md.",
    )

    @field_validator("database_restore")
    @classmethod
    def _require_backup(cls, value: Restore) -> Restore:
        check_parts(value, frozenset({"server"}), frozenset({"server", "time"}))
        return value

    @field_validator("max_node_count")
    @classmethod
    def _require_minimum(cls, value: int | None, others: ValidationInfo) -> int | None:
        minimum: int = others.data.get("node_count", 1)
        if value is not None and value < minimum:
            raise ValueError(f"must be nodeCount ({minimum}) or more")
        return value

    @field_validator("database_size")
    @classmethod
    def _require_standby_size(cls, value: str | None, others: ValidationInfo) -> str | None:
        if value == SMALLEST_DATABASE and others.data.get("high_availability"):
            raise ValueError(
                f"cannot have the standby that highAvailability asks for; {SMALLEST_WITH_STANDBY} is the smallest"
            )
        return value

    @field_validator("registry_name")
    @classmethod
    def _require_one_registry(cls, value: str | None, others: ValidationInfo) -> str | None:
        if value is not None and others.data.get("registry"):
            raise ValueError("names a new registry, while `registry` names an existing one; unset one of them")
        return value

    @property
    def own_registry(self) -> str:
        """Name of the registry that the stack creates or names."""
        return self.registry or self.registry_name or stack_name()

    @property
    def droplets(self) -> int:
        """Maximum number of nodes, the base node included."""
        return 1 + (self.max_node_count or self.node_count)

    @property
    def database_nodes(self) -> int:
        """Number of database nodes, standby included."""
        return 2 if self.high_availability else 1

    @property
    def database_node_size(self) -> str:
        """Size slug of each database node."""
        return self.database_size or (SMALLEST_WITH_STANDBY if self.high_availability else SMALLEST_DATABASE)

    @property
    def maintenance(self) -> tuple[str, str]:
        """Weekday and time of day (UTC) of the maintenance window."""
        day, _, time = self.maintenance_window.partition(" ")
        return day, time

    @classmethod
    def missing_prerequisites(cls) -> list[str]:
        """Return an error for each missing prerequisite: token, doctl, a valid resource name."""
        return missing_prerequisites()

    def owns_image(self, image: str) -> bool:
        """Return whether the image is in the registry that the stack creates or names."""
        return image.startswith(f"registry.digitalocean.com/{self.own_registry}/")


class ReleaseStackKeys(CloudReleaseStackKeys, LoadBalancerKeys):
    """Config keys of a release stack on a DigitalOcean platform."""

    @classmethod
    def missing_prerequisites(cls) -> list[str]:
        """Return an error for each missing prerequisite: token, doctl, a valid name for the load balancer."""
        return missing_prerequisites()


def provision(settings: Settings[PlatformKeys]) -> Platform:
    """Declare a VPC with the cluster and the database, and the registry that the cluster pulls from."""
    keys = settings.platform
    name, tags = stack_name(), stack_tags()
    restored = was_restored(keys.database_restore)
    live = look(name, keys.region, keys.database_restore)
    kubernetes_version = wanted_version(keys.kubernetes_version, live.cluster.version if live.cluster else "")
    database_version = wanted_version(keys.database_version, live.database.version if live.database else "")
    refuse_what_the_account_cannot_have(
        Wanted(
            name=name,
            kubernetes_version=kubernetes_version or None,
            database_version=database_version,
            droplets=keys.droplets,
            new_registry=None if keys.registry else keys.own_registry,
        ),
        live,
    )
    _warn_of_short_rollouts(keys, settings.service.rollout_timeout_seconds)
    existing = existing_cluster(keys.cluster, keys.region) if keys.cluster else None  # may refuse, so it comes first
    images = ImageRegistry(
        "registry",
        RegistryArgs(
            name=keys.own_registry,
            region=keys.region,
            existing=keys.registry,
            plan=keys.registry_plan,
            protect=keys.deletion_protection,
        ),
    )
    if existing:
        cluster, vpc = existing, existing.vpc
    else:
        vpc = keys.vpc or _own_network(name, keys.region, live.network, images)
        cluster = _own_cluster(keys, kubernetes_version, live.cluster, vpc, images)
    database = ManagedDatabase(
        "database",
        ManagedDatabaseArgs(
            name=name,
            region=keys.region,
            version=database_version,
            live=live.database,
            size=keys.database_node_size,
            nodes=keys.database_nodes,
            vpc=vpc,
            client=cluster.id,
            maintenance=keys.maintenance,
            tags=tags,
            protect=keys.deletion_protection,
            restore=keys.database_restore,
            restored=restored,
        ),
    )
    namespace_name = namespace(settings.stack.namespace, cluster.kubernetes).metadata["name"]
    registry = with_pull_secret(images.registry, namespace_name, cluster.kubernetes)
    rights = DatabaseRights(
        "database-rights",
        DatabaseRightsArgs(
            service=settings.service.name,
            namespace=namespace_name,
            database=database.connection,
            administrator=database.administrator,
            registry=registry,
            client_image=keys.database_client_image,
            rollout_timeout_seconds=settings.service.rollout_timeout_seconds,
        ),
        kubernetes=cluster.kubernetes,
    )
    return Platform(
        kubernetes=cluster.kubernetes,
        cluster=ClusterAccess(kubeconfig=cluster.kubeconfig),
        namespace=namespace_name,
        registry=registry,
        database=rights.connection,
        entrance=keys.entrance(),
        protect=keys.deletion_protection,
        outputs={
            **cloud_outputs(
                keys.cluster or name, cluster.endpoint, cluster.kubeconfig, images.registry, database.connection
            ),
            **restored_output(restored),
        },
        administrator=database.administrator,
        access={
            "kubeconfig": cluster.kubeconfig,
            "cluster": cluster.id,
            "registry": images.registry.url,
            "region": keys.region,
        },
    )


def _warn_of_short_rollouts(keys: PlatformKeys, seconds: int) -> None:
    """Warn if a rollout may fail while the pool grows for it."""
    if keys.max_node_count and seconds < NEW_NODE_SECONDS:
        pulumi.log.warn(
            f"rolloutTimeoutSeconds = {seconds}: a rollout that needs another node may fail, as a new node takes up to"
            f" {NEW_NODE_SECONDS} seconds; set rolloutTimeoutSeconds to {NEW_NODE_SECONDS} or more"
        )


def _own_network(name: str, region: str, live: LiveNetwork, images: ImageRegistry) -> pulumi.Output[str]:
    """Declare the stack's own VPC after the registry, whose name may be taken after all; return its id."""
    after = [images.resource] if images.resource else []
    return Network("network", NetworkArgs(name=name, region=region, live=live), after=after).vpc


def _own_cluster(
    keys: PlatformKeys, version: str, live: LiveVersion | None, vpc: pulumi.Input[str], images: ImageRegistry
) -> Cluster:
    return Cluster(
        "cluster",
        ClusterArgs(
            name=stack_name(),
            region=keys.region,
            version=version,
            live=live,
            vpc=vpc,
            nodes=keys.node_count,
            max_nodes=keys.max_node_count,
            node_size=keys.node_size,
            high_availability=keys.high_availability,
            maintenance=keys.maintenance,
            tags=stack_tags(),
            protect=keys.deletion_protection,
        ),
        registry=images.resource,
    )


def connect(settings: Settings[ReleaseStackKeys], access: Mapping[str, str]) -> Connection:
    """Connect to another stack's platform, with registry credentials of this stack's own."""
    registry_name = access["registry"].rpartition("/")[2]
    images = ImageRegistry(
        "registry",
        RegistryArgs(
            name=registry_name, region=access["region"], existing=registry_name, plan=SMALLEST_PLAN, protect=False
        ),
    )
    return connect_by_kubeconfig(settings, access, images.registry, settings.platform.entrance(), has_zones=False)
