"""Cloud ``gcp``: GKE Autopilot, Artifact Registry, and Cloud SQL for PostgreSQL on one private network."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from ipaddress import IPv4Network
from typing import Annotated, Any, ClassVar

import pulumi
import pulumi_kubernetes as k8s
from pydantic import Field, ValidationInfo, field_validator

from components.database_rights import DatabaseRights, DatabaseRightsArgs
from components.gcp.autopilot import changed_requests
from components.gcp.cluster import Cluster, ClusterArgs, existing_cluster, find_cluster
from components.gcp.database import ManagedDatabase, ManagedDatabaseArgs
from components.gcp.entrance import StaticAddress, record_in
from components.gcp.gateway import MINIMUM_PRE_STOP_SECONDS, ManagedGateway, ManagedGatewayArgs
from components.gcp.network import (
    NETWORK_PREFIX,
    PODS_RANGE,
    SERVICES_RANGE,
    ExistingNetwork,
    Network,
    NetworkArgs,
    Ranges,
)
from components.gcp.nodes import NodeIdentity, NodeIdentityArgs
from components.gcp.project import (
    access_token,
    check_project,
    cluster_project,
    missing_access,
    missing_prerequisites,
    project_id,
    stack_labels,
    stack_name,
)
from components.gcp.quotas import quota_warning
from components.gcp.registry import ContainerRegistry, RegistryArgs, caller_login
from components.gcp.services import ProjectServices
from components.gcp.workload_identity import WorkloadIdentity, WorkloadIdentityArgs
from components.namespace import namespace
from contract.errors import invalid_config
from contract.platform import ClusterAccess, Connection, Entrance, Platform, PodIdentity, cloud_outputs
from contract.restore import Restore, check_parts
from contract.settings import DatabaseClientKeys, MaintenanceWindow, PostgresVersion, ServiceSettings, Settings
from stacks.entrance import MANAGED, AddressRange, EntranceKeys, address_range, needs_hostname, with_load_balancer
from stacks.existing_cluster import of_own_cluster, version_of_own_cluster
from stacks.platform_reference import CloudReleaseStackKeys, connect_by_kubeconfig, own_outputs
from stacks.restoring import restored_output, was_restored

#: In the order in which Google numbers the days of the week, from 1.
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
#: Limits of a custom machine type (Cloud SQL documentation, Machine types): minimum and step in megabytes, and the
#: range per processor in gigabytes.
MINIMUM_MEMORY, MEMORY_STEP, MEMORY_PER_CPU = 3840, 256, (0.9, 6.5)
#: Private address space (RFC 1918).
PRIVATE = [IPv4Network(block) for block in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")]
#: Cloud SQL uses this range for its own containers (Cloud SQL documentation, Private IP).
UNREACHABLE = IPv4Network("172.17.0.0/16")
#: Ask for a load balancer with a backend service. An existing one of the older kind cannot be converted.
LOAD_BALANCER = {"cloud.google.com/l4-rbs": "enabled"}
#: Forms of a project's id and of a resource's name (Compute Engine documentation).
PROJECT_PATTERN, NAME_PATTERN = "[a-z][a-z0-9.:-]{4,60}", "[a-z]([a-z0-9-]{0,61}[a-z0-9])?"
_CUSTOM_SIZE = re.compile(r"^db-custom-(\d+)-(\d+)$")


class LoadBalancerKeys(EntranceKeys):
    """Config keys of the load balancer, on a platform and in a release stack."""

    has_managed_gateway: ClassVar[bool] = True

    @property
    def on_autopilot(self) -> bool:
        """Whether the cluster is one of Autopilot's, as far as the keys tell."""
        return True

    dns_zone: str = Field(
        default="",
        pattern=r"^([a-z]([a-z0-9-]{0,61}[a-z0-9])?)?$",
        description="Name of the Cloud DNS zone in the project that gets a record for `hostname` (`gcloud dns"
        " managed-zones list`). Unset: no record.",
    )

    _need_hostname = field_validator("dns_zone")(needs_hostname)

    def entrance(
        self, project: str, address: StaticAddress | None = None, gateway: ManagedGateway | None = None
    ) -> Entrance:
        """Return how users reach the release. ``project`` has the zone; "" is the provider's own."""
        fixed = gateway or address
        return Entrance(
            annotations={**LOAD_BALANCER, **(address.annotations if address else {})},
            hostname=self.hostname,
            sources=self.allowed_sources,
            publish=record_in(self.dns_zone, self.hostname, fixed.address if fixed else None, project)
            if self.dns_zone
            else None,
            gateway=gateway.gateway if gateway else self.portable_gateway,
        )

    def managed_gateway(
        self, project: str, zone_project: str, services: Sequence[pulumi.Input[pulumi.Resource]] = ()
    ) -> ManagedGateway | None:
        """Declare what a managed Gateway needs in the cluster's project; None without one."""
        if self.gateway != MANAGED:
            return None
        args = ManagedGatewayArgs(
            name=stack_name(),
            project=project,
            hostname=self.hostname,
            dns_zone=self.dns_zone,
            zone_project=zone_project,
            certificate_secret="" if self.tls == MANAGED else self.tls,
            labels=stack_labels(),
            services=services,
        )
        return ManagedGateway("gateway", args)

    def service_errors(self, service: ServiceSettings) -> list[str]:
        """Return an error for each request that Autopilot would change, and for pods that stop too early."""
        errors = changed_requests(service) if self.on_autopilot else []
        if self.gateway == MANAGED and service.pre_stop_seconds < MINIMUM_PRE_STOP_SECONDS:
            errors.append(
                f"preStopSeconds = {service.pre_stop_seconds}: with gateway `managed`, pods must serve on for"
                f" {MINIMUM_PRE_STOP_SECONDS} seconds or more, until Google's load balancer no longer sends to them"
            )
        return errors

    def canary_errors(self, settings: Mapping[str, Any]) -> list[str]:
        """Return an error for a readiness path of the canary's own, which the load balancer would not know."""
        if self.gateway == MANAGED and "readinessPath" in settings:
            return ["readinessPath: the managed Gateway asks the pods of both tracks at one path; keep stable's path"]
        return []


