"""What `rollback` refuses before anything is changed, and what it writes."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import NoReturn, cast

import pytest

from contract.image import digest_of
from promotion.errors import CommandError
from promotion.operations import secret_settings, stale
from promotion.operations import session as session_module
from promotion.operations.promote import promote_canary
from promotion.operations.rollback import previous_stable, remove_canary, restore_stable
from promotion.state import history
from promotion.state.history import SECRET
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
    previous = previous_stable(session)
    assert restore_stable(session, previous.config["stableImage"], previous)
    assert stack.applied[-1]["stableImage"] == OLD
    assert stack.applied[-1]["canaryVerdict"].startswith(f"rejected sha256:{'b' * 64}")


def test_undo_twice_goes_back_twice(make: Make):
    """The image that the first undo has rejected is left out."""
    undone = {"stableImage": OLD, "canaryVerdict": f"rejected sha256:{'b' * 64} {TIME}"}
    earlier = [undone, {"stableImage": NEW}, {"stableImage": OLD}, {"stableImage": OTHER}]
    session, _ = make("undo", tracks={"stable": OLD}, earlier=earlier, **undone)
    assert previous_stable(session).config["stableImage"] == OTHER


def test_undo_of_a_failed_promotion_restores_stable(make: Make):
    """The state has the new image, although its update failed."""
    promoted = {"stableImage": NEW, "result": "failed"}
    session, _ = make("undo", tracks={"stable": NEW}, earlier=[promoted, {"stableImage": OLD}], stableImage=NEW)
    assert previous_stable(session).config["stableImage"] == OLD


def test_undo_again_finishes_an_undo_that_failed(make: Make):
    failed, good = {"stableImage": NEW, "result": "failed"}, {"stableImage": NEW, "number": "2"}
    earlier = [failed, {"stableImage": NEW, "memoryLimit": "1Gi"}, good, {"stableImage": OLD}]
    session, _ = make("undo", tracks={"stable": NEW}, earlier=earlier, stableImage=NEW)
    assert previous_stable(session).number == 2


def test_undo_of_promoted_settings_keeps_the_image(make: Make):
    settings = {"stableImage": NEW, "environment": '{"A": "bad"}', "number": "3"}
    earlier = [settings, {"stableImage": NEW, "number": "2"}, {"stableImage": OLD, "number": "1"}]
    session, _ = make("undo", tracks={"stable": NEW}, earlier=earlier, stableImage=NEW)
    assert previous_stable(session).number == 2
    earlier = [{"stableImage": NEW, "number": "4"}, *earlier]
    session, _ = make("undo", tracks={"stable": NEW}, earlier=earlier, stableImage=NEW)
    assert previous_stable(session).number == 1


def test_undo_without_an_earlier_stable_is_refused(make: Make):
    session, _ = make("undo", tracks={"stable": NEW}, earlier=[{"stableImage": NEW}], stableImage=NEW)
    refused(lambda: previous_stable(session), session, "has no earlier stable")


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


def test_a_rollback_goes_on_without_readable_secrets(make: Make, monkeypatch: pytest.MonkeyPatch):
    earlier = [{"stableImage": NEW}, {"stableImage": OLD, "secretEnvironment": SECRET}]
    for secrets in (unreadable("incorrect passphrase"), lambda *_: {}):
        monkeypatch.setattr(session_module.secrets, "secrets_of_updates", secrets)
        session, stack = make("rollback", tracks={"stable": NEW}, earlier=earlier, stableImage=NEW)
        assert restore_stable(session, "aaaaaa")
        assert stack.applied[-1]["stableImage"] == OLD
        assert "secret variables stay as they are: " in cast(io.StringIO, session.console.out).getvalue()


def unreadable(why: str) -> Callable[..., NoReturn]:
    def read(*_: object) -> NoReturn:
        raise CommandError(why)

    return read


@pytest.mark.parametrize(
    ("earlier", "present", "expected"),
    [
        ({"A": "old", "B": "same"}, {"A": "new", "B": "same"}, {"A": "sealed old", "B": "cipher B"}),
        ({"A": "old", "C": "gone"}, {"A": "new"}, {"A": "sealed old", "C": "sealed gone"}),
        ({"A": "same"}, {"A": "same"}, {"A": "cipher A"}),
        ({"A": "old"}, {}, {"A": "sealed old"}),
    ],
)
def test_secrets_come_back_encrypted(
    make: Make,
    monkeypatch: pytest.MonkeyPatch,
    earlier: dict[str, str],
    present: dict[str, str],
    expected: dict[str, str],
):
    updates = [{"stableImage": NEW}, {"stableImage": OLD, "secretEnvironment": SECRET, "number": "1"}]
    session, _ = make("undo", tracks={"stable": NEW}, earlier=updates, stableImage=NEW)
    if present:
        entries = ", ".join(f"{name}: {{secure: cipher {name}}}" for name in present)
        session.file.write(session.file.text() + f"  addressbook:secretEnvironment: {{{entries}}} # team's\n")
    known = {1: {"secretEnvironment": json.dumps(earlier)}}
    monkeypatch.setattr(session_module.secrets, "secrets_of_updates", lambda *_: known)
    monkeypatch.setattr(secret_settings, "written_values", lambda *_: {"secretEnvironment": json.dumps(present)})
    monkeypatch.setattr(secret_settings, "encrypted", lambda _, __, value: f"sealed {value}")
    monkeypatch.setattr(stale, "_changed_secrets", lambda *_: [])
    assert restore_stable(session, OLD)
    written = session.config["secretEnvironment"]
    assert written == {name: {"secure": text} for name, text in expected.items()}
    assert not present or "} # team's\n" in session.file.text()


def test_undo_of_a_promoted_secret_keeps_the_image(make: Make, monkeypatch: pytest.MonkeyPatch):
    """The history hides the secret, so both updates are one release."""
    updates = [{"stableImage": NEW, "secretEnvironment": SECRET, "number": number} for number in "21"]
    known = {number: {"secretEnvironment": f'{{"A": "{number}"}}'} for number in (1, 2)}
    monkeypatch.setattr(session_module.secrets, "secrets_of_updates", lambda *_: known)
    session, _ = make("undo", tracks={"stable": NEW}, earlier=[*updates, {"stableImage": OLD}], stableImage=NEW)
    assert previous_stable(session).number == 1


def test_undo_ignores_secrets_of_another_provider(make: Make, monkeypatch: pytest.MonkeyPatch):
    """Only the last update can be decrypted; its release is the same as that of the update before."""
    updates = [{"stableImage": NEW, "secretEnvironment": SECRET, "number": number} for number in "32"]
    monkeypatch.setattr(
        session_module.secrets, "secrets_of_updates", lambda *_: {2: {}, 3: {"secretEnvironment": '{"A": "1"}'}}
    )
    earlier = [*updates, {"stableImage": OLD, "number": "1"}]
    session, _ = make("undo", tracks={"stable": NEW}, earlier=earlier, stableImage=NEW)
    assert previous_stable(session).number == 1


def test_a_failing_history_of_secrets_is_read_once(make: Make, monkeypatch: pytest.MonkeyPatch):
    reads: list[object] = []

    def fail(*_: object) -> NoReturn:
        reads.append(_)
        raise CommandError("timeout")

    monkeypatch.setattr(session_module.secrets, "secrets_of_updates", fail)
    earlier = [{"stableImage": image, "secretEnvironment": SECRET} for image in (NEW, OLD)]
    session, _ = make("undo", tracks={"stable": NEW}, earlier=earlier, stableImage=NEW)
    assert previous_stable(session).config["stableImage"] == OLD
    assert len(reads) == 1


@pytest.mark.parametrize(
    ("image", "keys", "expected"),
    [
        (OLD, {"imageVerification": "cosign.pub"}, digest_of(OLD)),
        (OTHER, {"imageVerification": "cosign.pub"}, ""),
        (OLD, {}, ""),
    ],
)
def test_the_program_learns_what_stable_ran_before(make: Make, image: str, keys: dict[str, str], expected: str):
    """It verifies no signature of such an image again. OTHER was stable only in an update that failed."""
    earlier = [{"stableImage": NEW}, {"stableImage": OTHER, "result": "failed"}, {"stableImage": OLD}]
    session, stack = make("rollback", {"stable": NEW}, earlier, {"force": True}, stableImage=NEW, **keys)
    assert restore_stable(session, image)
    assert stack.former_stable == [expected]


def test_an_interrupted_promotion_of_settings_is_undone(make: Make):
    trial = {"stableImage": OLD, "canaryImage": OLD, "canaryReplicas": "1", "memoryLimit": "256Mi"}
    session, stack = make(
        "rollback", tracks={"stable": OLD, "canary": OLD}, earlier=[trial], stableImage=OLD, memoryLimit="512Mi"
    )
    assert remove_canary(session)
    assert "memoryLimit" not in stack.applied[-1]
    assert stack.applied[-1]["stableImage"] == OLD
