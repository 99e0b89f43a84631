"""What `up` refuses before anything is changed."""

from __future__ import annotations

import pytest

from promotion.errors import WRONG_USE, CommandError
from promotion.operations import stack
from promotion.operations.options import UpOptions
from promotion.operations.update import apply
from promotion.preview.reviewed import ReviewedPreview
from promotion.preview.steps import digest_of_steps
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


REVIEWED = ("update urn:a", "  spec.replicas: 3 -> 2")


def test_an_update_that_does_what_was_reviewed_runs(make: Make):
    session, stack = make("up", stableReplicas="3")
    stack.steps = REVIEWED
    reviewed = ReviewedPreview(digest_of_steps(REVIEWED))
    assert apply(session, session.file.edited({"memoryLimit": "1Gi"}), "", reviewed=reviewed)
    assert [config["memoryLimit"] for config in stack.applied] == ["1Gi"]


@pytest.mark.parametrize("steps", [REVIEWED, None], ids=["file", "digest"])
def test_another_update_than_the_reviewed_one_changes_nothing(
    make: Make, capsys: pytest.CaptureFixture[str], steps: tuple[str, ...] | None
):
    session, stack = make("up", stableReplicas="3")
    stack.steps = ("update urn:a", "  spec.replicas: 5 -> 2")
    text = session.file.edited({"memoryLimit": "1Gi"})
    reviewed = ReviewedPreview(digest_of_steps(REVIEWED), steps)
    refused(lambda: apply(session, text, "", reviewed=reviewed), session, "would not do what was reviewed")
    assert stack.applied == []
    shown = capsys.readouterr().err
    assert "  spec.replicas: 5 -> 2" in shown
    assert ("-  spec.replicas: 3 -> 2" in shown) == (steps is not None)
    assert (reviewed.digest in shown) == (steps is None)
