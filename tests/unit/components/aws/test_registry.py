"""The ECR repository, and what it throws away."""

from __future__ import annotations

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


def test_tags_are_for_good_but_for_builds_and_images_are_scanned(graph: Callable[..., Any]):
    repository = graph().one("Repository").inputs
    assert repository["name"] == "addressbook-test/addressbook"
    assert repository["imageTagMutability"] == "IMMUTABLE_WITH_EXCLUSION"
    assert repository["imageTagMutabilityExclusionFilters"] == [{"filter": f"{BUILD_TAG}*", "filterType": "WILDCARD"}]
    assert not RELEASE_TAG.startswith(BUILD_TAG)
    assert repository["imageScanningConfiguration"] == {"scanOnPush": True}
    assert repository["encryptionConfigurations"] == [{"encryptionType": "AES256"}]


def test_clean_up_spares_what_runs(graph: Callable[..., Any]):
    rules = json.loads(graph().one("LifecyclePolicy").inputs["policy"])["rules"]
    assert rules == clean_up_rules()
    first, second = rules
    assert first["rulePriority"] < second["rulePriority"]
    (kept,) = first["selection"]["tagPrefixList"]
    assert release_tag(f"registry.example/app@{DIGEST}").startswith(kept)
    assert first["selection"]["countNumber"] >= 100_000, "more than ECR has room for"
    assert second["selection"]["tagPrefixList"] == [BUILD_TAG]
    assert second["selection"]["countNumber"] == KEPT_BUILDS
    for rule in rules:
        assert rule["selection"]["tagStatus"] == "tagged", "a part of an index has no tag, and may run"
        assert rule["selection"]["countType"] == "imageCountMoreThan", "age says nothing of what runs"
    assert content_tag(ROOT / "app", "Dockerfile", "linux/amd64", {}).startswith(BUILD_TAG)


def kept(graph: Any) -> dict[str, Any]:
    """What is tagged to stay, by resource name."""
    return {each.name: each for each in graph.all("ImageCopy")}


def runs(graph: Any, track: str) -> tuple[str, list[str]]:
    """The image of a track's pods, and what they wait for."""
    made = graph.one("Deployment", f"addressbook-{track}")
    return made.inputs["spec"]["template"]["spec"]["containers"][0]["image"], made.dependencies


def test_what_runs_is_tagged_to_stay_before_it_runs(graph: Callable[..., Any]):
    own = f"{REPOSITORY}@{DIGEST}"
    pinned = graph(stableImage=own)
    (copy,) = kept(pinned).values()
    assert (copy.name, copy.inputs["source"], copy.inputs["repository"]) == ("image-cdcdcdcdcdcd", own, REPOSITORY)
    image, needed = runs(pinned, "stable")
    assert image == own
    assert copy.urn in needed

    built = graph()
    (copy,) = kept(built).values()
    assert (copy.name, copy.inputs["source"]) == ("image-source", f"{REPOSITORY}@{IMAGE_DIGEST}")
    image, needed = runs(built, "stable")
    assert image == f"{REPOSITORY}@{IMAGE_DIGEST}"
    assert copy.urn in needed

    trial = graph(stableImage=own, canaryImage="source", canaryReplicas=1)
    assert kept(trial).keys() == {"image-cdcdcdcdcdcd", "image-source"}
    assert kept(trial)["image-source"].urn in runs(trial, "canary")[1]


def test_what_no_track_runs_yet_is_a_build_as_any(graph: Callable[..., Any]):
    assert kept(graph(stableImage=f"{REPOSITORY}@{DIGEST}", buildAhead=True)).keys() == {"image-cdcdcdcdcdcd"}


def test_a_stack_on_the_platform_of_another_keeps_what_it_runs_too(graph: Callable[..., Any], cloud: Any):
    outputs = dict(graph().outputs)
    cloud.functions[READ_OUTPUTS] = lambda args: {"name": args["name"], "outputs": outputs, "secretOutputNames": []}
    on = {"platformStack": "prod", "namespace": "branch", **dict.fromkeys(AWS.of_platform, "")}
    assert kept(graph(**on)).keys() == {"image-source"}
    assert kept(graph(**on, stableImage=f"{REPOSITORY}@{DIGEST}")).keys() == {"image-cdcdcdcdcdcd"}