#: Email of a Google service account, with its project.
_ACCOUNT = r"^([a-z][a-z0-9-]{4,28}[a-z0-9]@[a-z][a-z0-9-]{4,28}[a-z0-9]\.iam\.gserviceaccount\.com)?$"
PodAccount = Annotated[
    str,
    Field(
        pattern=_ACCOUNT,
        examples=["addressbook@acme-prod-1.iam.gserviceaccount.com"],
        description="Email of the existing Google service account whose rights the service's pods get (Workload"
        " Identity). They reach Google's APIs with `egressPorts: [443]`. Unset: no rights.",
    ),
]


class PlatformKeys(DatabaseClientKeys, LoadBalancerKeys):
    """Config keys of a Google Cloud platform. The project is the provider's own key, ``gcp:project``."""

    region: str = Field(
        examples=["europe-west3"],
        pattern=r"^[a-z]+-[a-z]+[0-9]+$",
        description="Region, not a zone. A change replaces everything.",
    )
    cluster: str = Field(
        default="",
        pattern=rf"^(projects/{PROJECT_PATTERN}/locations/[a-z]+-[a-z]+[0-9]+(-[a-z])?/clusters/{NAME_PATTERN})?$",
        description="Id of an existing GKE cluster of the region, projects/PROJECT/locations/LOCATION/clusters/NAME,"
        " used instead of an own one and never changed; the database goes into its VPC, which needs private services"
        " access. Unset: the stack creates one. A change replaces everything.",
    )
    kubernetes_version: str = Field(
        default="",
        validate_default=True,
        examples=["1.34"],
        pattern=r"^(1\.[0-9]+(\.[0-9]+-gke\.[0-9]+)?)?$",
        description="Minimum version: a minor version or an exact one (`gcloud container get-server-config`). The"
        " release channel upgrades from there by itself; a newer one here upgrades at once, an older one changes"
        " nothing. Mandatory without `cluster`.",
    )
    _without_version = field_validator("kubernetes_version")(version_of_own_cluster)
    _of_own_cluster = field_validator(
        *("network_range", "vpc", "subnetwork", "pods_range", "services_range", "api_server_access"),
    )(of_own_cluster)

    @field_validator("cluster")
    @classmethod
    def _require_region(cls, value: str, others: ValidationInfo) -> str:
        region = others.data.get("region")
        if value and region and not re.search(f"/locations/{region}(-[a-z])?/", value):
            raise ValueError(f"must be in the stack's region, {region}, or in a zone of it")
        return value

    network_range: str = Field(
        default="10.64.0.0/16",
        description="Private address range of the VPC, a /16 in CIDR notation. A change replaces everything.",
    )
    vpc: str = Field(
        default="",
        pattern=rf"^(projects/{PROJECT_PATTERN}/global/networks/{NAME_PATTERN})?$",
        description="Id of an existing VPC for cluster and database, projects/PROJECT/global/networks/NAME, with"
        " subnetwork. It needs private services access and a NAT gateway. Unset: the stack creates one. A change"
        " replaces everything.",
    )
    subnetwork: str = Field(
        default="",
        validate_default=True,
        pattern=rf"^(projects/{PROJECT_PATTERN}/regions/[a-z]+-[a-z]+[0-9]+/subnetworks/{NAME_PATTERN})?$",
        description="With vpc: id of the region's subnetwork, projects/PROJECT/regions/REGION/subnetworks/NAME. A"
        " change replaces everything.",
    )
    pods_range: str = Field(
        default=PODS_RANGE,
        pattern=f"^{NAME_PATTERN}$",
        description="With vpc: name of the subnetwork's secondary range for pods. A change replaces the cluster.",
    )
    services_range: str = Field(
        default=SERVICES_RANGE,
        pattern=f"^{NAME_PATTERN}$",
        description="With vpc: name of the subnetwork's secondary range for Services. A change replaces the cluster.",
    )
    api_server_access: list[AddressRange] = Field(
        default=[],
        description="Address ranges (CIDR) that may reach the cluster's API server, besides its own network; callers"
        " still need credentials. Include the address that runs `pulumi up`. Unset: any address.",
    )
    database_version: PostgresVersion = "15"
    database_size: str = Field(
        default="db-custom-1-3840",
        pattern=r"^db-(f1-micro|g1-small|custom-[0-9]+-[0-9]+|perf-optimized-N-[0-9]+)$",
        description="Machine type of the database (`gcloud sql tiers list`), or db-custom-CPUS-MEGABYTES. The default"
        " is the smallest that Google's service level covers.",
    )
    high_availability: bool = Field(
        default=False,
        description="Standby database server in another zone. The cluster spans all zones of its region anyway.",
    )
    maintenance_window: MaintenanceWindow = "sunday 03:00"
    pod_account: PodAccount = ""
    deletion_protection: bool = Field(
        default=True,
        description="The engine refuses to delete the cluster, the registry and the database; GKE and Cloud SQL also"
        " refuse a deletion by anyone. Set it to false only to take the stack down.",
    )
    final_snapshot: bool = Field(
        default=True,
        description="Back the database up once more when it is deleted, and keep its backups. Set it to false for a"
        " temporary stack.",
    )
    database_restore: Restore = Field(
        default={},
        description="Begin the database from a backup: `server` (name of the instance), and `backup` (id of a backup"
        " run), or `time` (UTC; unset: now), for a deleted instance with `deleted` (the time of its deletion). A new"
        " value makes a new server, which deletionProtection refuses while there is one. Unset: the server is kept. See"
        " docs/how-to/restore.md.",
    )

    @field_validator("database_restore")
    @classmethod
    def _require_backup(cls, value: Restore) -> Restore:
        server = frozenset({"server"})
        check_parts(value, server, server | {"time"}, server | {"time", "deleted"}, server | {"backup"})
        if not value.get("backup", "0").isdecimal():
            raise ValueError("backup must be the number of a backup run (`gcloud sql backups list --instance SERVER`)")
        return value

    static_address: bool = Field(
        default=False,
        description="Reserve the load balancer's address, so that it outlasts the load balancer. An existing load"
        " balancer changes to it.",
    )

    _address_needs_load_balancer = field_validator("static_address")(with_load_balancer)

    @field_validator("subnetwork")
    @classmethod
    def _require_subnetwork_of_a_vpc(cls, value: str, others: ValidationInfo) -> str:
        if bool(value) != bool(others.data.get("vpc")):
            raise ValueError("must be set together with vpc, the id of the network that it is in")
        if value and f"/regions/{others.data.get('region')}/" not in value:
            raise ValueError(f"must be in the stack's region, {others.data.get('region')}")
        return value

    @field_validator("network_range")
    @classmethod
    def _require_private_range(cls, value: str) -> str:
        network = IPv4Network(address_range(value))
        private = any(network.subnet_of(block) for block in PRIVATE)
        if network.prefixlen != NETWORK_PREFIX or not private or network == UNREACHABLE:
            raise ValueError(f"must be a private /{NETWORK_PREFIX}, but not {UNREACHABLE}, which Cloud SQL uses itself")
        return value

    @field_validator("database_size")
    @classmethod
    def _require_valid_size(cls, value: str) -> str:
        custom = _CUSTOM_SIZE.match(value)
        if not custom:
            return value
        cpus, memory = int(custom[1]), int(custom[2])
        minimum, maximum = (round(cpus * gigabytes * 1024) for gigabytes in MEMORY_PER_CPU)
        if cpus != 1 and (cpus % 2 or not 2 <= cpus <= 96):
            raise ValueError("must have 1 processor or an even number up to 96: db-custom-CPUS-MEGABYTES")
        minimum = max(MINIMUM_MEMORY, minimum)
        if memory % MEMORY_STEP or not minimum <= memory <= maximum:
            raise ValueError(
                f"must have a multiple of {MEMORY_STEP} MB of memory, from {minimum} to {maximum} for {cpus} processors"
            )
        return value

    @property
    def on_autopilot(self) -> bool:
        """Whether the cluster is the stack's own. `provision` asks an existing one."""
        return not self.cluster

    @property
    def maintenance(self) -> tuple[int, int]:
        """Day of the week (Monday is 1) and hour (UTC) of the maintenance window."""
        day, _, time = self.maintenance_window.partition(" ")
        return WEEKDAYS.index(day) + 1, int(time.partition(":")[0])

    @classmethod
    def missing_prerequisites(cls) -> list[str]:
        """Return an error for each missing prerequisite: project, credentials, GKE plugin, a valid resource name."""
        return missing_prerequisites()

    def owns_image(self, image: str) -> bool:
        """Return whether the image is in the registry that the stack creates."""
        return image.startswith(f"{self.region}-docker.pkg.dev/{project_id()}/{stack_name()}/")


