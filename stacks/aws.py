"""Cloud ``aws``: EKS, an ECR repository and RDS for PostgreSQL in one VPC."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from ipaddress import IPv4Network
from typing import Annotated

import pulumi
import pulumi_aws as aws
from pydantic import Field, ValidationInfo, field_validator

from components.aws.access import cluster_access
from components.aws.account import (
    PRINCIPAL,
    check_account,
    missing_access,
    missing_prerequisites,
    stack_name,
    stack_tags,
)
from components.aws.addons import AddonName
from components.aws.cluster import Cluster, ClusterArgs, existing_cluster
from components.aws.database import ManagedDatabase, ManagedDatabaseArgs
from components.aws.entrance import StaticAddresses, load_balancer, record_in, tls
from components.aws.live import Live, live
from components.aws.network import ANYWHERE, ZONES, ExistingNetwork, Network, NetworkArgs, existing_network
from components.aws.nodes import check_processor
from components.aws.registry import ImageRepository, ImageRepositoryArgs, caller_login
from components.aws.versions import check_versions, satisfies
from components.namespace import namespace
from contract.errors import invalid_config
from contract.platform import (
    HTTP_PORT,
    HTTPS_PORT,
    Administrator,
    ClusterAccess,
    Connection,
    Entrance,
    Platform,
    cloud_outputs,
)
from contract.project import PROJECT_ROOT
from contract.restore import Restore, check_parts
from contract.settings import MaintenanceWindow, Settings
from contract.update import wanted_version
from stacks.entrance import EntranceKeys, address_range, needs_hostname, with_load_balancer, without_gateway
from stacks.existing_cluster import of_own_cluster, version_of_own_cluster
from stacks.platform_reference import CloudReleaseStackKeys, connect_by_kubeconfig

Principal = Annotated[str, Field(pattern=PRINCIPAL)]
TagName = Annotated[str, Field(pattern=r"^[A-Za-z0-9 _./+@-]{1,128}$")]
TagValue = Annotated[str, Field(pattern=r"^[A-Za-z0-9 _.:/+@-]{0,256}$")]
Tags = Annotated[
    dict[TagName, TagValue],
    Field(
        # AWS allows 50. The program, EKS and the subnets' roles set a few themselves.
        max_length=40,
        description="Tags of everything that can have tags, besides those that name project and stack.",
    ),
]
AddonVersion = Annotated[str, Field(pattern=r"^v[0-9]+\.[0-9]+\.[0-9]+-eksbuild\.[0-9]+$")]
#: The text is passed on as one environment variable, which Linux limits to 128 KiB (MAX_ARG_STRLEN).
MAX_AUTHORITY_BYTES = 64 * 1024
AUTHORITIES = "https://truststore.pki.rds.amazonaws.com/{region}/{region}-bundle.pem"


class LoadBalancerKeys(EntranceKeys):
    """Config keys of the load balancer, on a platform and in a release stack."""

    certificate_arn: str = Field(
        default="",
        pattern=r"^(arn:aws:acm:[a-z0-9-]+:[0-9]{12}:certificate/[0-9a-f-]+)?$",
        description="ARN of an ACM certificate for `hostname`, in the stack's region. The load balancer then answers on"
        " port 443 only, because it cannot redirect port 80. Unset: no HTTPS.",
    )
    dns_zone: str = Field(
        default="",
        pattern=r"^(Z[A-Z0-9]{5,31})?$",
        description="Id of the Route 53 zone in the same account that gets a record for `hostname` (`aws route53"
        " list-hosted-zones`). Unset: no record.",
    )

    _need_hostname = field_validator("certificate_arn", "dns_zone")(needs_hostname)
    _needs_no_gateway = field_validator("certificate_arn")(without_gateway)
    _needs_load_balancer = field_validator("dns_zone")(with_load_balancer)

    def entrance(
        self, tags: Mapping[str, str], provider: pulumi.ProviderResource, addresses: StaticAddresses | None = None
    ) -> Entrance:
        """Return how users reach the release."""
        own: Mapping[str, pulumi.Input[str]] = addresses.annotations if addresses else {}
        return Entrance(
            annotations={**load_balancer(tags), **tls(self.certificate_arn), **own},
            ports=[HTTPS_PORT if self.certificate_arn else HTTP_PORT],
            hostname=self.hostname,
            sources=self.allowed_sources,
            publish=record_in(self.dns_zone, self.hostname, provider) if self.dns_zone else None,
            gateway=self.portable_gateway,
        )


class PlatformKeys(LoadBalancerKeys):
    """Config keys of an AWS platform."""

    aws_account: str = Field(
        default="",
        pattern=r"^([0-9]{12})?$",
        description="Number of the stack's account, in quotes; credentials of any other account are refused. Unset: the"
        " account of the credentials.",
    )
    region: str = Field(
        examples=["eu-central-1"],
        pattern=r"^[a-z]{2}-[a-z]+-[0-9]$",
        description="Region. A change replaces everything.",
    )
    cluster: str = Field(
        default="",
        pattern=r"^([0-9A-Za-z][0-9A-Za-z_-]{0,99})?$",
        description="Name of an existing EKS cluster of the region, used instead of an own one and never changed; the"
        " database goes into its VPC. Unset: the stack creates one. A change replaces everything.",
    )
    kubernetes_version: str = Field(
        default="",
        validate_default=True,
        examples=["1.37"],
        pattern=r"^(1\.[3-9][0-9])?$",
        description="Minimum version: a minor version, in quotes (`aws eks describe-cluster-versions`). A newer one"
        " upgrades cluster, add-ons and nodes in place, one minor version at a time. Mandatory without `cluster`.",
    )
    _without_version = field_validator("kubernetes_version")(version_of_own_cluster)
    _of_own_cluster = field_validator(
        *("addon_versions", "node_count", "node_size", "api_server_access", "network_range", "vpc", "private_subnets"),
        *("permissions_boundary", "static_address"),
    )(of_own_cluster)
    addon_versions: dict[AddonName, AddonVersion] = Field(
        default={},
        description="Pinned versions of the cluster's add-ons (vpc-cni, kube-proxy, coredns), such as"
        " v1.20.4-eksbuild.1 (`aws eks describe-addon-versions`). Any other add-on runs the version that AWS recommends"
        " at the time of the update.",
    )
    node_count: int = Field(default=3, ge=1, le=450, description="Worker nodes.")
    node_size: str = Field(
        default="t3.small",
        pattern=r"^[a-z][a-z0-9-]*\.[a-z0-9-]+$",
        description="EC2 instance type of the nodes. The default is the smallest with room for the service's pods. A"
        " change replaces the nodes one by one, each new one first.",
    )
    cluster_administrators: list[Principal] = Field(
        default=[],
        examples=['["arn:aws:iam::123456789012:role/team"]'],
        description="ARNs of the IAM roles and users that administer the cluster, with the one that runs `pulumi up`."
        " Unset: whoever runs `pulumi up`. A cluster of a version before 0.9 has its creator as administrator already:"
        " leave that one out.",
    )
    cluster_viewers: list[Principal] = Field(
        default=[],
        examples=['["arn:aws:iam::123456789012:role/preview"]'],
        description="ARNs of the IAM roles and users that may read everything in the cluster, Secrets included, such as"
        " the role of previews in CI.",
    )
    api_server_access: list[str] = Field(
        default=[ANYWHERE],
        description="Address ranges (CIDR) that may reach the cluster's API server, besides its own network; callers"
        " still need credentials. Include the address that runs `pulumi up`. Unset: any address.",
    )
    network_range: str = Field(
        default="10.64.0.0/16",
        description="Private address range of the VPC, /16 to /20 in CIDR notation. A change replaces everything.",
    )
    database_version: str = Field(
        default="15",
        pattern=r"^(1[5-9]|[2-9][0-9])(\.[0-9]{1,2})?$",
        description="Minimum version of PostgreSQL: a major version, 15 or later, or a full one such as 16.9. A newer"
        " one upgrades in place. AWS applies minor upgrades by itself.",
    )
    database_size: str = Field(
        default="db.t4g.micro",
        pattern=r"^db\.[a-z0-9-]+\.[a-z0-9]+$",
        description="Instance class of the database.",
    )
    vpc: str = Field(
        default="",
        pattern=r"^(vpc-[0-9a-f]{8,17})?$",
        description="Id of an existing VPC for cluster and database, with privateSubnets. Unset: the stack creates one."
        " A change replaces everything.",
    )
    private_subnets: list[Annotated[str, Field(pattern=r"^subnet-[0-9a-f]{8,17}$")]] = Field(
        default=[],
        validate_default=True,
        description="With vpc: ids of private subnets in two zones or more, for nodes and database. They need a way out"
        " to the internet (a NAT gateway). A change replaces the cluster.",
    )

    @field_validator("private_subnets")
    @classmethod
    def _require_subnets_of_a_vpc(cls, value: list[str], others: ValidationInfo) -> list[str]:
        if others.data.get("vpc") and len(value) < ZONES:
            raise ValueError(f"must name {ZONES} private subnets or more in the VPC, each in another zone")
        if value and not others.data.get("vpc"):
            raise ValueError("is only for an existing VPC; set vpc, too")
        return value

    database_storage_gib: int = Field(
        default=20,
        ge=20,
        le=65536,
        description="GiB of the database's storage at first. It can only be raised.",
    )
    database_storage_limit_gib: int = Field(
        default=100,
        validate_default=True,
        ge=22,
        le=65536,
        description="GiB to which AWS extends the database's storage as it fills up; a tenth more than"
        " `databaseStorageGib` or larger.",
    )
    backup_days: int = Field(
        default=7,
        ge=1,
        le=35,
        description="Days for which backups are kept; the database can be restored to any point in them.",
    )
    database_authority: str = Field(
        default="",
        validate_default=True,
        description="Mandatory: file with the certificate authority of the region's databases (PEM), relative to"
        " Pulumi.yaml. docs/how-to/aws.md says where AWS publishes it and why it is kept in Git.",
    )
    high_availability: bool = Field(
        default=False,
        description="Standby database server in another zone, and a NAT gateway in each zone. The control plane spans"
        " zones anyway.",
    )
    permissions_boundary: str = Field(
        default="",
        pattern=r"^(arn:aws:iam::([0-9]{12}|aws):policy/[\w+=,.@/-]+)?$",
        examples=["arn:aws:iam::123456789012:policy/boundary"],
        description="ARN of the IAM policy that limits the stack's roles, where an account requires one.",
    )
    tags: Tags = Field(default={}, examples=['{"cost-centre": "1234"}'])
    maintenance_window: MaintenanceWindow = "sunday 03:00"
    deletion_protection: bool = Field(
        default=True,
        description="The engine refuses to delete the cluster, the registry, the database and the key of the cluster's"
        " Secrets; EKS and RDS also refuse a deletion by anyone. Set it to false only to take the stack down.",
    )
    final_snapshot: bool = Field(
        default=True,
        description="Back the database up once more when it is deleted, and keep its backups. Set it to false for a"
        " temporary stack.",
    )
    database_restore: Restore = Field(
        default={},
        description="Begin the database from a backup: `snapshot` (id or ARN), or `server` (identifier; for a deleted"
        " one its resource id, db-…) and `time` (UTC; unset: the latest possible). A new value makes a new server,"
        " which deletionProtection refuses while there is one. Unset: the server is kept. See docs/how-to/restore.md.",
    )

    @field_validator("database_restore")
    @classmethod
    def _require_backup(cls, value: Restore) -> Restore:
        check_parts(value, frozenset({"snapshot"}), frozenset({"server"}), frozenset({"server", "time"}))
        return value

    static_address: bool = Field(
        default=False,
        description="Give the load balancer an Elastic IP address in each zone, so that its addresses outlast it. Only"
        " a new load balancer takes or releases them: recreate the Service before you unset it.",
    )

    _address_needs_load_balancer = field_validator("static_address")(with_load_balancer)

    @field_validator("static_address")
    @classmethod
    def _require_own_subnets(cls, value: bool, others: ValidationInfo) -> bool:
        if value and others.data.get("vpc"):
            raise ValueError(
                "needs a network of the stack's own, which has one public subnet for each address; unset it"
            )
        return value

    @field_validator("node_size")
    @classmethod
    def _require_pod_capacity(cls, value: str) -> str:
        if value.endswith((".nano", ".micro")):
            raise ValueError(
                "has room for four pods, and a node itself needs three; t3.small is the smallest that fits"
            )
        return value

    @field_validator("cluster_administrators", "cluster_viewers")
    @classmethod
    def _refuse_duplicates(cls, value: list[str]) -> list[str]:
        if repeated := [each for each in dict.fromkeys(value) if value.count(each) > 1]:
            raise ValueError(f"names {', '.join(repeated)} more than once; remove the duplicate")
        return value

    @field_validator("cluster_viewers")
    @classmethod
    def _refuse_administrators(cls, value: list[str], others: ValidationInfo) -> list[str]:
        if both := [each for each in value if each in others.data.get("cluster_administrators", [])]:
            raise ValueError(f"names {', '.join(both)}, which clusterAdministrators names too; remove it from one")
        return value

    @field_validator("database_storage_limit_gib")
    @classmethod
    def _require_room(cls, value: int, info: ValidationInfo) -> int:
        """RDS refuses a limit that is less than a tenth above the storage."""
        if value * 10 < (storage := int(info.data.get("database_storage_gib", 0))) * 11:
            raise ValueError(
                f"leaves no room above databaseStorageGib ({storage}); raise it to {-(-storage * 11 // 10)}"
            )
        return value

    @field_validator("api_server_access")
    @classmethod
    def _require_ranges(cls, value: list[str]) -> list[str]:
        for block in value:
            address_range(block)
        return value

    @field_validator("network_range")
    @classmethod
    def _require_private_range(cls, value: str) -> str:
        block = IPv4Network(address_range(value))
        if not block.is_private or not 16 <= block.prefixlen <= 20:
            raise ValueError("must be a private range with a prefix length of 16 to 20, such as 10.64.0.0/16")
        return value

    @field_validator("database_authority")
    @classmethod
    def _require_certificates(cls, value: str, others: ValidationInfo) -> str:
        region: str = others.data.get("region", "REGION")
        remedy = (
            "download it from AWS once and keep it in Git:"
            f" `curl --fail --create-dirs -o certificates/rds-{region}.pem {AUTHORITIES.format(region=region)}`"
        )
        if not value:
            raise ValueError(f"is not set; it names the file with the region's certificate authority for RDS; {remedy}")
        file = PROJECT_ROOT / value
        if not file.is_file():
            raise ValueError(f"does not exist; {remedy}")
        text = file.read_text(errors="replace")
        if len(text) > MAX_AUTHORITY_BYTES:
            raise ValueError(f"is too large for a pod's environment, so it covers more than one region; {remedy}")
        try:
            ssl.create_default_context(cadata=text)
        except (ssl.SSLError, ValueError):
            raise ValueError(f"contains no certificates in PEM format; {remedy}") from None
        return value

    @property
    def authority(self) -> str:
        """PEM text of the authority that signs the database's certificate."""
        return (PROJECT_ROOT / self.database_authority).read_text()

    @property
    def maintenance(self) -> tuple[str, int]:
        """Weekday and hour (UTC) of the maintenance window."""
        day, _, time = self.maintenance_window.partition(" ")
        return day, int(time[:2])

    @classmethod
    def missing_prerequisites(cls) -> list[str]:
        """Return an error for each missing prerequisite: commands, valid credentials, a valid resource name."""
        return missing_prerequisites()


