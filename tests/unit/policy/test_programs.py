"""Every policy passes on the project's own program, with a canary and as a release stack."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf import json_format
from pulumi_policy import ResourceValidationPolicy

from policy.pack import POLICIES
from stacks.platform_reference import OUTPUT, READ_OUTPUTS
from tests.unit.policy.conftest import Verdict

Declare = Callable[..., Any]
CANARY = {"canaryImage": "source", "canaryReplicas": "1", "stableReplicas": "2"}
RULES = [policy.name for policy in POLICIES if isinstance(policy, ResourceValidationPolicy)]


def _broken(check: Callable[..., Verdict], graph: Any) -> list[str]:
    """Return every policy's messages for all resources that a program registers."""
    found: list[str] = []
    assert len(graph.resources) > 10
    for resource in graph.resources:
        props = json_format.MessageToDict(resource.options.object)
        for rule in RULES:
            verdict = check(
                rule, resource.type, props, protect=resource.options.protect, name=resource.name, stack="branch-one"
            )
            assert not verdict.unknown, f"{rule}: {resource.name}"
            found += [f"{rule}: {resource.name}: {message}" for message in verdict.messages]
    return found


def test_program_with_canary_passes(check: Callable[..., Verdict], declare: Declare):
    assert _broken(check, declare(**CANARY)) == []


@pytest.fixture
def release_stack(declare: Declare, cloud: Any) -> Any:
    """A release stack on another stack's platform."""
    platform = dict(declare(namespace="platform").outputs)
    platform[OUTPUT]["database"]["administrator_password"] = "of the administrator"
    answer = {"name": "plat", "outputs": platform, "secretOutputNames": [OUTPUT]}
    cloud.functions[READ_OUTPUTS] = lambda _: answer
    return declare(platformStack="plat", namespace="branch-one", kubeContext="", registry="", **CANARY)


def test_release_stack_passes(check: Callable[..., Verdict], release_stack: Any):
    assert _broken(check, release_stack) == []


def test_plain_token_in_the_environment_is_reported(check: Callable[..., Verdict], declare: Declare):
    broken = _broken(check, declare(environment={"API_TOKEN": "plain"}))
    assert len(broken) == 2
    assert {each.partition(":")[0] for each in broken} == {"no-secrets-in-environment", "secrets-only-as-secrets"}
