"""The account's container registry (DOCR)."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any, cast

import pulumi
import pulumi_digitalocean as digitalocean

from components.component import Component
from components.invokes import or_explain
from contract.platform import Registry

#: Smallest plan with room for a service's history of images: 5 GiB, 5 repositories (starter has 500 MiB).
SUBSCRIPTION = "basic"
#: Regions that keep registries (API reference, Container Registries); elsewhere the provider chooses one.
REGIONS = frozenset({"nyc3", "sfo2", "sfo3", "ams3", "sgp1", "fra1", "blr1", "syd1"})
#: Seconds until the credentials for pushing expire: 90 days. `pulumi refresh` renews expired ones.
CREDENTIALS_SECONDS = 90 * 24 * 3600


@dataclass(frozen=True)
class RegistryArgs:
    """``existing`` names a registry of the account to use; without it one called ``name`` is made in ``region``."""

    name: str
    region: str
    existing: str | None
    protect: bool


class ImageRegistry(Component):
    """A registry with credentials to push to it; clusters with the registry integration pull without any.

    Makes the registry, unless an existing one is named, and the credentials. Outputs ``registry``; ``made`` is the
    resource to wait for, None where the registry was there.
    """

    registry: Registry
    made: pulumi.Resource | None

    def __init__(self, name: str, args: RegistryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("digitalocean:ImageRegistry", name, opts)
        if args.existing:
            self.made = None
            found = or_explain(
                digitalocean.get_container_registry_output(
                    name=args.existing, opts=pulumi.InvokeOutputOptions(parent=self)
                ),
                f"registry {args.existing!r}",
                "set the config key `registry` to the account's (`doctl registry get` shows it)",
            )
            registry_name, url = found.name, found.endpoint
        else:
            self.made = digitalocean.ContainerRegistry(
                "registry",
                name=args.name,
                subscription_tier_slug=SUBSCRIPTION,
                region=args.region if args.region in REGIONS else None,
                opts=pulumi.ResourceOptions(parent=self, protect=args.protect),
            )
            registry_name, url = self.made.name, self.made.endpoint
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
    """User name and password of the only registry in a Docker client's config.json."""
    auths = cast(dict[str, Any], json.loads(config))["auths"]
    (entry,) = auths.values()
    user, _, password = base64.b64decode(entry["auth"]).decode().partition(":")
    return user, password
