"""Outputs of a stack, read from its state."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pulumi import automation

from promotion.errors import CommandError
from promotion.state import engine
from promotion.state.cluster.cluster import Cluster
from promotion.state.stack_state import TAG


def secret(value: Any) -> dict[str, str]:
    return {TAG: "1b47061264138c4ac30d75fd1eb44270", "plaintext": json.dumps(value)}


def test_outputs_have_secrets_only_if_asked_for():
    outputs = {"url": "http://a", "tracks": {"stable": {"replicas": 3}}, "kubeconfig": secret("k"), "list": [secret(1)]}
    resources = [{"type": "kubernetes:core/v1:Secret"}, {"type": "pulumi:pulumi:Stack", "outputs": outputs}]
    exported = SimpleNamespace(deployment={"resources": resources})
    stack = cast(automation.Stack, SimpleNamespace(name="dev", export_stack=lambda: exported))
    assert engine.outputs(stack) == {"url": "http://a", "tracks": {"stable": {"replicas": 3}}}
    assert engine.outputs(stack, secrets=True) == {**outputs, "kubeconfig": "k", "list": [1]}
    exported.deployment = None
    assert engine.outputs(stack) == {}, "nothing was deployed yet"


@pytest.mark.parametrize("read", [engine.outputs, Cluster.of])
def test_the_engines_error_is_one_sentence(read: Any):
    def export() -> automation.Deployment:
        raise automation.CommandError(automation.CommandResult("", "error: the passphrase is wrong\n", 255))

    with pytest.raises(CommandError, match="stack `dev`: cannot read its state: the passphrase is wrong"):
        read(SimpleNamespace(name="dev", export_stack=export))
