"""Stack config in, a platform and a release on it, stack outputs out."""

import pulumi

from components.release import Release, ReleaseArgs
from stacks.platform import load_settings, provision

settings = load_settings()  # Pulumi.<stack>.yaml, typed and validated
platform = provision(settings)  # stacks/<cloud>.py: cluster, registry and database
release = Release(
    settings.service.service, ReleaseArgs(platform, settings.release, settings.service, settings.elsewhere)
)

for name, value in {**platform.outputs, **release.outputs}.items():
    pulumi.export(name, value)
