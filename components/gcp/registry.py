"""The stack's container registry (Artifact Registry)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_gcp as gcp

from components.component import Component
from contract.platform import Registry

#: The user name that goes with an access token (Artifact Registry documentation, Docker authentication).
TOKEN_USER = "oauth2accesstoken"  # noqa: S105 a user name


@dataclass(frozen=True)
class RegistryArgs:
    """``services`` are the enabled APIs to wait for; ``token`` is the caller's, a secret, to push with."""

    name: str
    region: str
    labels: dict[str, str]
    services: Sequence[pulumi.Resource]
    token: pulumi.Output[str]
    protect: bool


class ContainerRegistry(Component):
    """A Docker repository whose images are scanned for known vulnerabilities.

    Nothing is cleaned up, so what runs and what a rollback may need stays. Tags may move: the same source is built
    again by another machine, branch or day, to another digest, which immutable tags would refuse; no stack runs a tag.
    Outputs ``registry``, with the caller's token to push with, and ``repository``, its name.
    """

    registry: Registry
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
            # No clean-up policy: what is untagged may run, by its digest, or belong to an index that does.
            labels=args.labels,
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect, depends_on=args.services),
        )
        self.repository = repository.name
        self.registry = caller_login(repository.registry_uri, args.token)
        self.register_outputs({"url": self.registry.url})


def caller_login(url: pulumi.Input[str], token: pulumi.Output[str]) -> Registry:
    """The registry, to be pushed to with an access token of the caller's."""
    return Registry(url=url, username=TOKEN_USER, password=token)
