"""What `promote` refuses before anything is changed, and what it writes."""

from __future__ import annotations

import pytest

from promotion.operations.promote import promote_canary
from tests.unit.promotion.operations.conftest import forced, refused
from tests.unit.promotion.operations.fake_stack import BOTH, NEW, OLD, OTHER, TIME, TRIAL, Make


@pytest.mark.parametrize(
    "verdict",
    [
        "",
        f"inconclusive sha256:{'b' * 64} {TIME}",
        f"unhealthy sha256:{'b' * 64} {TIME}",
        f"healthy sha256:{'c' * 64} {TIME}",
    ],
)
def test_promote_needs_a_healthy_verdict_on_this_image(make: Make, verdict: str):
    session, stack = make(tracks=BOTH, **TRIAL, canaryVerdict=verdict)
    refused(lambda: promote_canary(session), session, "has no healthy verdict")
    assert not stack.applied
    assert promote_canary(forced(session))
    assert stack.applied[-1]["stableImage"] == NEW
    assert stack.messages[-1].startswith("promote --force: ")
    assert "without a healthy verdict" in stack.messages[-1]


def test_promote_with_a_healthy_verdict(make: Make):
    verdict = f"healthy sha256:{'b' * 64} {TIME}"
    session, stack = make(
        tracks=BOTH, options={"message": "it held"}, **TRIAL, stableReplicasAfterTrial="3", canaryVerdict=verdict
    )
    assert promote_canary(session)
    assert session.file.values() == {"stableImage": NEW, "stableReplicas": "3", "canaryVerdict": verdict}
    assert stack.messages == [f"promote: sha256:{'b' * 12} to stable, healthy: it held"]


def test_promote_refuses_an_image_that_is_not_deployed(make: Make):
    session, _ = make(tracks={"stable": OLD, "canary": OTHER}, options={"force": True}, **TRIAL)
    refused(lambda: promote_canary(session), session, f"runs sha256:{'c' * 64}")


def test_promote_needs_a_canary(make: Make):
    session, _ = make(stableImage=OLD)
    refused(lambda: promote_canary(session), session, "has no canary")


@pytest.mark.parametrize("tracks", [BOTH, {"stable": NEW}, {"stable": NEW, "canary": NEW}])
def test_an_interrupted_promotion_is_finished(make: Make, tracks: dict[str, str]):
    config = {"stableImage": NEW, "canaryVerdict": f"healthy sha256:{'b' * 64} {TIME}"}
    session, stack = make(tracks=tracks, **config)
    assert promote_canary(session)
    assert stack.applied == [config]


def test_settings_are_promoted_with_the_image(make: Make):
    session, stack = make(tracks=BOTH, options={"force": True}, **TRIAL, memoryLimit="256Mi")
    text = session.file.text() + '  addressbook:canarySettings: {"memoryLimit": "512Mi"}\n'
    session.file.write(text)
    assert promote_canary(session)
    assert (stack.applied[-1]["stableImage"], stack.applied[-1]["memoryLimit"]) == (NEW, "512Mi")
    assert "canarySettings" not in stack.applied[-1]
