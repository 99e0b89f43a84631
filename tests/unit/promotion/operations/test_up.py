"""What `up` refuses before anything is changed."""

from __future__ import annotations

import pytest

from promotion.errors import WRONG_USE, CommandError
from promotion.operations import stack
from promotion.operations.options import UpOptions
from promotion.operations.update import apply
from tests.unit.promotion.operations.conftest import refused
from tests.unit.promotion.operations.fake_stack import Make


@pytest.mark.parametrize("pair", ["stableImage=", "stableImage", "=3"])
def test_set_needs_a_key_and_a_value(pair: str):
    with pytest.raises(CommandError, match=f"--set {pair}: write KEY=VALUE") as error:
        stack.up(UpOptions(set=[pair]))
    assert error.value.code == WRONG_USE


def test_a_policy_violation_changes_nothing(make: Make, capsys: pytest.CaptureFixture[str]):
    session, stack = make("up", stableReplicas="3")
    stack.forbidden = ("pod-security: run it as a user of its own",)
    text = session.file.edited({"memoryLimit": "1Gi"})
    refused(lambda: apply(session, text, "", preview=True), session, "nothing was changed")
    assert stack.applied == []
    assert "error: pod-security: run it as a user of its own" in capsys.readouterr().err
