"""What `rollback` refuses before anything is changed, and what it writes."""

from __future__ import annotations

import io
from typing import cast

import pytest

from promotion.errors import CommandError
from promotion.operations.promote import promote_canary
from promotion.operations.rollback import previous_release, remove_canary, restore_stable
from promotion.state import history
from promotion.state.verdict_record import VerdictRecord
from tests.unit.promotion.operations.conftest import forced, refused
from tests.unit.promotion.operations.fake_stack import BOTH, NEW, OLD, OTHER, TIME, TRIAL, Make


def test_an_interrupted_promotion_is_undone(make: Make):
    session, stack = make(
        "rollback",
        tracks=BOTH,
        earlier=[{**TRIAL, "stableReplicasAfterTrial": "3"}, {"stableImage": OLD}],
        stableImage=NEW,
        stableReplicas="3",
        canaryVerdict=f"healthy sha256:{'b' * 64} {TIME}",
    )
    assert remove_canary(session)
    assert stack.applied[-1]["stableImage"] == OLD
    assert stack.applied[-1]["migratedImage"] == f"sha256:{'a' * 64}", "its migration may be gone already"
    verdict = VerdictRecord.parse(stack.applied[-1]["canaryVerdict"])
    assert verdict is not None
    assert (verdict.result, verdict.digest) == ("rejected", f"sha256:{'b' * 64}")


