"""The stack's container registry (Artifact Registry)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_gcp as gcp

from stacks.platform import Registry

#: The user name that goes with an access token (Artifact Registry documentation, Docker authentication).
TOKEN_USER = "oauth2accesstoken"  # noqa: S105 a user name


@dataclass(frozen=True)
class RegistryArgs:
    """``services`` are the enabled APIs to wait for."""

    name: str
    region: str
    labels: dict[str, str]
    services: Sequence[pulumi.Resource]
    protect: bool


class ContainerRegistry(pulumi.ComponentResource):
    """A Docker repository whose tags can't be moved and whose images are scanned for known vulnerabilities.

    What runs, and what a rollback may need, is spared from clean-up: it was pushed with a tag, and a tag is for good.
    Outputs ``registry``, with an access token of the caller's (valid an hour) to push with, and ``repository``, its
    name.
    """

    registry: Registry
    repository: pulumi.Output[str]

    def __init__(self, name: str, args: RegistryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("addressbook:gcp:ContainerRegistry", name, None, opts)
        repository = gcp.artifactregistry.Repository(
            "registry",
            repository_id=args.name,
            location=args.region,
            format="DOCKER",
            description=f"Images of Pulumi project {pulumi.get_project()}, stack {pulumi.get_stack()}",
            docker_config={"immutable_tags": True},
            vulnerability_scanning_config={"enablement_config": "INHERITED"},
            # No clean-up policy: all that is pushed has a tag, and what is untagged belongs to an index that has one.
            labels=args.labels,
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect, depends_on=args.services),
        )
        self.repository = repository.name
        self.registry = caller_login(repository.registry_uri, pulumi.InvokeOutputOptions(parent=self))
        self.register_outputs({"url": self.registry.url})


def caller_login(url: pulumi.Input[str], opts: pulumi.InvokeOutputOptions | None = None) -> Registry:
    """The registry with an access token of the caller's, valid an hour."""
    caller = gcp.organizations.get_client_config_output(opts=opts)
    return Registry(url=url, username=TOKEN_USER, password=pulumi.Output.secret(caller.access_token))
