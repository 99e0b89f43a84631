"""The contract between a cloud and the release: what every ``stacks/<cloud>.py`` hands over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pulumi
from pulumi.runtime import config as engine_config

from stacks.settings import ConfigFault, Settings, clouds, parse

if TYPE_CHECKING:
    import pulumi_kubernetes as k8s


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
    where the registry asks for none. The password is a secret.
    """

    url: pulumi.Input[str]
    username: pulumi.Input[str] | None = None
    password: pulumi.Input[str] | None = None


@dataclass(frozen=True)
class Platform:
    """What a release needs: a cluster to deploy to, a namespace in it, a registry and a database.

    ``load_balancer_annotations`` are what the cloud wants on the public Service; ``protect`` says whether the engine is
    to refuse deleting what users depend on; ``outputs`` are the stack outputs that the platform adds to the release's.
    """

    kubernetes: k8s.Provider
    namespace: pulumi.Output[str]
    registry: Registry
    database: Database
    load_balancer_annotations: Mapping[str, str] = field(default_factory=dict[str, str])
    protect: bool = False
    outputs: Mapping[str, Any] = field(default_factory=dict[str, Any])


def load_settings() -> Settings:
    """Read and validate the stack config.

    Raises pulumi.RunError, which ends the program without a traceback, before any resource is registered.
    """
    prefix = f"{pulumi.get_project()}:"
    config = {key: value for key, value in engine_config.CONFIG.get().items() if key.startswith(prefix)}
    values = {key.removeprefix(prefix): value for key, value in config.items()}
    cloud = values.get("cloud", "")
    try:
        return parse(
            values,
            platform=import_module(f"stacks.{cloud}").PlatformKeys if cloud in clouds() else None,
            secret_keys={key.removeprefix(prefix) for key in config if engine_config.is_config_secret(key)},
        )
    except ConfigFault as fault:
        faults = str(fault).splitlines()
        title = f"stack `{pulumi.get_stack()}`: {WRONG_CONFIG} (faults: {len(faults)})"
        raise pulumi.RunError("\n  - ".join([title, *faults])) from None


def provision(settings: Settings) -> Platform:
    """Declare the platform of the configured cloud. Only that cloud's SDK is imported."""
    platform: Platform = import_module(f"stacks.{settings.stack.cloud}").provision(settings)
    return platform
