"""Stack config in, a platform and a release on it, stack outputs out."""

import pulumi

from components.release import Release, ReleaseArgs
from stacks.loading import load_settings
from stacks.provisioning import provision

settings = load_settings()  # Pulumi.<stack>.yaml, typed and validated
platform = provision(settings)  # stacks/<cloud>.py: cluster, registry and database
release = Release(
    settings.service.name, ReleaseArgs(platform, settings.release, settings.service, settings.images_to_copy)
)

for name, value in {**platform.outputs, **release.outputs}.items():
    pulumi.export(name, value)
