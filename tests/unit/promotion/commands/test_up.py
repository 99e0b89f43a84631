"""What `up` refuses before anything is changed."""

from __future__ import annotations

import pytest

from tests.unit.promotion.commands.conftest import refused
from tests.unit.promotion.commands.fake_stack import Make


def test_what_a_policy_forbids_changes_nothing(make: Make, capsys: pytest.CaptureFixture[str]):
    work, stack = make("up", stableReplicas="3")
    stack.forbidden = ("pod-security: run it as a user of its own",)
    refused(lambda: work.apply(work.file.edited({"memoryLimit": "1Gi"}), "", preview=True), work, "nothing was changed")
    assert stack.applied == []
    assert "error: pod-security: run it as a user of its own" in capsys.readouterr().err
