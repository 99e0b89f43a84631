"""Cloud ``aws``: EKS, an ECR repository and RDS for PostgreSQL in one VPC."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Mapping
from typing import Annotated

import pulumi
import pulumi_aws as aws
from pydantic import Field, ValidationInfo, field_validator

from components.aws.account import caller_account, missing_access, missing_prerequisites, stack_name, stack_tags
from components.aws.addons import AddonName
from components.aws.cluster import Cluster, ClusterArgs
from components.aws.database import ManagedDatabase, ManagedDatabaseArgs
from components.aws.network import ANYWHERE, Network, NetworkArgs
from components.aws.nodes import is_arm
from components.aws.registry import ImageRepository, ImageRepositoryArgs, caller_login
from components.namespace import namespace
from contract.errors import invalid_config
from contract.platform import Administrator, Platform, cloud_outputs
from contract.project import PROJECT_ROOT
from contract.settings import Keys, MaintenanceWindow, PostgresVersion, Settings
from stacks.platform_reference import CloudReleaseStackKeys, Connection, connect_by_kubeconfig

Principal = Annotated[str, Field(pattern=r"^arn:aws:iam::[0-9]{12}:(role|user)/[\w+=,.@/-]+$")]
AddonVersion = Annotated[str, Field(pattern=r"^v[0-9]+\.[0-9]+\.[0-9]+-eksbuild\.[0-9]+$")]
#: Bytes: what is passed on as one environment variable may be 128 KiB (Linux, MAX_ARG_STRLEN).
MOST_AUTHORITY_BYTES = 64 * 1024
AUTHORITIES = "https://truststore.pki.rds.amazonaws.com/{region}/{region}-bundle.pem"
#: What the load balancers of Services are told; docs/aws.md says why it is these.
LOAD_BALANCER = "service.beta.kubernetes.io/aws-load-balancer"


class PlatformKeys(Keys):
    """Config keys of an AWS platform; Pulumi.yaml says what each means."""

    aws_account: str = Field(default="", pattern=r"^([0-9]{12})?$")
    region: str = Field(default="us-east-1", pattern=r"^[a-z]{2}-[a-z]+-[0-9]$")
    kubernetes_version: str = Field(pattern=r"^1\.[3-9][0-9]$")
    addon_versions: dict[AddonName, AddonVersion] = Field(default={})
    node_count: int = Field(default=3, ge=1, le=450)
    node_size: str = Field(default="t3.small", pattern=r"^[a-z][a-z0-9-]*\.[a-z0-9-]+$")
    cluster_administrators: list[Principal] = Field(default=[])
    api_server_access: list[str] = Field(default=[ANYWHERE])
    network_range: str = "10.64.0.0/16"
    database_version: PostgresVersion = "15"
    database_size: str = Field(default="db.t4g.micro", pattern=r"^db\.[a-z0-9-]+\.[a-z0-9]+$")
    database_authority: str = Field(default="", validate_default=True)
    high_availability: bool = False
    maintenance_window: MaintenanceWindow = "sunday 03:00"
    deletion_protection: bool = True
    final_snapshot: bool = True

    @field_validator("node_size")
    @classmethod
    def _room(cls, value: str) -> str:
        if value.endswith((".nano", ".micro")):
            raise ValueError("holds four pods, and a node needs three of its own; t3.small is the smallest that fits")
        return value

    @field_validator("cluster_administrators")
    @classmethod
    def _once(cls, value: list[str]) -> list[str]:
        if repeated := [each for each in dict.fromkeys(value) if value.count(each) > 1]:
            raise ValueError(f"each is named once, and {', '.join(repeated)} is there again; leave it out")
        return value

    @field_validator("api_server_access")
    @classmethod
    def _ranges(cls, value: list[str]) -> list[str]:
        for block in value:
            _network(block)
        return value

    @field_validator("network_range")
    @classmethod
    def _size(cls, value: str) -> str:
        block = _network(value)
        if not block.is_private or not 16 <= block.prefixlen <= 20:
            raise ValueError("must be a private range with a prefix length of 16 to 20, such as 10.64.0.0/16")
        return value

    @field_validator("database_authority")
    @classmethod
    def _certificates(cls, value: str, others: ValidationInfo) -> str:
        region: str = others.data.get("region", "REGION")
        remedy = (
            "get it from AWS once and keep it in Git:"
            f" `curl --fail --create-dirs -o certificates/rds-{region}.pem {AUTHORITIES.format(region=region)}`"
        )
        if not value:
            raise ValueError(f"is not set; it is the file with the region's authority for RDS; {remedy}")
        file = PROJECT_ROOT / value
        if not file.is_file():
            raise ValueError(f"there is no such file; {remedy}")
        text = file.read_text(errors="replace")
        if len(text) > MOST_AUTHORITY_BYTES:
            raise ValueError(f"is larger than a pod's environment can hold, so of more than one region; {remedy}")
        try:
            ssl.create_default_context(cadata=text)
        except (ssl.SSLError, ValueError):
            raise ValueError(f"the file holds no certificates in PEM form; {remedy}") from None
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
        """The commands, credentials that AWS takes, a name that it takes."""
        return missing_prerequisites()


class ReleaseStackKeys(CloudReleaseStackKeys):
    """Config keys of a stack on another's platform on AWS."""

    @classmethod
    def missing_prerequisites(cls) -> list[str]:
        """The commands, credentials that AWS takes."""
        return missing_access()


