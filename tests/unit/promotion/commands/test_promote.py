"""What `promote` refuses before anything is changed, and what it writes when it does not."""

from __future__ import annotations

import pytest

from promotion.commands.promote import promote
from tests.unit.promotion.commands.conftest import refused
from tests.unit.promotion.commands.fake_stack import BOTH, NEW, OLD, OTHER, TIME, TRIAL, Make


@pytest.mark.parametrize(
    "verdict",
    [
        "",
        f"inconclusive sha256:{'b' * 64} {TIME}",
        f"unhealthy sha256:{'b' * 64} {TIME}",
        f"healthy sha256:{'c' * 64} {TIME}",
    ],
)
def test_promote_wants_a_healthy_verdict_on_this_very_image(make: Make, verdict: str):
    work, stack = make(tracks=BOTH, **TRIAL, canaryVerdict=verdict)
    refused(lambda: promote(work), work, "has not been found healthy")
    assert not stack.applied
    work.options.force = True
    assert promote(work)
    assert stack.applied[-1]["stableImage"] == NEW
    assert stack.messages[-1].startswith("promote --force: ")
    assert "not found healthy" in stack.messages[-1]


def test_promote_with_a_healthy_verdict(make: Make):
    said = f"healthy sha256:{'b' * 64} {TIME}"
    work, stack = make(
        tracks=BOTH, options={"message": "it held"}, **TRIAL, stableReplicasAfterTrial="3", canaryVerdict=said
    )
    assert promote(work)
    assert work.file.values() == {"stableImage": NEW, "stableReplicas": "3", "canaryVerdict": said}
    assert stack.messages == [f"promote: sha256:{'b' * 12} to stable, healthy: it held"]


def test_promote_is_of_what_was_tried_not_of_what_the_file_says_now(make: Make):
    work, _ = make(tracks={"stable": OLD, "canary": OTHER}, options={"force": True}, **TRIAL)
    refused(lambda: promote(work), work, f"runs sha256:{'c' * 64}")


def test_promote_without_a_canary(make: Make):
    work, _ = make(stableImage=OLD)
    refused(lambda: promote(work), work, "there is no canary")


@pytest.mark.parametrize("tracks", [BOTH, {"stable": NEW}, {"stable": NEW, "canary": NEW}])
def test_a_promotion_that_was_cut_off_is_finished(make: Make, tracks: dict[str, str]):
    config = {"stableImage": NEW, "canaryVerdict": f"healthy sha256:{'b' * 64} {TIME}"}
    work, stack = make(tracks=tracks, **config)
    assert promote(work)
    assert stack.applied == [config]
