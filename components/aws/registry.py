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

#: Prefix of the tags of images built from source (components/source.py).
BUILD_TAG = "src-"
#: Tags under which cosign keeps an image's signatures and attestations. A second signature changes what the tag names.
SIGNATURE_TAGS = "sha256-*"
#: How many of the newest images built from source are kept. Each `up` that builds pushes one.
KEPT_BUILDS = 200
#: ECR's rules can only keep a number of images. This one is ECR's quota of images per repository.
ALL_IMAGES = 100_000


@dataclass(frozen=True)
class ImageRepositoryArgs:
    """Name and protection of the repository, ``<name>/<service>``."""

    name: str
    service: str
    #: Whether the engine refuses to delete the repository. If false, it is deleted with its images.
    protect: bool


class ImageRepository(Component):
    """A repository that scans images on push, with immutable tags except for builds from source and signatures.

    Another machine may build the same source to another digest, and ECR would refuse it under an immutable tag. No
    stack runs a tag, and an image in use has an immutable one as well (components/image_copy.py).

    Creates the repository and its clean-up rules; every account has a registry. Nodes pull with their role.
    """

    #: With the caller's credentials for pushing, valid for 12 hours.
    registry: Registry

    def __init__(self, name: str, args: ImageRepositoryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("aws:ImageRepository", name, opts)
        repository = aws.ecr.Repository(
            "images",
            name=f"{args.name}/{args.service}",
            image_tag_mutability="IMMUTABLE_WITH_EXCLUSION",
            image_tag_mutability_exclusion_filters=[
                {"filter": each, "filter_type": "WILDCARD"} for each in (f"{BUILD_TAG}*", SIGNATURE_TAGS)
            ],
            image_scanning_configuration={"scan_on_push": True},
            encryption_configurations=[{"encryption_type": "AES256"}],
            force_delete=not args.protect,
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect),
        )
        aws.ecr.LifecyclePolicy(
            "clean-up",
            repository=repository.name,
            policy=json.dumps({"rules": clean_up_rules()}),
            # Deleted only together with the repository, so a refused `destroy` leaves the rules in force.
            opts=pulumi.ResourceOptions(parent=self, deleted_with=repository),
        )
        url = repository.repository_url.apply(lambda repository_url: repository_url.rpartition("/")[0])
        self.registry = caller_login(url, repository.registry_id, pulumi.InvokeOutputOptions(parent=self))
        self.register_outputs({"url": url})


def caller_login(url: pulumi.Input[str], account: pulumi.Input[str], opts: pulumi.InvokeOutputOptions) -> Registry:
    """Return the account's registry with the caller's login, valid for 12 hours."""
    token = or_explain(
        aws.ecr.get_authorization_token_output(registry_id=account, opts=opts),
        "login to the registry",
        "the caller needs the right ecr:GetAuthorizationToken",
    )
    password = pulumi.Output.secret(token.password)
    return Registry(url=url, username=token.user_name, password=password, removes_builds=True)


def clean_up_rules() -> list[dict[str, Any]]:
    """Return clean-up rules that spare every image that a track runs or has run: those have release tags.

    ECR applies to an image only the first rule that matches it. No rule matches untagged images: one may be part of a
    tagged index, or be pushed by digest and in use.
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
        keep(1, RELEASE_TAG, ALL_IMAGES, f"images tagged {RELEASE_TAG}* stay"),
        keep(2, BUILD_TAG, KEPT_BUILDS, f"of the builds, the newest {KEPT_BUILDS} stay"),
    ]
