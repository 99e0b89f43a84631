"""The service's image repository in the account's registry (ECR)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from components.component import Component
from components.image_copy import RELEASE_TAG
from components.invokes import or_explain
from contract.platform import Registry

#: What the tags of images built from source begin with (components/source.py).
BUILD_TAG = "src-"
#: Images built from source that are kept, newest first. Each `up` that builds pushes one.
KEPT_BUILDS = 200
#: ECR's rules only know how to keep a number of images; a repository takes no more (ECR's quota, to be raised with it).
ALL_OF_THEM = 100_000


@dataclass(frozen=True)
class ImageRepositoryArgs:
    """``name`` is the path that the repository is under, ``service`` its last part.

    ``throw_away``: it may be deleted with images in it.
    """

    name: str
    service: str
    throw_away: bool


class ImageRepository(Component):
    """A repository whose images are scanned when they arrive. Tags never move, but for those of builds from source.

    The same source is built again by another machine, branch or day, to another digest, which ECR would refuse under
    an immutable tag. No stack runs a tag; what a track runs is kept by one that never moves (components/image_copy.py).

    Makes the repository and its clean-up rules; the account's registry itself is always there. Outputs ``registry``,
    with credentials for pushing that AWS gives anew to each run, good for 12 hours. Nodes pull by their role.
    """

    registry: Registry

    def __init__(self, name: str, args: ImageRepositoryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("aws:ImageRepository", name, opts)
        repository = aws.ecr.Repository(
            "images",
            name=f"{args.name}/{args.service}",
            image_tag_mutability="IMMUTABLE_WITH_EXCLUSION",
            image_tag_mutability_exclusion_filters=[{"filter": f"{BUILD_TAG}*", "filter_type": "WILDCARD"}],
            image_scanning_configuration={"scan_on_push": True},
            encryption_configurations=[{"encryption_type": "AES256"}],
            force_delete=args.throw_away,
            opts=pulumi.ResourceOptions(parent=self, protect=not args.throw_away),
        )
        aws.ecr.LifecyclePolicy(
            "clean-up",
            repository=repository.name,
            policy=json.dumps({"rules": clean_up_rules()}),
            # Not one by itself: a refused `destroy` leaves the rules in force.
            opts=pulumi.ResourceOptions(parent=self, deleted_with=repository),
        )
        url = repository.repository_url.apply(lambda known: known.rpartition("/")[0])
        self.registry = caller_login(url, repository.registry_id, pulumi.InvokeOutputOptions(parent=self))
        self.register_outputs({"url": url})


def caller_login(url: pulumi.Input[str], account: pulumi.Input[str], opts: pulumi.InvokeOutputOptions) -> Registry:
    """The account's registry with a login of the caller's, valid 12 hours."""
    token = or_explain(
        aws.ecr.get_authorization_token_output(registry_id=account, opts=opts),
        "login to the registry",
        "the caller needs the right ecr:GetAuthorizationToken",
    )
    password = pulumi.Output.secret(token.password)
    return Registry(url=url, username=token.user_name, password=password, removes_builds=True)


def clean_up_rules() -> list[dict[str, Any]]:
    """Rules that can't touch what a track runs or has run: the release gives that a tag of its own.

    An image meets at most one rule, that of the first priority it fits. Untagged images fit none: such
    an image may be part of an index that has a tag, or was pushed by its digest alone, and may be what runs.
    """

    def keep(priority: int, prefix: str, count: int, description: str) -> dict[str, Any]:
        return {
            "rulePriority": priority,
            "description": description,
            "selection": {
                "tagStatus": "tagged",
                "tagPrefixList": [prefix],
                "countType": "imageCountMoreThan",
                "countNumber": count,
            },
            "action": {"type": "expire"},
        }

    return [
        keep(1, RELEASE_TAG, ALL_OF_THEM, f"images tagged {RELEASE_TAG}* stay"),
        keep(2, BUILD_TAG, KEPT_BUILDS, f"of the builds, the newest {KEPT_BUILDS} stay"),
    ]