class ReleaseStackKeys(CloudReleaseStackKeys, LoadBalancerKeys):
    """Config keys of a release stack on a Google Cloud platform."""

    pod_account: PodAccount = ""

    @classmethod
    def missing_prerequisites(cls) -> list[str]:
        """Return an error for each missing prerequisite: credentials, and the plugin that presents them."""
        return missing_access()


def provision(settings: Settings[PlatformKeys]) -> Platform:
    """Declare a VPC with the cluster and the database, and the registry that its nodes pull from."""
    keys = settings.platform
    name, labels, token = stack_name(), stack_labels(), access_token()
    usable = check_project(keys.region)
    found = find_cluster(keys.cluster) if keys.cluster else None
    if found and found.enable_autopilot:
        _check_requests(settings)
    restored = was_restored(keys.database_restore)
    warning = partial(quota_warning, project_id(), keys.region, token) if _is_new(keys) else lambda: ""
    if usable and (text := warning()):
        pulumi.log.warn(text)
    enabled = ProjectServices(
        "services", project_id(), keys.region, warning=(lambda: "") if usable else warning
    ).enabled
    images = ContainerRegistry(
        "registry",
        RegistryArgs(
            name=name,
            region=keys.region,
            labels=labels,
            services=enabled,
            token=pulumi.Output.secret(token),
            protect=keys.deletion_protection,
        ),
    )
    if found:
        cluster = existing_cluster(keys.cluster, found, keys.region, images.repository)
        network = cluster.network
    else:
        cluster, network = _own_cluster(keys, images.repository, enabled)
    database = ManagedDatabase(
        "database",
        ManagedDatabaseArgs(
            name=name,
            region=keys.region,
            version=keys.database_version,
            size=keys.database_size,
            standby=keys.high_availability,
            network=network.id,
            network_is_shared=bool(keys.vpc or keys.cluster),
            private_services=network.private_services,
            maintenance=keys.maintenance,
            labels=labels,
            services=enabled,
            protect=keys.deletion_protection,
            final_backup=keys.final_snapshot,
            restore=keys.database_restore,
            restored=restored,
        ),
    )
    address = None
    if keys.static_address:
        address = StaticAddress(
            "entrance", address=f"{name}-entrance", region=keys.region, labels=labels, services=enabled
        )
    project = cluster_project(keys.cluster) if keys.cluster else project_id()
    namespace_name = namespace(settings.stack.namespace, cluster.kubernetes).metadata["name"]
    rights = DatabaseRights(
        "database-rights",
        DatabaseRightsArgs(
            service=settings.service.name,
            namespace=namespace_name,
            database=database.connection,
            administrator=database.administrator,
            registry=images.registry,
            client_image=keys.database_client_image,
            rollout_timeout_seconds=settings.service.rollout_timeout_seconds,
        ),
        kubernetes=cluster.kubernetes,
    )
    return Platform(
        kubernetes=cluster.kubernetes,
        cluster=ClusterAccess(kubeconfig=cluster.kubeconfig),
        namespace=namespace_name,
        registry=images.registry,
        database=rights.connection,
        protect=keys.deletion_protection,
        entrance=keys.entrance("", address, keys.managed_gateway(project, "", enabled)),
        pod_identity=_pod_identity(settings, namespace_name, project, cluster.kubernetes),
        has_zones=True,
        outputs={
            **cloud_outputs(cluster.name, cluster.endpoint, cluster.kubeconfig, images.registry, database.connection),
            **restored_output(restored),
        },
        administrator=database.administrator,
        access={
            "kubeconfig": cluster.kubeconfig,
            "cluster": cluster.identifier,
            "registry": images.registry.url,
        },
    )


