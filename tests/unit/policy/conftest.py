"""Run policies as the engine does, without the engine."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from pulumi_policy import (
    PolicyCustomTimeouts,
    PolicyProviderResource,
    PolicyResource,
    PolicyResourceOptions,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.deserialize import deserialize_properties
from pulumi_policy.proxy import UnknownValueError, unknown_checking_proxy

from policy import coverage, selectors
from policy.pack import POLICIES, configuration
from tests.unit.policy.rows import StackResource

BY_NAME = {policy.name: policy for policy in POLICIES}
#: The policy that records workloads for stack policies.
RECORDER = "network-policy"
SECRET_MARK = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270"}


def secret(value: Any) -> dict[str, Any]:
    """A value as the engine sends it when it is marked as a secret."""
    return {**SECRET_MARK, "value": value}


@dataclass
class Verdict:
    """A policy's messages. ``unknown``: it could not check everything yet."""

    messages: list[str] = field(default_factory=list[str])
    unknown: bool = False

    def __str__(self) -> str:
        return " | ".join(self.messages)


def options(protect: bool = False) -> PolicyResourceOptions:
    return PolicyResourceOptions(protect, [], None, [], PolicyCustomTimeouts(0, 0, 0), [])


@pytest.fixture(autouse=True)
def new_run(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Begin a separate run of the program, in each test and whenever the function is called."""

    def begin() -> None:
        for module in (selectors, coverage):
            monkeypatch.setattr(module, "_declared", defaultdict(dict))

    begin()
    return begin


@pytest.fixture
def check() -> Callable[..., Verdict]:
    """Run one policy on one resource."""

    def run(
        rule: str,
        kind: str,
        props: Mapping[str, Any],
        stack: str = "dev",
        protect: bool = False,
        provider: Mapping[str, Any] | None = None,
        config: Mapping[str, Any] | None = None,
        name: str = "it",
        made_by: str = "provider",
    ) -> Verdict:
        policy = BY_NAME[rule]
        assert isinstance(policy, ResourceValidationPolicy)
        configured: Any = configuration().get(rule, {})
        verdict = Verdict()
        urn = f"urn:pulumi:{stack}::addressbook::{kind}::{name}"
        maker = PolicyProviderResource("pulumi:providers:any", provider or {}, made_by, made_by)

        def arguments(secrets: bool) -> ResourceValidationArgs:
            seen = unknown_checking_proxy(deserialize_properties(dict(props), secrets))
            return ResourceValidationArgs(
                kind, seen, urn, name, options(protect), maker, {**configured, **(config or {})}
            )

        if policy.has_remediation():
            assert policy.remediate(arguments(secrets=True)) is None, "a remediation that only records"
        try:
            policy.validate(arguments(secrets=False), lambda message, _urn=None: verdict.messages.append(message))
        except UnknownValueError:
            verdict.unknown = True
        return verdict

    return run


@pytest.fixture
def check_stack(check: Callable[..., Verdict]) -> Callable[..., Verdict]:
    """Run one policy on a whole stack, whose resources are declared one after another.

    The engine also shows the stack's ``deleted`` ones, which the program no longer declares.
    """

    def run(rule: str, *made: StackResource, deleted: Sequence[StackResource] = ()) -> Verdict:
        policy, verdict = BY_NAME[rule], Verdict()
        for each in made:
            of_one = check(
                RECORDER if isinstance(policy, StackValidationPolicy) else rule, each.kind, each.props, name=each.name
            )
            if isinstance(policy, ResourceValidationPolicy):
                verdict = Verdict(verdict.messages + of_one.messages, verdict.unknown or of_one.unknown)
        if isinstance(policy, StackValidationPolicy):
            try:
                policy.validate(_stack([*made, *deleted]), lambda message, _urn=None: verdict.messages.append(message))
            except UnknownValueError:
                verdict.unknown = True
        return verdict

    return run


def _stack(made: Sequence[StackResource]) -> StackValidationArgs:
    resources: dict[str, PolicyResource] = {}
    for each in made:
        resources[each.name] = PolicyResource(
            each.kind,
            unknown_checking_proxy(dict(each.props)),
            f"urn:pulumi:dev::addressbook::{each.kind}::{each.name}",
            each.name,
            options(),
            None,
            None,
            [],
            {key: [resources[name]] for key, name in each.of.items()},
        )
    return StackValidationArgs(list(resources.values()), {})
