"""The contract between a cloud and the release: what every ``stacks/<cloud>.py`` hands over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pulumi
from pulumi.runtime import config as engine_config

from stacks.parsing import ConfigFault, parse
from stacks.settings import Keys, Settings, clouds

if TYPE_CHECKING:
    import pulumi_kubernetes as k8s

    from components.database_rights import Administrator


#: Begins the message about a wrong config; commands know it by these words.
WRONG_CONFIG = "the config is wrong, nothing was changed"


@dataclass(frozen=True)
class Database:
    """A PostgreSQL database that the service may use.

    ``password`` is a secret. ``ssl`` says whether connections must be encrypted; ``ca`` is the PEM text of the
    authority that signed the server's certificate, None where the system's authorities are right.
    """

    host: pulumi.Input[str]
    port: pulumi.Input[int]
    name: pulumi.Input[str]
    user: pulumi.Input[str]
    password: pulumi.Output[str]
    ssl: bool = False
    ca: pulumi.Input[str] | None = None


@dataclass(frozen=True)
class Registry:
    """Where images are pushed to and the cluster pulls from.

    ``url`` is the prefix of a repository's name (host, or host/path). User name and password are for pushing; None
    where the registry asks for none. The password is a secret. ``removes_builds``: by and by it removes what is built
    from source, so that what a track runs of it has to be tagged to stay (components/image_copy.py).
    """

    url: pulumi.Input[str]
    username: pulumi.Input[str] | None = None
    password: pulumi.Input[str] | None = None
    removes_builds: bool = False


@dataclass(frozen=True)
class Platform:
    """What a release needs: a cluster to deploy to, a namespace in it, a registry and a database.

    ``load_balancer_annotations`` are what the cloud wants on the public Service; ``protect`` says whether the engine is
    to refuse deleting what users depend on; ``outputs`` are the stack outputs that the platform adds to the release's.

    What release stacks on the platform are handed: ``administrator``, who makes their databases in the server of
    ``database``, and ``access``, what the cloud's ``join`` needs to reach cluster and registry, secret as a whole.
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


def cloud_outputs(
    cluster: pulumi.Input[str],
    endpoint: pulumi.Input[str],
    kubeconfig: pulumi.Input[str],
    registry: Registry,
    database: Database,
) -> dict[str, Any]:
    """The stack outputs of a platform whose cluster, registry and database server are bought from a cloud."""
    return {
        "clusterName": cluster,
        "clusterEndpoint": endpoint,
        "kubeconfig": kubeconfig,
        "registryUrl": registry.url,
        "databaseHost": database.host,
        "databasePassword": database.password,
    }


def wrong_config(faults: Sequence[str]) -> pulumi.RunError:
    """The error that ends the program without a traceback, for faults found before any resource is registered."""
    title = f"stack `{pulumi.get_stack()}`: {WRONG_CONFIG} (faults: {len(faults)})"
    return pulumi.RunError("\n  - ".join([title, *faults]))


def load_settings() -> Settings:
    """Read and validate the stack config.

    Raises pulumi.RunError, which ends the program without a traceback, before any resource is registered.
    """
    prefix = f"{pulumi.get_project()}:"
    config = {key: value for key, value in engine_config.CONFIG.get().items() if key.startswith(prefix)}
    values = {key.removeprefix(prefix): value for key, value in config.items()}
    try:
        settings = parse(
            values,
            platform=_platform_keys(values.get("cloud", ""), values.get("platformStack", "")),
            secret_keys={key.removeprefix(prefix) for key in config if engine_config.is_config_secret(key)},
        )
    except ConfigFault as fault:
        raise wrong_config(str(fault).splitlines()) from None
    from stacks.pinning import refuse_unpinned  # here, since it is built on this module

    refuse_unpinned(settings.release)
    return settings


def _platform_keys(cloud: str, platform_stack: str) -> type[Keys] | None:
    """The keys of the cloud's platform, or those left to a stack on another's; None when there is no such cloud."""
    if cloud not in clouds():
        return None
    module = import_module(f"stacks.{cloud}")
    if not platform_stack:
        return module.PlatformKeys
    if not hasattr(module, "join"):
        raise wrong_config([f"platformStack = {platform_stack!r}: stacks on cloud `{cloud}` can't share a platform"])
    return module.ReleaseStackKeys


def provision(settings: Settings) -> Platform:
    """Declare the platform of the configured cloud, or what a release stack makes on that of another stack.

    Only that cloud's SDK is imported. Raises pulumi.RunError where the other stack has no such platform.
    """
    from stacks import sharing  # here, since it is built on this module

    module = import_module(f"stacks.{settings.stack.cloud}")
    if settings.stack.platform_stack:
        shared = sharing.shared_platform(settings)
        return sharing.release_platform(settings, shared, module.join(settings, shared.access))
    platform: Platform = module.provision(settings)
    return replace(platform, outputs={**platform.outputs, **sharing.handed_over(settings.stack.cloud, platform)})