def _is_new(keys: PlatformKeys) -> bool:
    """Return whether no update has finished yet that made the stack's cluster."""
    try:
        return not keys.cluster and not own_outputs()
    except Exception:  # the SDK raises nothing narrower; what reads the outputs for more than a warning reports it
        return False


def _check_requests(settings: Settings[PlatformKeys]) -> None:
    """Raise pulumi.RunError if Autopilot would change a request of stable's or the canary's pods."""
    errors = changed_requests(settings.service)
    of_canary = changed_requests(settings.canary.over(settings.service))
    errors += [f"canarySettings.{error}" for error in of_canary if error not in errors]
    if errors:
        raise invalid_config(errors)


def _own_cluster(
    keys: PlatformKeys, repository: pulumi.Input[str], enabled: Sequence[pulumi.Input[pulumi.Resource]]
) -> tuple[Cluster, Network | ExistingNetwork]:
    """Declare the stack's own cluster, the identity of its nodes, and its network unless that exists already."""
    name, labels = stack_name(), stack_labels()
    network: Network | ExistingNetwork
    if keys.vpc:
        network = ExistingNetwork(keys.vpc, keys.subnetwork, keys.pods_range, keys.services_range)
    else:
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
    nodes = NodeIdentity(
        "nodes",
        NodeIdentityArgs(name=name, project=project_id(), region=keys.region, repository=repository, services=enabled),
    )
    cluster = Cluster(
        "cluster",
        ClusterArgs(
            name=name,
            region=keys.region,
            version=keys.kubernetes_version,
            network=network.id,
            subnetwork=network.subnetwork,
            pods_range=network.pods_range,
            services_range=network.services_range,
            node_account=nodes.email,
            clients=keys.api_server_access,
            maintenance=keys.maintenance,
            labels=labels,
            protect=keys.deletion_protection,
            ready=[*network.nat, *nodes.rights],
        ),
    )
    return cluster, network


