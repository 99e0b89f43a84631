"""The ECR repository and its clean-up rules."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Callable
from typing import Any

from components.aws.registry import BUILD_TAG, KEPT_BUILDS, clean_up_rules
from components.image_copy import RELEASE_TAG, release_tag
from components.source import content_tag
from contract.project import PROJECT_ROOT as ROOT
from stacks.platform_reference import READ_OUTPUTS
from tests.unit.components.aws.simulated import AWS, REGISTRY
from tests.unit.conftest import IMAGE_DIGEST

DIGEST = "sha256:" + "cd" * 32
REPOSITORY = f"{REGISTRY}/addressbook-test/addressbook"


def test_tags_but_of_builds_and_signatures_are_immutable(graph: Callable[..., Any]):
    repository = graph().one("Repository").inputs
    assert repository["name"] == "addressbook-test/addressbook"
    assert repository["imageTagMutability"] == "IMMUTABLE_WITH_EXCLUSION"
    filters = [each["filter"] for each in repository["imageTagMutabilityExclusionFilters"]]
    assert filters == [f"{BUILD_TAG}*", "sha256-*"]
    signature = f"{DIGEST.replace(':', '-')}.sig"  # cosign's; a second signature is added to what the tag names
    for tag, mutable in ((f"{RELEASE_TAG}cdcdcdcdcdcd", False), (signature, True), (f"{BUILD_TAG}0a1b", True)):
        assert any(fnmatch.fnmatch(tag, each) for each in filters) is mutable, tag
    assert repository["imageScanningConfiguration"] == {"scanOnPush": True}
    assert repository["encryptionConfigurations"] == [{"encryptionType": "AES256"}]


def test_clean_up_spares_images_in_use(graph: Callable[..., Any]):
    rules = json.loads(graph().one("LifecyclePolicy").inputs["policy"])["rules"]
    assert rules == clean_up_rules()
    first, second = rules
    assert first["rulePriority"] < second["rulePriority"]
    (prefix,) = first["selection"]["tagPrefixList"]
    assert release_tag(f"registry.example/app@{DIGEST}").startswith(prefix)
    assert first["selection"]["countNumber"] >= 100_000, "ECR's quota"
    assert second["selection"]["tagPrefixList"] == [BUILD_TAG]
    assert second["selection"]["countNumber"] == KEPT_BUILDS
    for rule in rules:
        assert rule["selection"]["tagStatus"] == "tagged", "an untagged image may be part of an index in use"
        assert rule["selection"]["countType"] == "imageCountMoreThan", "an old image may be in use"
    assert content_tag(ROOT / "app", "Dockerfile", "linux/amd64", {}).startswith(BUILD_TAG)


def tagged(graph: Any) -> dict[str, Any]:
    """Return the images with a release tag, by resource name."""
    return {each.name: each for each in graph.all("ImageCopy")}


def image_and_dependencies(graph: Any, track: str) -> tuple[str, list[str]]:
    """Return the image of a track's pods, and what they wait for."""
    stack = graph.one("Deployment", f"addressbook-{track}")
    return stack.inputs["spec"]["template"]["spec"]["containers"][0]["image"], stack.dependencies


def test_an_image_is_tagged_before_it_runs(graph: Callable[..., Any]):
    own = f"{REPOSITORY}@{DIGEST}"
    pinned = graph(stableImage=own)
    (copy,) = tagged(pinned).values()
    assert (copy.name, copy.inputs["source"], copy.inputs["repository"]) == ("image-cdcdcdcdcdcd", own, REPOSITORY)
    image, dependencies = image_and_dependencies(pinned, "stable")
    assert image == own
    assert copy.urn in dependencies

    built = graph()
    (copy,) = tagged(built).values()
    assert (copy.name, copy.inputs["source"]) == ("image-source", f"{REPOSITORY}@{IMAGE_DIGEST}")
    image, dependencies = image_and_dependencies(built, "stable")
    assert image == f"{REPOSITORY}@{IMAGE_DIGEST}"
    assert copy.urn in dependencies

    trial = graph(stableImage=own, canaryImage="source", canaryReplicas=1)
    assert tagged(trial).keys() == {"image-cdcdcdcdcdcd", "image-source"}
    assert tagged(trial)["image-source"].urn in image_and_dependencies(trial, "canary")[1]


def test_an_image_built_ahead_is_not_tagged(graph: Callable[..., Any]):
    assert tagged(graph(stableImage=f"{REPOSITORY}@{DIGEST}", buildAhead=True)).keys() == {"image-cdcdcdcdcdcd"}


def test_a_release_stack_tags_its_images_too(graph: Callable[..., Any], cloud: Any):
    outputs = dict(graph().outputs)
    cloud.functions[READ_OUTPUTS] = lambda args: {"name": args["name"], "outputs": outputs, "secretOutputNames": []}
    on = {"platformStack": "prod", "namespace": "branch", **dict.fromkeys(AWS.of_platform, "")}
    assert tagged(graph(**on)).keys() == {"image-source"}
    assert tagged(graph(**on, stableImage=f"{REPOSITORY}@{DIGEST}")).keys() == {"image-cdcdcdcdcdcd"}
