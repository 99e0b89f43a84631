"""Provide the platform: provision one on the configured cloud, or connect to another stack's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from contract.platform import Platform
from contract.settings import Settings
from stacks.loading import load_cloud
from stacks.platform_reference import release_platform, shared_output, shared_platform


def provision(settings: Settings[Any]) -> Platform:
    """Declare the platform of the configured cloud, or the release stack's part of another stack's platform.

    Raises pulumi.RunError if the other stack has no platform to share.
    """
    cloud = load_cloud(settings.stack.cloud)
    if settings.stack.platform_stack:
        shared = shared_platform(settings)
        return release_platform(settings, shared, cloud.connect(settings, shared.access))
    platform = cloud.provision(settings)
    return replace(platform, outputs={**platform.outputs, **shared_output(settings.stack.cloud, platform)})