def connect(settings: Settings[ReleaseStackKeys], access: Mapping[str, str]) -> Connection:
    """Connect to another stack's platform, with the caller's credentials for its registry.

    Without ``gcp:project`` the DNS zone is in the platform's project.
    """
    keys = settings.platform
    # Only then does the cluster's id have to name its project.
    uses_project = keys.pod_account or keys.gateway == MANAGED or (keys.dns_zone and not project_id())
    project = cluster_project(access["cluster"]) if uses_project else ""
    zone_project = "" if project_id() else project
    entrance = keys.entrance(zone_project, gateway=keys.managed_gateway(project, zone_project))
    connection = connect_by_kubeconfig(
        settings,
        access,
        caller_login(access["registry"], pulumi.Output.secret(access_token())),
        entrance,
        has_zones=True,
    )

    def pod_identity(namespace: pulumi.Output[str]) -> PodIdentity | None:
        return _pod_identity(settings, namespace, project, connection.kubernetes)

    return replace(connection, pod_identity=pod_identity) if keys.pod_account else connection


def _pod_identity(
    settings: Settings[PlatformKeys] | Settings[ReleaseStackKeys],
    namespace: pulumi.Output[str],
    project: str,
    kubernetes: k8s.Provider,
) -> PodIdentity | None:
    """Declare the identity of the service's pods in Google Cloud, if the config names one."""
    account = settings.platform.pod_account
    if not account:
        return None
    args = WorkloadIdentityArgs(settings.service.name, namespace, project, account)
    return WorkloadIdentity("workload-identity", args, kubernetes).identity
