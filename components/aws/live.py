"""What the account already has of this stack, asked before anything is registered."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.invokes import ask
from components.restored_server import is_servers_name


@dataclass(frozen=True)
class Live:
    """The stack's cluster and database, as AWS runs them. The version of one that does not exist is empty."""

    #: Minor version of Kubernetes. AWS upgrades a cluster by itself when its version's extended support ends.
    cluster_version: str = ""
    #: Version of PostgreSQL with its minor version. AWS applies minor upgrades by itself.
    database_version: str = ""


def live(name: str, opts: pulumi.InvokeOptions) -> Live:
    """Return what the account has under the stack's name. Raises pulumi.RunError if AWS does not answer."""
    return Live(cluster_version=_cluster_version(name, opts), database_version=_database_version(name, opts))


def _cluster_version(name: str, opts: pulumi.InvokeOptions) -> str:
    # Reading one by its name fails if it does not exist, and a list does not.
    clusters = ask(
        lambda: aws.eks.get_clusters(opts=opts),
        "clusters of the account",
        "the caller needs the right eks:ListClusters",
    )
    if name not in clusters.names:
        return ""
    return ask(
        lambda: aws.eks.get_cluster(name=name, opts=opts),
        f"cluster {name}",
        "the caller needs the right eks:DescribeCluster",
    ).version


def _database_version(name: str, opts: pulumi.InvokeOptions) -> str:
    remedy = "the caller needs the right rds:DescribeDBInstances"
    instances = ask(
        lambda: aws.rds.get_instances(opts=opts),
        "database servers of the account",
        remedy,
    )
    # A filter by identifier would not find a server that was made from a backup.
    own = sorted(each for each in instances.instance_identifiers if is_servers_name(each, name))
    if not own:
        return ""
    server = ask(
        lambda: aws.rds.get_instance(db_instance_identifier=own[-1], opts=opts), f"database server {own[-1]}", remedy
    )
    return server.engine_version
