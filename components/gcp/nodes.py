"""The identity of the cluster's nodes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_gcp as gcp

from components.component import Component

#: What Google documents as the least that a node needs: write logs and metrics (GKE documentation, Node accounts).
NODE_ROLE = "roles/container.defaultNodeServiceAccount"
READER_ROLE = "roles/artifactregistry.reader"
#: Longest account id (IAM documentation), and the digits of it that keep shortened ones apart.
ACCOUNT_ID_LENGTH = 30
DIGEST_DIGITS = 10


@dataclass(frozen=True)
class NodeIdentityArgs:
    """``repository`` is the name of the only repository, in ``region``, that the nodes pull from."""

    name: str
    project: str
    region: str
    repository: pulumi.Input[str]
    services: Sequence[pulumi.Resource]


class NodeIdentity(Component):
    """A service account with no more rights than nodes need, instead of Compute Engine's with its many.

    Makes the account, its role in the project and the right to pull from one repository. Outputs ``email``;
    ``rights``, the resources to wait for before there are nodes.
    """

    email: pulumi.Output[str]
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
    """Id of the account of the nodes of ``name``: its beginning, and a digest that tells it from others like it."""
    digest = hashlib.sha256(name.encode()).hexdigest()[:DIGEST_DIGITS]
    return f"{name[: ACCOUNT_ID_LENGTH - DIGEST_DIGITS - 1].rstrip('-')}-{digest}"
