"""The account's container registry (DOCR)."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_digitalocean as digitalocean

from components.component import Component
from components.invokes import or_explain
from contract.platform import Registry

#: The smallest plan with room for a service's image history: 5 GiB and 5 repositories (starter has 500 MiB).
SUBSCRIPTION = "basic"
#: Regions with registries (API reference, Container Registries). For any other, the provider chooses one of them.
REGIONS = frozenset({"nyc3", "sfo2", "sfo3", "ams3", "sgp1", "fra1", "blr1", "syd1"})
#: Seconds until the push credentials expire (90 days). `pulumi refresh` renews them.
CREDENTIALS_SECONDS = 90 * 24 * 3600


@dataclass(frozen=True)
class RegistryArgs:
    """Which registry to use or create."""

    #: Name and region of a new registry.
    name: str
    region: str
    #: Name of the account's existing registry, used instead of a new one.
    existing: str | None
    #: Whether the engine refuses to delete the registry.
    protect: bool


class ImageRegistry(Component):
    """A registry with push credentials. Clusters with the registry integration need none to pull.

    Creates the credentials and, unless an existing registry is named, the registry.
    """

    registry: Registry
    #: The registry to wait for; None if it exists already.
    resource: pulumi.Resource | None

    def __init__(self, name: str, args: RegistryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("digitalocean:ImageRegistry", name, opts)
        if args.existing:
            self.resource = None
            existing = or_explain(
                digitalocean.get_container_registry_output(
                    name=args.existing, opts=pulumi.InvokeOutputOptions(parent=self)
                ),
                f"registry {args.existing!r}",
                "set the config key `registry` to the account's registry (`doctl registry get` shows its name)",
            )
            registry_name, url = existing.name, existing.endpoint
        else:
            self.resource = digitalocean.ContainerRegistry(
                "registry",
                name=args.name,
                subscription_tier_slug=SUBSCRIPTION,
                region=args.region if args.region in REGIONS else None,
                opts=pulumi.ResourceOptions(parent=self, protect=args.protect),
            )
            registry_name, url = self.resource.name, self.resource.endpoint
        credentials = digitalocean.ContainerRegistryDockerCredentials(
            "push",
            registry_name=registry_name,
            write=True,
            expiry_seconds=CREDENTIALS_SECONDS,
            opts=pulumi.ResourceOptions(parent=self),
        )
        login = pulumi.Output.secret(credentials.docker_credentials).apply(docker_login)
        self.registry = Registry(
            url=url, username=login.apply(lambda pair: pair[0]), password=login.apply(lambda pair: pair[1])
        )
        self.register_outputs({"url": url})


def docker_login(config: str) -> tuple[str, str]:
    """Return user name and password of the only registry in a Docker client's config.json."""
    auths: dict[str, Any] = json.loads(config)["auths"]
    (entry,) = auths.values()
    user, _, password = base64.b64decode(entry["auth"]).decode().partition(":")
    return user, password
