"""What `promote` refuses before anything is changed, and what it writes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from promotion.operations.options import TrafficOptions
from promotion.operations.promote import promote_canary
from promotion.operations.session import Session
from promotion.operations.traffic import traffic
from promotion.state.verdict_record import utc_stamp
from tests.unit.promotion.operations.conftest import forced, refused
from tests.unit.promotion.operations.fake_stack import BOTH, NEW, OLD, OTHER, TIME, TRIAL, FakeStack, Make

STABLE, CANARY = (f"sha256:{digit * 64}" for digit in "ab")


def hours_ago(hours: float) -> str:
    return utc_stamp(datetime.now(UTC) - timedelta(hours=hours))


def on_trial(make: Make, verdict: str = "", command: str = "promote", **options: Any) -> tuple[Session, FakeStack]:
    """Open a session on a trial; ``{settings}`` in the verdict is the fingerprint of what runs."""
    session, stack = make(command, tracks=BOTH, **{**options, **TRIAL, "stableReplicasAfterTrial": "3"})
    text = verdict.format(settings=session.state().settings)
    session.file.write(session.file.edited({"canaryVerdict": text or None}))
    return session, stack


def healthy(hours: float = 1, stable: str = STABLE) -> str:
    return f"healthy {CANARY} {hours_ago(hours)} stable={stable} settings={{settings}}"


@pytest.mark.parametrize(
    ("verdict", "why"),
    [
        ("", "there is no verdict"),
        (f"inconclusive {CANARY} {TIME}", "the last verdict is `inconclusive"),
        (f"unhealthy {CANARY} {TIME}", f"it was judged unhealthy at {TIME}"),
        (f"rejected {CANARY} {TIME}", f"it was rejected at {TIME}"),
        (f"healthy sha256:{'c' * 64} {TIME}", "the last verdict is `healthy sha256:c"),
        (f"healthy {CANARY} {TIME}", "does not say what the canary was compared with"),
        (healthy(stable=f"sha256:{'c' * 64}"), "compared with stable sha256:c.*stable runs sha256:a.* now"),
        (healthy().format(settings="0123456789ab"), "the settings of the pods have changed"),
        (healthy(25), "is older than 24 hours"),
    ],
)
def test_promote_needs_a_healthy_verdict_that_counts(make: Make, verdict: str, why: str):
    session, stack = on_trial(make, verdict)
    refused(lambda: promote_canary(session), session, f"has no healthy verdict that counts: .*{why}")
    assert not stack.applied
    assert promote_canary(forced(session))
    assert stack.applied[-1]["stableImage"] == NEW
    assert stack.messages[-1].startswith("promote --force: ")
    assert "without a healthy verdict" in stack.messages[-1]


def test_promote_with_a_healthy_verdict(make: Make):
    session, stack = on_trial(make, healthy(), options={"message": "it held"})
    verdict = session.file.values()["canaryVerdict"]
    assert promote_canary(session)
    assert session.file.values() == {"stableImage": NEW, "stableReplicas": "3", "canaryVerdict": verdict}
    assert stack.messages == [f"promote: sha256:{'b' * 12} to stable, healthy: it held"]


def test_the_service_decides_how_long_a_verdict_counts(make: Make):
    session, _ = on_trial(make, healthy(25))
    session.file.write(session.file.edited({"verdictValidHours": "48"}))
    assert promote_canary(session)


def test_changed_settings_need_a_new_verdict(make: Make):
    session, stack = on_trial(make, healthy())
    stack.environment = "another"
    refused(lambda: promote_canary(session), session, "the settings of the pods have changed")


def test_a_later_rejection_outlives_the_file(make: Make):
    """`git revert` brings the healthy verdict back into the file, but not over the rejection in the history."""
    rejected = {**TRIAL, "stableReplicasAfterTrial": "3", "canaryVerdict": f"rejected {CANARY} {hours_ago(0.5)}"}
    session, _ = on_trial(make, healthy(1), earlier=[{**rejected, "canaryVerdict": ""}, rejected])
    refused(lambda: promote_canary(session), session, "it was rejected at")


def test_a_verdict_does_not_promote_twice(make: Make):
    """A promotion that was reverted in Git needs a new verdict."""
    trial = {**TRIAL, "stableReplicasAfterTrial": "3"}
    promoted = {"stableImage": NEW, "time": datetime.now(UTC).isoformat()}
    session, _ = on_trial(make, healthy(1), earlier=[trial, promoted, trial])
    refused(lambda: promote_canary(session), session, "stable has left it since")


@pytest.mark.parametrize("verdict", ["", f"unhealthy {CANARY} {TIME}", f"retried {CANARY} {TIME}", healthy(25)])
def test_all_users_on_a_canary_need_a_healthy_verdict(make: Make, monkeypatch: pytest.MonkeyPatch, verdict: str):
    session, stack = on_trial(make, verdict, "traffic")
    run = using(session, monkeypatch)
    refused(run, session, "has no healthy verdict that counts")
    assert not stack.applied
    using(forced(session), monkeypatch)()
    assert stack.applied[-1]["traffic"] == "canary"


def test_a_healthy_canary_gets_all_users(make: Make, monkeypatch: pytest.MonkeyPatch):
    session, stack = on_trial(make, healthy(), "traffic")
    using(session, monkeypatch)()
    assert stack.applied[-1]["traffic"] == "canary"


def using(session: Session, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return `traffic canary` on this session."""
    monkeypatch.setattr(Session, "of", lambda *_: session)
    monkeypatch.setattr(Session, "answer", lambda *_, **__: None)
    options = TrafficOptions(to="canary", force=session.options.force)
    return lambda: traffic(options)


