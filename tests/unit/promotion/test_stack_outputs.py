"""Outputs of a stack whose state can't be read."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from pulumi import automation

from promotion.errors import CommandError
from promotion.state import engine as stacks
from promotion.state.cluster.cluster import Cluster


@pytest.mark.parametrize("asked", [stacks.outputs, Cluster.of])
def test_the_engines_refusal_is_one_sentence(asked: Any):
    def outputs() -> automation.OutputMap:
        raise automation.CommandError(automation.CommandResult("", "error: the passphrase is wrong\n", 255))

    with pytest.raises(CommandError, match="stack `dev`: its outputs can't be read: the passphrase is wrong"):
        asked(SimpleNamespace(name="dev", outputs=outputs))
