"""What `rollback` refuses before anything is changed, and what it writes."""

from __future__ import annotations

import io
from typing import cast

import pytest

from promotion.operations.rollback import remove_canary, restore_stable
from promotion.state.verdict_record import VerdictRecord
from tests.unit.promotion.operations.conftest import forced, refused
from tests.unit.promotion.operations.fake_stack import BOTH, NEW, OLD, TIME, TRIAL, Make


def test_an_interrupted_promotion_is_undone(make: Make):
    session, stack = make(
        "rollback",
        tracks=BOTH,
        earlier=[TRIAL, {"stableImage": OLD}],
        stableImage=NEW,
        stableReplicas="3",
        canaryVerdict=f"healthy sha256:{'b' * 64} {TIME}",
    )
    assert remove_canary(session)
    assert stack.applied[-1]["stableImage"] == OLD
    verdict = VerdictRecord.parse(stack.applied[-1]["canaryVerdict"])
    assert verdict is not None
    assert (verdict.result, verdict.digest) == ("rejected", f"sha256:{'b' * 64}")


@pytest.mark.parametrize(
    ("verdict", "result"),
    [("", None), ("inconclusive", "inconclusive"), ("unhealthy", "unhealthy"), ("healthy", "rejected")],
)
def test_a_judged_canary_is_recorded_as_rejected(make: Make, verdict: str, result: str | None):
    judged = {"canaryVerdict": f"{verdict} sha256:{'b' * 64} {TIME}"} if verdict else {}
    session, _ = make("rollback", tracks=BOTH, **TRIAL, stableReplicasAfterTrial="3", **judged)
    assert remove_canary(session)
    values = session.file.values()
    assert values["stableReplicas"] == "3"
    assert "canaryImage" not in values
    record = VerdictRecord.parse(values.get("canaryVerdict", ""))
    assert (record.result if record else None) == result


def test_rollback_needs_a_canary(make: Make):
    session, _ = make("rollback", stableImage=OLD)
    refused(lambda: remove_canary(session), session, "has no canary")


def test_an_earlier_image_rejects_the_current_one(make: Make):
    earlier = [{"stableImage": NEW}, {"stableImage": OLD}]
    session, stack = make("rollback", tracks={"stable": NEW}, earlier=earlier, stableImage=NEW)
    assert restore_stable(session, "aaaaaa")
    assert stack.applied[-1]["stableImage"] == OLD
    assert stack.applied[-1]["canaryVerdict"].startswith(f"rejected sha256:{'b' * 64}")


def test_a_rejected_image_needs_force(make: Make):
    rejected = {"stableImage": OLD, "canaryVerdict": f"rejected sha256:{'a' * 64} {TIME}"}
    session, _ = make("rollback", tracks={"stable": NEW}, earlier=[{"stableImage": NEW}, rejected], stableImage=NEW)
    refused(lambda: restore_stable(session, "aaaaaa"), session, f"was rejected at {TIME}")
    assert restore_stable(forced(session), "aaaaaa")


def test_an_earlier_image_comes_with_its_settings(make: Make):
    earlier = [{"stableImage": NEW, "memoryLimit": "1Gi"}, {"stableImage": OLD, "memoryLimit": "512Mi"}]
    session, stack = make("rollback", tracks={"stable": NEW}, earlier=earlier, stableImage=NEW, memoryLimit="1Gi")
    assert restore_stable(session, "aaaaaa")
    assert (stack.applied[-1]["stableImage"], stack.applied[-1]["memoryLimit"]) == (OLD, "512Mi")


def test_earlier_secrets_are_said_to_stay(make: Make):
    earlier = [{"stableImage": NEW}, {"stableImage": OLD, "secretEnvironment": "[secret]"}]
    session, _ = make("rollback", tracks={"stable": NEW}, earlier=earlier, stableImage=NEW)
    assert restore_stable(session, "aaaaaa")
    printed = session.console.out
    assert "secret variables stay as they are" in cast(io.StringIO, printed).getvalue()


def test_an_interrupted_promotion_of_settings_is_undone(make: Make):
    trial = {"stableImage": OLD, "canaryImage": OLD, "canaryReplicas": "1", "memoryLimit": "256Mi"}
    session, stack = make(
        "rollback", tracks={"stable": OLD, "canary": OLD}, earlier=[trial], stableImage=OLD, memoryLimit="512Mi"
    )
    assert remove_canary(session)
    assert "memoryLimit" not in stack.applied[-1]
    assert stack.applied[-1]["stableImage"] == OLD
