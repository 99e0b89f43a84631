"""Every policy passes on the project's own program: on every cloud, with a canary, and as a release stack."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf import json_format
from pulumi_policy import StackValidationPolicy

from policy.pack import POLICIES
from stacks.platform_reference import OUTPUT, READ_OUTPUTS
from tests.unit.components.clouds import CLOUDS
from tests.unit.components.conftest import account, graph  # noqa: F401 fixtures
from tests.unit.components.simulated import SimulatedCloud
from tests.unit.policy.conftest import Verdict
from tests.unit.policy.rows import StackResource

Declare = Callable[..., Any]
Broken = Callable[..., list[str]]
CANARY = {"canaryImage": "source", "canaryReplicas": "1", "stableReplicas": "2"}
#: The simulated accounts are in regions of their own.
SKIPPED = "allowed-regions"
STACK_RULES = [policy.name for policy in POLICIES if isinstance(policy, StackValidationPolicy)]
RULES = [policy.name for policy in POLICIES if policy.name not in (*STACK_RULES, SKIPPED)]
#: What the advice on API servers asks for: it depends on the team.
OFFICE = {"apiServerAccess": ["203.0.113.0/24"]}


@pytest.fixture
def broken(check: Callable[..., Verdict], check_stack: Callable[..., Verdict]) -> Broken:
    """Return a function with every policy's messages about what a program registers."""

    def run(registered: Any) -> list[str]:
        found: list[str] = []
        assert len(registered.resources) > 10
        properties = {each.urn: json_format.MessageToDict(each.options.object) for each in registered.resources}
        for each in registered.resources:
            for rule in RULES:
                verdict = check(
                    rule,
                    each.type,
                    properties[each.urn],
                    protect=each.options.protect,
                    name=each.name,
                    stack="branch-one",
                    provider=properties.get(each.provider.rpartition("::")[0]),
                )
                assert not verdict.unknown, f"{rule}: {each.name}"
                found += [f"{rule}: {each.name}: {message}" for message in verdict.messages]
        stack = [
            StackResource(each.urn, each.type, properties[each.urn], _origins(each)) for each in registered.resources
        ]
        for rule in STACK_RULES:
            verdict = check_stack(rule, *stack)
            assert not verdict.unknown, rule
            found += [f"{rule}: {message}" for message in verdict.messages]
        return found

    return run


def _origins(resource: Any) -> dict[str, str]:
    """Return the resource that each property comes from."""
    return {name: each.urns[0] for name, each in resource.options.propertyDependencies.items() if each.urns}


def test_program_with_canary_passes(broken: Broken, declare: Declare):
    assert broken(declare(**CANARY)) == []


@pytest.mark.parametrize("simulated", CLOUDS, ids=lambda cloud: cloud.name)
def test_program_passes_on_every_cloud(broken: Broken, graph: Declare, simulated: SimulatedCloud):  # noqa: F811
    ranges = OFFICE if "apiServerAccess" in simulated.keys.key_names() else {}
    assert broken(graph(**{**simulated.extra, **CANARY, **ranges})) == []


@pytest.fixture
def release_stack(declare: Declare, cloud: Any) -> Any:
    """A release stack on another stack's platform."""
    platform = dict(declare(namespace="platform").outputs)
    platform[OUTPUT]["database"]["administrator_password"] = "of the administrator"
    answer = {"name": "plat", "outputs": platform, "secretOutputNames": [OUTPUT]}
    cloud.functions[READ_OUTPUTS] = lambda _: answer
    return declare(platformStack="plat", namespace="branch-one", kubeContext="", registry="", **CANARY)


def test_release_stack_passes(broken: Broken, release_stack: Any):
    assert broken(release_stack) == []


def test_plain_token_in_the_environment_is_reported(broken: Broken, declare: Declare):
    found = broken(declare(environment={"API_TOKEN": "plain"}))
    assert len(found) == 2
    assert {each.partition(":")[0] for each in found} == {"no-secrets-in-environment", "secrets-only-as-secrets"}