class ReleaseStackKeys(CloudReleaseStackKeys, LoadBalancerKeys):
    """Config keys of a release stack on an AWS platform."""

    tags: Tags = Field(default={}, examples=['{"cost-centre": "1234"}'])

    @classmethod
    def missing_prerequisites(cls) -> list[str]:
        """Return an error for each missing prerequisite: commands, valid credentials."""
        return missing_access()


def provision(settings: Settings[PlatformKeys]) -> Platform:
    """Declare a VPC with nodes and database in private subnets, and an image repository.

    Raises pulumi.RunError if the credentials are of another account or the nodes have another processor.
    """
    keys = settings.platform
    if not keys.cluster:
        check_processor(keys.node_size, settings.service.build_platform)
    check_account(keys.aws_account)
    name, tags = stack_name(), stack_tags(keys.tags)
    provider = aws.Provider(
        "aws",
        region=keys.region,
        default_tags={"tags": tags},
        allowed_account_ids=[keys.aws_account] if keys.aws_account else None,
    )
    asking = pulumi.InvokeOptions(provider=provider)
    found = live(name, asking)
    kubernetes_version = wanted_version(keys.kubernetes_version, found.cluster_version)
    database_version = wanted_version(keys.database_version, found.database_version)
    check_versions(kubernetes_version, database_version, found, asking)
    options = pulumi.ResourceOptions(provider=provider)
    if keys.cluster:
        cluster = existing_cluster(
            keys.cluster, keys.region, keys.cluster_administrators, keys.cluster_viewers, provider
        )
        network = cluster.network
    else:
        cluster, network = _own_cluster(keys, kubernetes_version, found, options, asking)
    images = ImageRepository(
        "registry",
        ImageRepositoryArgs(name=name, service=settings.service.name, protect=keys.deletion_protection),
        opts=options,
    )
    database = ManagedDatabase(
        "database",
        ManagedDatabaseArgs(
            name=name,
            version=database_version,
            live_version=found.database_version,
            size=keys.database_size,
            standby=keys.high_availability,
            vpc=network.vpc,
            subnets=network.private_subnets,
            clients=cluster.security_group,
            storage=keys.database_storage_gib,
            max_storage=keys.database_storage_limit_gib,
            backup_days=keys.backup_days,
            maintenance=keys.maintenance,
            authority=keys.authority,
            protect=keys.deletion_protection,
            final_snapshot=keys.final_snapshot,
            restore=keys.database_restore,
        ),
        opts=options,
    )
    return Platform(
        kubernetes=cluster.kubernetes,
        cluster=ClusterAccess(kubeconfig=cluster.kubeconfig),
        namespace=namespace(settings.stack.namespace, cluster.kubernetes).metadata["name"],
        registry=images.registry,
        database=database.connection,
        entrance=keys.entrance(
            tags, provider, StaticAddresses("entrance", name, ZONES, opts=options) if keys.static_address else None
        ),
        has_zones=True,
        protect=keys.deletion_protection,
        outputs=cloud_outputs(
            keys.cluster or name, cluster.endpoint, cluster.kubeconfig, images.registry, database.connection
        ),
        administrator=Administrator(database.connection.user, database.connection.password),
        access={
            "kubeconfig": cluster.kubeconfig,
            "cluster": cluster.identifier,
            "registry": images.registry.url,
            "region": keys.region,
            "service": settings.service.name,
        },
    )


