"""The identity of the cluster's nodes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_gcp as gcp

from components.component import Component

#: The minimum that a node needs: write logs and metrics (GKE documentation, Node service accounts).
NODE_ROLE = "roles/container.defaultNodeServiceAccount"
READER_ROLE = "roles/artifactregistry.reader"
#: Maximum length of an account id (IAM documentation), and how many digits keep shortened ids unique.
ACCOUNT_ID_LENGTH = 30
DIGEST_DIGITS = 10


@dataclass(frozen=True)
class NodeIdentityArgs:
    """Project of the account, and the repository that nodes pull from."""

    #: Name that the account is named after.
    name: str
    #: Id of the project.
    project: str
    #: Region of the repository.
    region: str
    #: Name of the only repository that nodes may pull from.
    repository: pulumi.Input[str]
    #: Enabled APIs to wait for.
    services: Sequence[pulumi.Input[pulumi.Resource]]


class NodeIdentity(Component):
    """A service account with only the rights that nodes need, instead of Compute Engine's default account.

    Creates the account, its role in the project and the right to pull from one repository.
    """

    #: Email of the account.
    email: pulumi.Output[str]
    #: Rights that must exist before the nodes.
    rights: Sequence[pulumi.Resource]

    def __init__(self, name: str, args: NodeIdentityArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gcp:NodeIdentity", name, opts)
        account = gcp.serviceaccount.Account(
            "nodes",
            account_id=account_id(args.name),
            display_name=f"Nodes of {args.name}",
            opts=pulumi.ResourceOptions(parent=self, depends_on=args.services),
        )
        self.email = account.email
        self.rights = [
            gcp.projects.IAMMember(
                "nodes",
                project=args.project,
                role=NODE_ROLE,
                member=account.member,
                opts=pulumi.ResourceOptions(parent=self),
            ),
            gcp.artifactregistry.RepositoryIamMember(
                "nodes-pull",
                location=args.region,
                repository=args.repository,
                role=READER_ROLE,
                member=account.member,
                opts=pulumi.ResourceOptions(parent=self),
            ),
        ]
        self.register_outputs({"email": self.email})


def account_id(name: str) -> str:
    """Return the account's id: the beginning of ``name``, and a digest that keeps it unique."""
    digest = hashlib.sha256(name.encode()).hexdigest()[:DIGEST_DIGITS]
    return f"{name[: ACCOUNT_ID_LENGTH - DIGEST_DIGITS - 1].rstrip('-')}-{digest}"


def pull_right(account: str, region: str, repository: pulumi.Input[str]) -> gcp.artifactregistry.RepositoryIamMember:
    """Let an existing service account (email) pull from a repository of the region."""
    return gcp.artifactregistry.RepositoryIamMember(
        f"pull-{account}",
        location=region,
        repository=repository,
        role=READER_ROLE,
        member=f"serviceAccount:{account}",
    )
