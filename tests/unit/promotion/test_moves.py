"""What each move of a release changes in the config, and that there is a way back from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from contract.settings import ReleaseSettings
from promotion.operations import config_edits as moves
from promotion.state.stack_file import Edits

OLD = f"registry.example/addressbook@sha256:{'a' * 64}"
NEW = f"registry.example/addressbook@sha256:{'b' * 64}"


def release(**values: Any) -> ReleaseSettings:
    return ReleaseSettings.model_validate(values)


def after(before: ReleaseSettings, edits: Edits) -> ReleaseSettings:
    """The release that the edited stack file describes."""
    values: Mapping[str, Any] = before.model_dump(by_alias=True, exclude_defaults=True)
    values = {**values, **edits}
    return release(**{key: value for key, value in values.items() if value is not None})


@pytest.mark.parametrize(
    ("promised", "canary", "stable"),
    [(3, 1, 2), (10, 1, 9), (10, 5, 5), (3, 3, 2), (2, 1, 2), (1, 1, 1), (1, 4, 1)],
)
def test_stable_gives_up_pods_to_the_canary_and_gets_them_back(promised: int, canary: int, stable: int):
    before = release(stableImage=OLD, stableReplicas=promised)
    trial = after(before, moves.canary(before, NEW, canary))
    assert (trial.stable_replicas, trial.canary_replicas, trial.canary_image) == (stable, canary, NEW)
    assert after(trial, moves.without_canary(trial)) == before
    promoted = after(trial, moves.promote(trial))
    assert promoted == before.model_copy(update={"stable_image": NEW})


def test_a_second_canary_does_not_forget_what_was_promised():
    before = release(stableImage=OLD, stableReplicas=5)
    trial = after(before, moves.canary(before, NEW))
    trial = after(trial, moves.canary(trial, OLD, 2))
    assert trial.stable_replicas == 3
    assert after(trial, moves.without_canary(trial)).stable_replicas == 5


def test_replicas_that_are_not_changed_are_not_written():
    before = release(stableImage=OLD, stableReplicas=2)
    assert set(moves.canary(before, NEW)) - {"canaryVerdict", "stableReplicasAfterTrial"} == {
        "canaryImage",
        "canaryReplicas",
    }


def test_stable_is_pinned_once():
    assert moves.canary(release(), NEW, stable_image=OLD)["stableImage"] == OLD
    assert "stableImage" not in moves.canary(release(stableImage=OLD), NEW, stable_image=NEW)


def test_the_verdict_on_another_image_goes_and_that_on_the_same_stays():
    said = f"healthy sha256:{'b' * 64} 2026-01-01T00:00:00Z"
    before = release(stableImage=OLD, canaryVerdict=said)
    assert after(before, moves.canary(before, NEW)).canary_verdict == said
    assert not after(before, moves.canary(before, OLD)).canary_verdict


def test_a_flip_needs_all_the_pods_and_keeps_stable_for_the_way_back():
    before = release(stableImage=OLD, stableReplicas=3)
    dark = after(before, moves.canary(before, NEW, traffic="stable"))
    assert dark.traffic == "stable"
    green = after(dark, moves.traffic(dark, "canary"))
    assert (green.traffic, green.canary_replicas, green.stable_replicas) == ("canary", 3, 3)
    blue = after(green, moves.traffic(green, "split"))
    assert (blue.traffic, blue.canary_replicas, blue.stable_replicas) == ("split", 3, 3)


@pytest.mark.parametrize("move", [moves.promote, moves.without_canary])
def test_users_are_not_left_on_a_canary_that_goes(move: Any):
    trial = release(stableImage=OLD, canaryImage=NEW, canaryReplicas=3, traffic="canary")
    assert after(trial, move(trial)).traffic == "split"


def test_a_dark_canary_stays_the_rule_of_the_stack():
    trial = release(stableImage=OLD, canaryImage=NEW, canaryReplicas=1, traffic="stable")
    assert after(trial, moves.promote(trial)).traffic == "stable"


def test_stable_back_to_an_earlier_image():
    before = release(stableImage=NEW, stableReplicas=2, stableReplicasAfterTrial=3, canaryImage=OLD, canaryReplicas=1)
    back = after(before, moves.stable_to(before, OLD, f"rejected sha256:{'b' * 64} 2026-01-01T00:00:00Z"))
    assert (back.stable_image, back.stable_replicas, back.has_canary) == (OLD, 3, False)
    assert back.canary_verdict.startswith("rejected sha256:bbbb")