def _network(block: str) -> ipaddress.IPv4Network:
    try:
        return ipaddress.IPv4Network(block)
    except ValueError as fault:
        raise ValueError(f"{fault}; a range is written as 203.0.113.0/24") from None


def provision(settings: Settings[PlatformKeys]) -> Platform:
    """A VPC with the cluster's nodes and the database in its private subnets, and a repository for the image."""
    keys = settings.platform
    _same_processor(keys.node_size, settings.service.build_platform)
    _same_account(keys.aws_account)
    name, tags = stack_name(), stack_tags()
    provider = aws.Provider(
        "aws",
        region=keys.region,
        default_tags={"tags": tags},
        allowed_account_ids=[keys.aws_account] if keys.aws_account else None,
    )
    options = pulumi.ResourceOptions(provider=provider)
    network = Network(
        "network",
        NetworkArgs(cluster=name, address_range=keys.network_range, nat_per_zone=keys.high_availability),
        opts=options,
    )
    images = ImageRepository(
        "registry",
        ImageRepositoryArgs(name=name, service=settings.service.name, throw_away=not keys.deletion_protection),
        opts=options,
    )
    cluster = Cluster(
        "cluster",
        ClusterArgs(
            name=name,
            region=keys.region,
            version=keys.kubernetes_version,
            addon_versions=keys.addon_versions,
            nodes=keys.node_count,
            node_size=keys.node_size,
            administrators=keys.cluster_administrators,
            api_ranges=keys.api_server_access,
            tags=tags,
            throw_away=not keys.deletion_protection,
        ),
        network,
        opts=options,
    )
    database = ManagedDatabase(
        "database",
        ManagedDatabaseArgs(
            name=name,
            version=keys.database_version,
            size=keys.database_size,
            standby=keys.high_availability,
            vpc=network.vpc,
            subnets=network.private_subnets,
            clients=cluster.security_group,
            maintenance=keys.maintenance,
            authority=keys.authority,
            protect=keys.deletion_protection,
            keep=keys.final_snapshot,
        ),
        opts=options,
    )
    return Platform(
        kubernetes=cluster.kubernetes,
        namespace=namespace(settings.stack.namespace, cluster.kubernetes).metadata["name"],
        registry=images.registry,
        database=database.connection,
        load_balancer_annotations=_load_balancer(tags),
        protect=keys.deletion_protection,
        outputs=cloud_outputs(name, cluster.endpoint, cluster.kubeconfig, images.registry, database.connection),
        administrator=Administrator(database.connection.user, database.connection.password),
        access={
            "kubeconfig": cluster.kubeconfig,
            "cluster": cluster.identifier,
            "registry": images.registry.url,
            "region": keys.region,
            "service": settings.service.name,
        },
    )


def connect(settings: Settings[ReleaseStackKeys], access: Mapping[str, str]) -> Connection:
    """The cluster and the registry of another stack's platform, with credentials of the caller's.

    Raises pulumi.RunError where the platform's registry has no repository for the service: ECR takes images only for
    those that are there.
    """
    service, shared = settings.service.name, access["service"]
    if service != shared:
        raise invalid_config(
            [
                f"service = {service!r}: the platform of `{settings.stack.platform_stack}` has an image repository for"
                f" `{shared}` alone; give it that name, or a platform of its own"
            ]
        )
    provider = aws.Provider("aws", region=access["region"], default_tags={"tags": stack_tags()})
    url = access["registry"]
    account = url.partition(".")[0]  # the host's first label
    registry = caller_login(url, account, pulumi.InvokeOutputOptions(provider=provider))
    return connect_by_kubeconfig(settings, access, registry, _load_balancer(stack_tags()))


def _load_balancer(tags: Mapping[str, str]) -> dict[str, str]:
    return {
        f"{LOAD_BALANCER}-type": "nlb",
        f"{LOAD_BALANCER}-cross-zone-load-balancing-enabled": "true",
        f"{LOAD_BALANCER}-additional-resource-tags": ",".join(f"{key}={value}" for key, value in tags.items()),
    }


def _same_processor(node_size: str, build_platform: str) -> None:
    """Images for another processor than the nodes' would not start. Raises pulumi.RunError."""
    needed = "linux/arm64" if is_arm(node_size) else "linux/amd64"
    if build_platform != needed:
        raise invalid_config(
            [
                f"buildPlatform = '{build_platform}': nodes of size {node_size} run {needed}"
                f" (`pulumi config set buildPlatform {needed}`, or another nodeSize)"
            ]
        )


def _same_account(wanted: str) -> None:
    """Credentials of another account than the stack's would make all of it there. Raises pulumi.RunError."""
    if wanted and (found := caller_account()) != wanted:
        raise invalid_config(
            [
                f"awsAccount = '{wanted}': this machine's credentials are of account {found or '(no answer)'}; sign in"
                " to the stack's (AWS_PROFILE, `aws sso login`), or correct the key"
            ]
        )
