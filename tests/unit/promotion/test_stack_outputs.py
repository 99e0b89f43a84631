"""Outputs of a stack whose state is unreadable."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from pulumi import automation

from promotion.errors import CommandError
from promotion.state import engine
from promotion.state.cluster.cluster import Cluster


@pytest.mark.parametrize("read", [engine.outputs, Cluster.of])
def test_the_engines_error_is_one_sentence(read: Any):
    def outputs() -> automation.OutputMap:
        raise automation.CommandError(automation.CommandResult("", "error: the passphrase is wrong\n", 255))

    with pytest.raises(CommandError, match="stack `dev`: cannot read its outputs: the passphrase is wrong"):
        read(SimpleNamespace(name="dev", outputs=outputs))
