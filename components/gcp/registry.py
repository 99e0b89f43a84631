"""The stack's container registry (Artifact Registry)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_gcp as gcp

from components.component import Component
from contract.platform import Registry

#: User name for access tokens (Artifact Registry documentation, Docker authentication).
TOKEN_USER = "oauth2accesstoken"  # noqa: S105 a user name


@dataclass(frozen=True)
class RegistryArgs:
    """Name of the repository, and the token for pushing to it."""

    name: str
    region: str
    labels: dict[str, str]
    #: Enabled APIs to wait for.
    services: Sequence[pulumi.Input[pulumi.Resource]]
    #: The caller's access token, a secret.
    token: pulumi.Output[str]
    #: Whether the engine refuses to delete the repository.
    protect: bool


class ContainerRegistry(Component):
    """A Docker repository whose images are scanned for known vulnerabilities.

    There are no clean-up rules, so images in use and those for a rollback stay. Tags may move, because another machine
    may build the same source to another digest; no stack runs a tag.
    """

    #: With the caller's token for pushing.
    registry: Registry
    #: Name of the repository.
    repository: pulumi.Output[str]

    def __init__(self, name: str, args: RegistryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gcp:ContainerRegistry", name, opts)
        repository = gcp.artifactregistry.Repository(
            "registry",
            repository_id=args.name,
            location=args.region,
            format="DOCKER",
            description=f"Images of Pulumi project {pulumi.get_project()}, stack {pulumi.get_stack()}",
            vulnerability_scanning_config={"enablement_config": "INHERITED"},
            # No clean-up policy: an untagged image may be in use by its digest, or be part of an index in use.
            labels=args.labels,
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect, depends_on=args.services),
        )
        self.repository = repository.name
        self.registry = caller_login(repository.registry_uri, args.token)
        self.register_outputs({"url": self.registry.url})


def caller_login(url: pulumi.Input[str], token: pulumi.Output[str]) -> Registry:
    """Return the registry with the caller's access token for pushing."""
    return Registry(url=url, username=TOKEN_USER, password=token)
