"""What a cloud hands to the release: cluster, namespace, registry and database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pulumi

if TYPE_CHECKING:  # the SDK takes a moment to load, and settings are read without it
    import pulumi_kubernetes as k8s


@dataclass(frozen=True)
class Database:
    """A PostgreSQL database that the service may use.

    ``password`` is a secret. ``ssl``: connections must be encrypted. ``ca``: PEM text of the authority that signed the
    server's certificate; None if the system's authorities cover it.
    """

    host: pulumi.Input[str]
    port: pulumi.Input[int]
    name: pulumi.Input[str]
    user: pulumi.Input[str]
    password: pulumi.Output[str]
    ssl: bool = False
    ca: pulumi.Input[str] | None = None


@dataclass(frozen=True)
class Administrator:
    """The database server's own user, who may create databases and grant rights. ``password`` is a secret."""

    user: pulumi.Input[str]
    password: pulumi.Output[str]


@dataclass(frozen=True)
class Registry:
    """Where images are pushed to and the cluster pulls from.

    ``url`` is the prefix of a repository's name (host, or host/path). ``username`` and ``password`` (a secret) are for
    pushing; None if the registry needs no login. ``removes_builds``: a clean-up rule deletes images built from source
    after a while, so the image that a track runs needs a tag that keeps it (components/image_copy.py).
    """

    url: pulumi.Input[str]
    username: pulumi.Input[str] | None = None
    password: pulumi.Input[str] | None = None
    removes_builds: bool = False


@dataclass(frozen=True)
class ClusterAccess:
    """How to reach a cluster from where the engine runs: a context of the user's kubeconfig, or a kubeconfig."""

    context: str = ""
    kubeconfig: pulumi.Input[str] = ""


@dataclass(frozen=True)
class Platform:
    """Everything a release needs to run on.

    ``load_balancer_annotations`` go on the public Service. ``protect``: the engine refuses to delete what users depend
    on. ``outputs`` become stack outputs beside the release's.

    ``administrator`` and ``access`` are for release stacks on this platform: who creates their databases, and what the
    cloud's ``connect`` needs to reach cluster and registry (secret as a whole). Without an administrator the platform
    cannot be shared.
    """

    kubernetes: k8s.Provider
    namespace: pulumi.Output[str]
    registry: Registry
    database: Database
    load_balancer_annotations: Mapping[str, str] = field(default_factory=dict[str, str])
    protect: bool = False
    outputs: Mapping[str, Any] = field(default_factory=dict[str, Any])
    administrator: Administrator | None = None
    access: Mapping[str, pulumi.Input[str]] = field(default_factory=dict[str, pulumi.Input[str]])


@dataclass(frozen=True)
class Connection:
    """A release stack's way into another stack's platform; it provisions nothing.

    ``cluster`` is for code that runs outside the engine. The other fields are those of Platform.
    """

    kubernetes: k8s.Provider
    cluster: ClusterAccess
    registry: Registry
    load_balancer_annotations: Mapping[str, str] = field(default_factory=dict[str, str])
    protect: bool = False
    outputs: Mapping[str, Any] = field(default_factory=dict[str, Any])


def cloud_outputs(
    cluster: pulumi.Input[str],
    endpoint: pulumi.Input[str],
    kubeconfig: pulumi.Input[str],
    registry: Registry,
    database: Database,
) -> dict[str, Any]:
    """Return the stack outputs that every cloud's platform has."""
    return {
        "clusterName": cluster,
        "clusterEndpoint": endpoint,
        "kubeconfig": kubeconfig,
        "registryUrl": registry.url,
        "databaseHost": database.host,
        "databasePassword": database.password,
    }
