"""The project's own program before every rule, its variants that no stack file has: a canary, a release stack."""

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


def _broken(judge: Callable[..., Verdict], graph: Any) -> list[str]:
    """What the rules say of all that a program has registered."""
    found: list[str] = []
    assert len(graph.resources) > 10
    for resource in graph.resources:
        props = json_format.MessageToDict(resource.options.object)
        for rule in RULES:
            verdict = judge(
                rule, resource.type, props, protect=resource.options.protect, name=resource.name, stack="branch-one"
            )
            assert not verdict.unknown, f"{rule}: {resource.name}"
            found += [f"{rule}: {resource.name}: {message}" for message in verdict.messages]
    return found


def test_a_canary_beside_stable(judge: Callable[..., Verdict], declare: Declare):
    assert _broken(judge, declare(**CANARY)) == []


@pytest.fixture
def release_stack(declare: Declare, cloud: Any) -> Any:
    """A stack on another stack's platform."""
    platform = dict(declare(namespace="platform").outputs)
    platform[OUTPUT]["database"]["administrator_password"] = "of the administrator"
    answer = {"name": "plat", "outputs": platform, "secretOutputNames": [OUTPUT]}
    cloud.functions[READ_OUTPUTS] = lambda _: answer
    return declare(platformStack="plat", namespace="branch-one", kubeContext="", registry="", **CANARY)


def test_a_release_stack(judge: Callable[..., Verdict], release_stack: Any):
    assert _broken(judge, release_stack) == []


def test_a_password_in_the_plain_environment(judge: Callable[..., Verdict], declare: Declare):
    broken = _broken(judge, declare(environment={"API_TOKEN": "plain"}))
    assert len(broken) == 2
    assert {each.partition(":")[0] for each in broken} == {"no-secrets-in-environment", "secrets-only-as-secrets"}