@pytest.mark.parametrize(
    ("verdict", "result"),
    [
        ("", None),
        ("inconclusive", "inconclusive"),
        ("unhealthy", "unhealthy"),
        ("healthy", "rejected"),
        ("retried", "rejected"),
    ],
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


def test_a_failing_stable_does_not_delay_a_rollback(make: Make):
    session, stack = make("rollback", tracks=BOTH, **TRIAL)
    stack.available = False
    assert remove_canary(session)
    assert stack.excluded == [[*(urn for track, urn in session.state().urns.items() if track == "stable")]]
    assert stack.excluded != [[]]


def test_rollback_needs_a_canary(make: Make):
    session, _ = make("rollback", stableImage=OLD)
    refused(lambda: remove_canary(session), session, "has no canary")


def test_an_earlier_image_rejects_the_current_one(make: Make):
    earlier = [{"stableImage": NEW}, {"stableImage": OLD}]
    session, stack = make("rollback", tracks={"stable": NEW}, earlier=earlier, stableImage=NEW)
    assert restore_stable(session, "aaaaaa")
    assert stack.applied[-1]["stableImage"] == OLD
    assert stack.applied[-1]["canaryVerdict"].startswith(f"rejected sha256:{'b' * 64}")
    assert stack.applied[-1]["migratedImage"] == f"sha256:{'a' * 64}", "it ran before, so it needs no migration"


def test_a_rejected_image_needs_force(make: Make):
    rejected = {"stableImage": OLD, "canaryVerdict": f"rejected sha256:{'a' * 64} {TIME}"}
    session, _ = make("rollback", tracks={"stable": NEW}, earlier=[{"stableImage": NEW}, rejected], stableImage=NEW)
    refused(lambda: restore_stable(session, "aaaaaa"), session, f"was rejected at {TIME}")
    assert restore_stable(forced(session), "aaaaaa")


def test_an_image_that_never_ran_needs_force(make: Make):
    session, stack = make(
        "rollback", tracks={"stable": NEW}, earlier=[{"stableImage": NEW}], stableImage=NEW, migratedImage=""
    )
    refused(lambda: restore_stable(session, OTHER), session, "has never been stable")
    assert restore_stable(forced(session), OTHER)
    assert "migratedImage" not in stack.applied[-1], "it may need its migration"


def test_an_image_of_a_failed_update_never_ran(make: Make):
    earlier = [{"stableImage": NEW}, {"stableImage": OTHER, "result": "failed"}]
    session, _ = make("rollback", tracks={"stable": NEW}, earlier=earlier, stableImage=NEW)
    refused(lambda: restore_stable(session, OTHER), session, "has never been stable")


def test_an_image_with_a_healthy_verdict_is_accepted(make: Make):
    judged = {"stableImage": NEW, "canaryVerdict": f"healthy sha256:{'c' * 64} {TIME}"}
    session, stack = make("rollback", tracks={"stable": NEW}, earlier=[judged], stableImage=NEW)
    assert restore_stable(session, OTHER)
    assert stack.applied[-1]["stableImage"] == OTHER


def test_an_image_in_full_needs_no_history(make: Make, monkeypatch: pytest.MonkeyPatch):
    def unreadable(_: object) -> None:
        raise CommandError("cannot read its history: it is truncated")

    session, stack = make("rollback", tracks={"stable": NEW}, stableImage=NEW)
    session.forget_updates()
    monkeypatch.setattr(history, "updates", unreadable)
    assert restore_stable(session, OLD)
    assert (stack.applied[-1]["stableImage"], stack.applied[-1]["migratedImage"]) == (OLD, f"sha256:{'a' * 64}")
    session.forget_updates()
    with pytest.raises(CommandError, match="truncated"):
        restore_stable(session, "aaaaaa")


def test_removing_a_canary_needs_no_history(make: Make, monkeypatch: pytest.MonkeyPatch):
    def unreadable(_: object) -> None:
        raise CommandError("cannot read its history: it is truncated")

    session, stack = make("rollback", tracks=BOTH, **TRIAL)
    session.forget_updates()
    monkeypatch.setattr(history, "updates", unreadable)
    assert remove_canary(session)
    assert "canaryImage" not in stack.applied[-1]


def test_an_empty_target_never_removes_the_canary(make: Make):
    session, stack = make("rollback", tracks=BOTH, **TRIAL)
    refused(lambda: restore_stable(session, ""), session, "neither a release's number nor a digest")
    assert not stack.applied


def test_undo_goes_back_to_the_previous_stable(make: Make):
    earlier = [{"stableImage": NEW}, {"stableImage": OTHER, "result": "failed"}, {"stableImage": OLD}]
    session, stack = make("undo", tracks={"stable": NEW}, earlier=earlier, stableImage=NEW)
    assert restore_stable(session, previous_release(session))
    assert stack.applied[-1]["stableImage"] == OLD
    assert stack.applied[-1]["canaryVerdict"].startswith(f"rejected sha256:{'b' * 64}")


def test_undo_twice_goes_back_twice(make: Make):
    """The image that the first undo has rejected is left out."""
    undone = {"stableImage": OLD, "canaryVerdict": f"rejected sha256:{'b' * 64} {TIME}"}
    earlier = [undone, {"stableImage": NEW}, {"stableImage": OLD}, {"stableImage": OTHER}]
    session, _ = make("undo", tracks={"stable": OLD}, earlier=earlier, **undone)
    assert previous_release(session) == "1"


def test_undo_of_a_failed_promotion_restores_stable(make: Make):
    """The state has the new image, although its update failed."""
    promoted = {"stableImage": NEW, "result": "failed"}
    session, _ = make("undo", tracks={"stable": NEW}, earlier=[promoted, {"stableImage": OLD}], stableImage=NEW)
    assert previous_release(session) == "1"


def test_undo_of_promoted_settings_keeps_the_image(make: Make):
    settings = {"stableImage": NEW, "environment": '{"A": "bad"}', "number": "3"}
    earlier = [settings, {"stableImage": NEW, "number": "2"}, {"stableImage": OLD, "number": "1"}]
    session, _ = make("undo", tracks={"stable": NEW}, earlier=earlier, stableImage=NEW)
    assert previous_release(session) == "2"
    earlier = [{"stableImage": NEW, "number": "4"}, *earlier]
    session, _ = make("undo", tracks={"stable": NEW}, earlier=earlier, stableImage=NEW)
    assert previous_release(session) == "1"


def test_undo_without_an_earlier_stable_is_refused(make: Make):
    session, _ = make("undo", tracks={"stable": NEW}, earlier=[{"stableImage": NEW}], stableImage=NEW)
    refused(lambda: previous_release(session), session, "has no earlier stable")


@pytest.mark.parametrize("step", ["rollback", "promote"])
def test_replicas_raised_during_the_trial_stay(make: Make, step: str):
    session, stack = make(step, tracks=BOTH, options={"force": True}, **raised())
    assert remove_canary(session) if step == "rollback" else promote_canary(session)
    assert stack.applied[-1]["stableReplicas"] == "8"
    assert "stableReplicasAfterTrial" not in stack.applied[-1]
    assert (
        "raised to 8 during the trial; keeping it instead of returning to 3"
        in cast(io.StringIO, session.console.out).getvalue()
    )


def raised() -> dict[str, str]:
    return {**TRIAL, "stableReplicas": "8", "stableReplicasAfterTrial": "3"}


def test_image_and_settings_of_a_promotion_are_undone(make: Make):
    trial = {**TRIAL, "stableReplicasAfterTrial": "3", "environment": '{"A": "1"}'}
    earlier = [{**trial, "canarySettings": '{"environment": {"A": "2"}, "memoryLimit": "1Gi"}'}]
    session, stack = make("rollback", BOTH, earlier, stableImage=NEW, stableReplicas="3")
    text = session.file.edited({"environment": '{"A": "2"}', "memoryLimit": "1Gi"})
    session.file.write(text)
    assert remove_canary(session)
    applied = stack.applied[-1]
    assert (applied["stableImage"], applied["environment"]) == (OLD, '{"A": "1"}')
    assert "memoryLimit" not in applied


def test_an_earlier_image_comes_with_its_settings(make: Make):
    earlier = [{"stableImage": NEW, "memoryLimit": "1Gi"}, {"stableImage": OLD, "memoryLimit": "512Mi"}]
    session, stack = make("rollback", tracks={"stable": NEW}, earlier=earlier, stableImage=NEW, memoryLimit="1Gi")
    assert restore_stable(session, "aaaaaa")
    assert (stack.applied[-1]["stableImage"], stack.applied[-1]["memoryLimit"]) == (OLD, "512Mi")


def test_a_rollback_warns_that_secrets_stay(make: Make):
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