def test_promote_refuses_an_image_that_is_not_deployed(make: Make):
    session, _ = make(tracks={"stable": OLD, "canary": OTHER}, options={"force": True}, **TRIAL)
    refused(lambda: promote_canary(session), session, f"runs sha256:{'c' * 64}")


STICKY = {"sticky": "true", "gateway": "traefik", "canaryWeight": "1"}
ALL_USERS = {**TRIAL, "stableReplicas": "3", "canaryReplicas": "3", "traffic": "canary", **STICKY}
PROMOTED = {"stableImage": NEW, "stableReplicas": "3", **STICKY}
DARK = {**STICKY, "traffic": "stable"}


def last_update(result: str = "succeeded", **config: str) -> dict[str, str]:
    return {**config, "result": result}


#: The stack file, the last update, and what `promote` applies then.
STICKY_PROMOTIONS = {
    "on trial": ({**TRIAL, **STICKY}, last_update(**TRIAL, **STICKY), [ALL_USERS, PROMOTED]),
    "without users": ({**TRIAL, **DARK}, last_update(**TRIAL, **DARK), [ALL_USERS, {**PROMOTED, **DARK}]),
    "killed while users move": (ALL_USERS, last_update("failed", **ALL_USERS), [ALL_USERS, PROMOTED]),
    "killed before any update": (ALL_USERS, last_update(**TRIAL, **STICKY), [ALL_USERS, PROMOTED]),
    "all users moved": (ALL_USERS, last_update(**ALL_USERS), [PROMOTED]),
}


@pytest.mark.parametrize("case", STICKY_PROMOTIONS)
def test_sticky_users_move_before_stable_changes(make: Make, case: str):
    file, last, expected = STICKY_PROMOTIONS[case]
    promised = {} if file == ALL_USERS else {"stableReplicasAfterTrial": "3"}
    session, stack = make(tracks=BOTH, earlier=[last], options={"force": True}, **file, **promised)
    assert promote_canary(session)
    assert stack.applied == expected


def test_a_sticky_promotion_is_two_commits(make: Make):
    session, stack = make(tracks=BOTH, options={"force": True, "only_config": True}, **TRIAL, **STICKY)
    assert not promote_canary(session)
    assert (session.file.values()["traffic"], session.file.values()["stableImage"]) == ("canary", OLD)
    assert not promote_canary(session)
    assert session.file.values()["stableImage"] == NEW
    assert "traffic" not in session.file.values()
    assert not stack.applied


def test_promote_needs_a_canary(make: Make):
    session, _ = make(stableImage=OLD)
    refused(lambda: promote_canary(session), session, "has no canary")


@pytest.mark.parametrize("tracks", [BOTH, {"stable": NEW}, {"stable": NEW, "canary": NEW}])
def test_an_interrupted_promotion_is_finished(make: Make, tracks: dict[str, str]):
    config = {"stableImage": NEW, "canaryVerdict": f"healthy sha256:{'b' * 64} {TIME}"}
    session, stack = make(tracks=tracks, earlier=[{**TRIAL, "stableReplicasAfterTrial": "3"}], **config)
    assert promote_canary(session)
    assert stack.applied == [config]


def test_promote_removes_the_note_of_an_earlier_image(make: Make):
    session, stack = on_trial(make, healthy())
    session.file.write(session.file.edited({"migratedImage": STABLE}))
    assert promote_canary(session)
    assert "migratedImage" not in stack.applied[-1]


def test_settings_are_promoted_with_the_image(make: Make):
    session, stack = make(tracks=BOTH, options={"force": True}, **TRIAL, memoryLimit="256Mi")
    text = session.file.text() + '  addressbook:canarySettings: {"memoryLimit": "512Mi"}\n'
    session.file.write(text)
    assert promote_canary(session)
    assert (stack.applied[-1]["stableImage"], stack.applied[-1]["memoryLimit"]) == (NEW, "512Mi")
    assert "canarySettings" not in stack.applied[-1]
