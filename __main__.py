"""Provision the platform, release the service on it, and export the stack outputs."""

import pulumi

from components.release import Release, ReleaseArgs
from stacks.loading import load_settings
from stacks.provisioning import provision

settings = load_settings()  # Pulumi.<stack>.yaml, validated
platform = provision(settings)  # stacks/<cloud>.py: cluster, registry and database
release = Release(
    settings.service.name,
    ReleaseArgs(
        platform,
        settings.release,
        settings.service,
        settings.canary,
        settings.images_to_copy,
        metrics_path=settings.verdict.metrics.path,
    ),
)

for name, value in {**platform.outputs, **release.outputs}.items():
    pulumi.export(name, value)
