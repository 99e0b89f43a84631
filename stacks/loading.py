"""Load the stack config as settings, and the cloud that it names."""

from __future__ import annotations

from importlib import import_module
from typing import Any, cast

import pulumi
from pulumi.runtime import config as engine_config

from contract.cloud import Cloud
from contract.errors import invalid_config
from contract.project import clouds
from contract.settings import Keys, Settings
from stacks.parsing import ConfigError, parse
from stacks.pinning import refuse_unpinned
from stacks.signing import refuse_unsigned


def load_cloud(name: str) -> Cloud:
    """Import ``stacks/<name>.py``. Only this cloud's SDK is loaded, because each takes up to a second."""
    return cast(Cloud, import_module(f"stacks.{name}"))


def load_settings() -> Settings[Any]:
    """Read and validate the stack config.

    Raises pulumi.RunError with every error at once, before any resource is registered.
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
    except ConfigError as error:
        raise invalid_config(str(error).splitlines()) from None
    refuse_unpinned(settings.release)
    refuse_unsigned(settings.release)
    return settings


def _platform_keys(cloud: str, platform_stack: str) -> type[Keys] | None:
    """Return the cloud's keys for a platform, or for a release stack; None if there is no such cloud."""
    if cloud not in clouds():
        return None
    loaded = load_cloud(cloud)
    if not platform_stack:
        return loaded.PlatformKeys
    if loaded.ReleaseStackKeys is None:
        raise invalid_config(
            [f"platformStack = {platform_stack!r}: cloud `{cloud}` does not support sharing a platform"]
        )
    return loaded.ReleaseStackKeys
