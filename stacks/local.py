"""Cloud ``local``: a cluster that exists already, named by its kubeconfig context, and a database inside it."""

from __future__ import annotations

from typing import cast

from pydantic import Field, field_validator

from components.local.cluster import Cluster, ClusterArgs, kube_contexts
from components.local.database import LocalDatabase, LocalDatabaseArgs
from components.namespace import namespace
from stacks.platform import Platform, Registry
from stacks.settings import Keys, Quantity, Settings


class PlatformKeys(Keys):
    """Config keys of a local platform."""

    kube_context: str
    registry: str = Field(pattern=r"^[a-z0-9.-]+(:[0-9]+)?(/[a-z0-9._/-]+)?$")
    database_image: str = "postgres:15-bookworm"
    database_storage: Quantity = "1Gi"

    @field_validator("kube_context")
    @classmethod
    def _exists(cls, value: str) -> str:
        contexts = kube_contexts()
        if value not in contexts:
            known = ", ".join(contexts) or "none"
            raise ValueError(
                f"no such context in the kubeconfig; there: {known}. `kubectl config get-contexts` lists them"
            )
        return value


def provision(settings: Settings) -> Platform:
    """The named cluster, its registry, and a PostgreSQL in the release's namespace."""
    keys = cast(PlatformKeys, settings.platform)
    cluster = Cluster("cluster", ClusterArgs(context=keys.kube_context))
    space = namespace(settings.stack.namespace, cluster.kubernetes)
    database = LocalDatabase(
        "database",
        LocalDatabaseArgs(
            service=settings.service.service,
            namespace=space.metadata["name"],
            image=keys.database_image,
            storage=keys.database_storage,
            rollout_timeout_seconds=settings.service.rollout_timeout_seconds,
        ),
        kubernetes=cluster.kubernetes,
    )
    return Platform(
        kubernetes=cluster.kubernetes,
        namespace=space.metadata["name"],
        registry=Registry(url=keys.registry),
        database=database.connection,
        outputs={"kubeContext": keys.kube_context},
    )
