"""What each step of a release changes in the config, and how it is undone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from contract.settings import ReleaseSettings
from promotion.operations import config_edits
from promotion.state.stack_file import Edits

OLD = f"registry.example/addressbook@sha256:{'a' * 64}"
NEW = f"registry.example/addressbook@sha256:{'b' * 64}"


def release(**values: Any) -> ReleaseSettings:
    return ReleaseSettings.model_validate(values)


def after(before: ReleaseSettings, edits: Edits) -> ReleaseSettings:
    """Return the release in the edited stack file."""
    values: Mapping[str, Any] = before.model_dump(by_alias=True, exclude_defaults=True)
    values = {**values, **edits}
    return release(**{key: value for key, value in values.items() if value is not None})


@pytest.mark.parametrize(
    ("promised", "canary", "stable"),
    [(3, 1, 2), (10, 1, 9), (10, 5, 5), (3, 3, 2), (2, 1, 2), (1, 1, 1), (1, 4, 1)],
)
def test_stable_lends_pods_to_the_canary_and_gets_them_back(promised: int, canary: int, stable: int):
    before = release(stableImage=OLD, stableReplicas=promised)
    trial = after(before, config_edits.start_canary(before, NEW, canary))
    assert (trial.stable_replicas, trial.canary_replicas, trial.canary_image) == (stable, canary, NEW)
    assert after(trial, config_edits.remove_canary(trial)) == before
    promoted = after(trial, config_edits.promote(trial, {}))
    assert promoted == before.model_copy(update={"stable_image": NEW})


@pytest.mark.parametrize(
    ("promised", "weight", "replicas", "canary"),
    [
        (3, "1", None, 1),
        (3, "0", None, 1),
        (10, "25", None, 3),
        (30, "2.5", None, 1),
        (3, "1", 2, 2),
        (40, "5", None, 2),
    ],
)
def test_a_canary_by_weight_has_pods_for_its_share(promised: int, weight: str, replicas: int | None, canary: int):
    before = release(stableImage=OLD, stableReplicas=promised)
    trial = after(before, config_edits.start_canary(before, NEW, replicas, weight=weight))
    assert (trial.stable_replicas, trial.canary_replicas, trial.canary_weight) == (promised, canary, weight)
    assert not trial.stable_replicas_after_trial


@pytest.mark.parametrize("end", [lambda trial: config_edits.promote(trial, {}), config_edits.remove_canary])
@pytest.mark.parametrize(("own", "afterwards"), [("", "1"), ("5", "5"), ("10", "10")])
def test_the_stacks_own_weight_returns_after_a_trial(end: Any, own: str, afterwards: str):
    before = release(stableImage=OLD, **({"canaryWeight": own} if own else {}))
    trial = after(before, config_edits.start_canary(before, NEW, weight="1"))
    raised = after(trial, config_edits.start_canary(trial, NEW, weight="10"))
    assert (trial.canary_weight, raised.canary_weight) == ("1", "10")
    assert after(raised, config_edits.start_canary(raised, NEW, weight="10")) == raised, "it can be repeated"
    ended = after(raised, end(raised))
    assert (ended.canary_weight, ended.canary_weight_after_trial) == (afterwards, "")


def test_a_second_canary_keeps_the_promised_replicas():
    before = release(stableImage=OLD, stableReplicas=5)
    trial = after(before, config_edits.start_canary(before, NEW))
    trial = after(trial, config_edits.start_canary(trial, OLD, 2))
    assert trial.stable_replicas == 3
    assert after(trial, config_edits.remove_canary(trial)).stable_replicas == 5


def test_unchanged_replicas_are_not_written():
    before = release(stableImage=OLD, stableReplicas=2)
    assert set(config_edits.start_canary(before, NEW)) - {"canaryVerdict", "stableReplicasAfterTrial"} == {
        "canaryImage",
        "canaryReplicas",
    }


def test_stable_is_pinned_once():
    assert config_edits.start_canary(release(), NEW, stable_image=OLD)["stableImage"] == OLD
    assert "stableImage" not in config_edits.start_canary(release(stableImage=OLD), NEW, stable_image=NEW)


def test_only_a_verdict_on_the_same_image_stays():
    verdict = f"healthy sha256:{'b' * 64} 2026-01-01T00:00:00Z"
    before = release(stableImage=OLD, canaryVerdict=verdict)
    assert after(before, config_edits.start_canary(before, NEW)).canary_verdict == verdict
    assert not after(before, config_edits.start_canary(before, OLD)).canary_verdict


def test_a_blue_green_switch_has_all_pods_in_both_tracks():
    before = release(stableImage=OLD, stableReplicas=3)
    dark = after(before, config_edits.start_canary(before, NEW, traffic="stable"))
    assert dark.traffic == "stable"
    green = after(dark, config_edits.route_traffic(dark, "canary"))
    assert (green.traffic, green.canary_replicas, green.stable_replicas) == ("canary", 3, 3)
    blue = after(green, config_edits.route_traffic(green, "split"))
    assert (blue.traffic, blue.canary_replicas, blue.stable_replicas) == ("split", 3, 3)


@pytest.mark.parametrize("weight", [None, "1"])
def test_a_repeated_canary_with_all_users_keeps_its_pods(weight: str | None):
    green = release(stableImage=OLD, stableReplicas=3, canaryImage=NEW, canaryReplicas=4, traffic="canary")
    again = after(green, config_edits.start_canary(green, NEW, weight=weight))
    assert (again.traffic, again.canary_replicas, again.stable_replicas) == ("canary", 4, 3)


@pytest.mark.parametrize("edits", [lambda trial: config_edits.promote(trial, {}), config_edits.remove_canary])
def test_no_user_stays_on_a_removed_canary(edits: Any):
    trial = release(stableImage=OLD, canaryImage=NEW, canaryReplicas=3, traffic="canary")
    assert after(trial, edits(trial)).traffic == "split"


def test_traffic_to_stable_survives_a_promotion():
    trial = release(stableImage=OLD, canaryImage=NEW, canaryReplicas=1, traffic="stable")
    assert after(trial, config_edits.promote(trial, {})).traffic == "stable"


def test_restoring_an_earlier_image():
    before = release(stableImage=NEW, stableReplicas=2, stableReplicasAfterTrial=3, canaryImage=OLD, canaryReplicas=1)
    back = after(before, config_edits.restore_image(before, OLD, f"rejected sha256:{'b' * 64} 2026-01-01T00:00:00Z"))
    assert (back.stable_image, back.stable_replicas, back.has_canary) == (OLD, 3, False)
    assert back.canary_verdict.startswith("rejected sha256:bbbb")
