"""The ECR repository, and what it throws away."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from components.aws.registry import BUILD_TAG, KEPT_BUILDS, clean_up_rules
from components.source import content_tag
from stacks.settings import PROJECT_ROOT as ROOT


def test_tags_are_for_good_and_images_are_scanned(graph: Callable[..., Any]):
    repository = graph().one("Repository").inputs
    assert repository["name"] == "addressbook-test/addressbook"
    assert repository["imageTagMutability"] == "IMMUTABLE"
    assert repository["imageScanningConfiguration"] == {"scanOnPush": True}


def test_clean_up_spares_what_runs(graph: Callable[..., Any]):
    rules = json.loads(graph().one("LifecyclePolicy").inputs["policy"])["rules"]
    assert rules == clean_up_rules()
    first, second = rules
    assert first["rulePriority"] < second["rulePriority"]
    assert first["selection"]["tagPrefixList"] == ["release-"]
    assert second["selection"]["countNumber"] == KEPT_BUILDS
    for rule in rules:
        assert rule["selection"]["tagStatus"] == "tagged", "an untagged image was copied in by digest, and may run"
        assert rule["selection"]["countType"] == "imageCountMoreThan", "age says nothing of what runs"
    assert content_tag(ROOT / "app", "Dockerfile", "linux/amd64", {}).startswith(BUILD_TAG)
