"""The account's container registry (DOCR)."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_digitalocean as digitalocean

from components.component import Component
from components.digitalocean.doctl import DoctlError, ask
from components.invokes import or_explain
from contract.platform import Registry

#: Regions with registries (API reference, Container Registries). For any other, the provider chooses one of them.
REGIONS = frozenset({"nyc3", "sfo2", "sfo3", "ams3", "sgp1", "fra1", "blr1", "syd1"})
#: Seconds for which the login of one run is valid: longer than any build.
PUSH_SECONDS = 2 * 3600
#: Seconds for which the pods' login is valid: the API's maximum, about 50 years. Pods pull long after an update.
PULL_SECONDS = 1_576_800_000


@dataclass(frozen=True)
class RegistryArgs:
    """Which registry to use or create."""

    #: Name and region of a new registry.
    name: str
    region: str
    #: Name of the account's existing registry, used instead of a new one.
    existing: str | None
    #: Plan of the account, if this creates its first registry.
    plan: str
    #: Whether the engine refuses to delete the registry.
    protect: bool


class ImageRegistry(Component):
    """A registry, the caller's login for pushing, and a read-only login for pods.

    The cluster's registry integration gives a new namespace its login some time after the namespace exists, and a pod
    that is created earlier never gets it. So pods have a login of their own.

    Creates the read-only credentials and, unless an existing registry is named, the registry.
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
                "set the config key `registry` to the account's registry (`doctl registries list` shows its name)",
            )
            registry_name, url = existing.name, existing.endpoint
        else:
            self.resource = digitalocean.ContainerRegistry(
                "registry",
                name=args.name,
                subscription_tier_slug=args.plan,
                region=args.region if args.region in REGIONS else None,
                # The plan is the account's. Whoever raised it in the control panel must not lose it by an update.
                opts=pulumi.ResourceOptions(parent=self, protect=args.protect, ignore_changes=["subscriptionTierSlug"]),
            )
            registry_name, url = self.resource.name, self.resource.endpoint
        pull = digitalocean.ContainerRegistryDockerCredentials(
            "pull",
            registry_name=registry_name,
            write=False,
            expiry_seconds=PULL_SECONDS,
            opts=pulumi.ResourceOptions(parent=self, aliases=[pulumi.Alias(name="push")]),
        )
        # Unlike the name, the URL is known only once the registry exists.
        login = pulumi.Output.secret(pulumi.Output.all(registry_name, url).apply(lambda known: push_login(known[0])))
        self.registry = Registry(
            url=url,
            username=login.apply(lambda pair: pair[0]),
            password=login.apply(lambda pair: pair[1]),
            pull_config=pulumi.Output.secret(pull.docker_credentials),
        )
        self.register_outputs({"url": url})


async def push_login(registry: str) -> tuple[str, str]:
    """Return user name and password for pushing, valid for this run. Raises pulumi.RunError.

    The state would keep a resource's login, which only a refresh renews once it has expired.
    """
    command = ["registries", "docker-config", registry, "--read-write", f"--expiry-seconds={PUSH_SECONDS}"]
    try:
        return docker_login(await asyncio.get_running_loop().run_in_executor(None, lambda: ask(*command)))
    except DoctlError as error:
        raise pulumi.RunError(
            f"stack `{pulumi.get_stack()}`: login to the registry {registry}: {error}; run the command again once"
            f" `doctl registries docker-config {registry}` succeeds (it needs doctl 1.146 or later)"
        ) from None


def docker_login(config: Mapping[str, Any]) -> tuple[str, str]:
    """Return user name and password of the only registry in a Docker client's config.json."""
    (entry,) = config["auths"].values()
    user, _, password = base64.b64decode(entry["auth"]).decode().partition(":")
    return user, password