def _own_cluster(
    keys: PlatformKeys, version: str, found: Live, options: pulumi.ResourceOptions, asking: pulumi.InvokeOptions
) -> tuple[Cluster, Network | ExistingNetwork]:
    """Declare the stack's own cluster, and its network unless it exists already."""
    administrators = cluster_access(keys.cluster_administrators, keys.cluster_viewers, found, asking)
    network: Network | ExistingNetwork
    if keys.vpc:
        network = existing_network(keys.vpc, keys.private_subnets, asking)
    else:
        network = Network(
            "network",
            NetworkArgs(
                cluster=stack_name(),
                region=keys.region,
                address_range=keys.network_range,
                nat_per_zone=keys.high_availability,
            ),
            opts=options,
        )
    cluster = Cluster(
        "cluster",
        ClusterArgs(
            name=stack_name(),
            region=keys.region,
            boundary=keys.permissions_boundary,
            version=version,
            version_runs=satisfies(found.cluster_version, version),
            addon_versions=keys.addon_versions,
            nodes=keys.node_count,
            node_size=keys.node_size,
            administrators=administrators,
            viewers=keys.cluster_viewers,
            api_ranges=keys.api_server_access,
            tags=stack_tags(keys.tags),
            protect=keys.deletion_protection,
        ),
        network,
        opts=options,
    )
    return cluster, network


def connect(settings: Settings[ReleaseStackKeys], access: Mapping[str, str]) -> Connection:
    """Connect to another stack's platform, with the caller's credentials for its registry.

    Raises pulumi.RunError if the platform's registry has no repository for the service: ECR creates none on a push.
    """
    service, shared = settings.service.name, access["service"]
    if service != shared:
        raise invalid_config(
            [
                f"service = {service!r}: the platform of `{settings.stack.platform_stack}` has an image repository for"
                f" `{shared}` only (`pulumi config set service {shared}`, or give the service its own platform)"
            ]
        )
    tags = stack_tags(settings.platform.tags)
    provider = aws.Provider("aws", region=access["region"], default_tags={"tags": tags})
    url = access["registry"]
    account = url.partition(".")[0]  # the host's first label
    registry = caller_login(url, account, pulumi.InvokeOutputOptions(provider=provider))
    return connect_by_kubeconfig(settings, access, registry, settings.platform.entrance(tags, provider), has_zones=True)
