"""Containers run images by digest."""

from __future__ import annotations

import re
from fnmatch import fnmatch

from pulumi_policy import EnforcementLevel, PolicyConfigSchema, ResourceValidationPolicy

from policy.pods import Container, containers
from policy.rules import Resource, check_each, check_types, stack_of

#: Resources that build an image.
BUILDS = ("docker:index/image:Image", "docker-build:index:Image")
_BY_DIGEST = re.compile(r"[^@\s]+@sha256:[0-9a-f]{64}")


def _by_digest(container: Container) -> str | None:
    image = container.spec.get("image")
    if not image:
        return f"container `{container.name}` names no image: set REPOSITORY@sha256:DIGEST"
    if _BY_DIGEST.fullmatch(image) or image in container.pod.resource.get_config().get("allowedTags", []):
        return None
    return (
        f"container `{container.name}` runs `{image}`, and a tag can move: name it by digest, REPOSITORY@sha256:DIGEST"
        f" (`regctl image digest {image}` prints it; config keys stableImage, canaryImage,"
        " databaseClientImage, databaseImage and gatewayImage), or allow this tag at images-by-digest.allowedTags in"
        " policy/policy-config.json"
    )


def _by_tag(container: Container) -> str | None:
    resource = container.pod.resource
    image = _is_production(resource) and container.spec.get("image")
    if not image or _BY_DIGEST.fullmatch(image):
        return None
    return (
        f"`{stack_of(resource)}` is a production stack, and container `{container.name}` runs `{image}`, which anyone"
        " who may push that tag can change: name it REPOSITORY@sha256:DIGEST (config key databaseClientImage for psql,"
        f" gatewayImage for Traefik; `regctl image digest --platform linux/amd64 {image}` prints the digest)"
    )


def _is_production(resource: Resource) -> bool:
    return any(fnmatch(stack_of(resource), pattern) for pattern in resource.get_config().get("stacks", []))


def _not_built(image: Resource) -> str | None:
    stack = stack_of(image)
    if not _is_production(image):
        return None
    return (
        f"`{stack}` is a production stack, but would run an untested build of this working tree: pin a tested image"
        " (`pulumi config set stableImage REPOSITORY@sha256:DIGEST`, and canaryImage). To build the first release of a"
        " new stack, add --policy-pack-config policy/first-release.json"
    )


_STACKS = PolicyConfigSchema(properties={"stacks": {"type": "array", "items": {"type": "string"}}}, required=["stacks"])
POLICIES = [
    ResourceValidationPolicy(
        name="images-by-digest",
        description="Containers run images by digest.",
        enforcement_level=EnforcementLevel.MANDATORY,
        config_schema=PolicyConfigSchema(
            properties={"allowedTags": {"type": "array", "items": {"type": "string"}}}, required=["allowedTags"]
        ),
        validate=check_each(containers, _by_digest),
    ),
    ResourceValidationPolicy(
        name="no-tags-in-production",
        description="Production runs nothing by tag, not even a tag in allowedTags.",
        enforcement_level=EnforcementLevel.ADVISORY,
        config_schema=_STACKS,
        validate=check_each(containers, _by_tag),
    ),
    ResourceValidationPolicy(
        name="pinned-in-production",
        description="Production runs images that were built and tested earlier.",
        enforcement_level=EnforcementLevel.MANDATORY,
        config_schema=_STACKS,
        validate=check_types({kind: [_not_built] for kind in BUILDS}),
    ),
]
