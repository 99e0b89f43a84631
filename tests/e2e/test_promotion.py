"""Releases under load: no request dropped, no person lost, never fewer pods than promised."""

from __future__ import annotations

import json
from typing import Any

from tests.e2e.trial import HEALTHY_TRIAL, Trial

PROMISED_PODS = 3


def assert_nothing_was_noticed(report: dict[str, Any]) -> None:
    assert report["failed"] == 0, report["failures"]
    assert report["lost"] == []
    assert report["doubled"] == []


def digest(reference: str) -> str:
    return reference.partition("@")[2]


def test_a_promotion_drops_no_request(trial: Trial):
    """It takes a verdict, and afterwards an older stack file is refused. The soak part `kills` promotes more often."""
    trial.candidate("good", "promoted")
    with trial.ready_pods() as pods, trial.users() as users:
        trial.promotion("canary", "--image", "source", "--yes")
        tracks = trial.tracks()
        canary = tracks["canary"]
        assert (canary["replicas"], canary["share"], tracks["stable"]["replicas"]) == (1, 33.3, 2)
        assert trial.config()["canaryImage"] == canary["image"], "pinned once it was built"
        stack_file = trial.project.stack_file.read_text()
        refused = trial.promotion("promote", "--yes", check=2)
        assert "verdict" in refused.stderr, "nobody has tried the canary yet"
        assert trial.project.stack_file.read_text() == stack_file
        verdict = json.loads(trial.promotion("verdict", *HEALTHY_TRIAL, "--output", "json").stdout)
        assert verdict["result"] == "healthy", verdict
        trial.promotion("promote", "--yes")
        assert trial.tracks() == {"stable": {"image": canary["image"], "replicas": PROMISED_PODS, "share": 100}}
        config = trial.config()
        assert (config["stableImage"], config["stableReplicas"]) == (canary["image"], "3")
        assert "canaryImage" not in config
    assert_nothing_was_noticed(users.report)
    assert pods.minimum >= PROMISED_PODS, pods.moments
    trial.project.pulumi("preview", "--expect-no-changes")
    promoted = trial.project.stack_file.read_text()
    trial.project.stack_file.write_text(stack_file)  # as in a checkout that nobody has updated since
    for command in (("canary", "--image", trial.image), ("rollback",), ("traffic", "stable")):
        refused = trial.promotion(*command, "--yes", check=2)
        assert "is not what is deployed" in refused.stderr
    trial.project.stack_file.write_text(promoted)


def test_rollbacks_of_canary_and_stable_drop_no_request(trial: Trial):
    config = trial.config()
    with trial.ready_pods() as pods, trial.users() as users:
        trial.candidate("good", "rolled back")
        trial.promotion("canary", "--image", "source", "--yes")
        rejected = trial.tracks()["canary"]["image"]
        trial.promotion("rollback", "--reject", "--yes")
        assert trial.config() == config
        assert set(trial.tracks()) == {"stable"}

        refused = trial.promotion("canary", "--image", rejected, "--yes", check=2)
        assert digest(rejected)[7:19] in refused.stderr, "a rejected image is remembered"

        trial.promotion("rollback", "--to", digest(trial.image), "--yes")
        assert digest(trial.tracks()["stable"]["image"]) == digest(trial.image)
    assert_nothing_was_noticed(users.report)
    assert pods.minimum >= PROMISED_PODS, pods.moments


def test_switching_all_users_and_back_drops_no_request(trial: Trial):
    trial.candidate("good", "green")
    with trial.ready_pods() as pods, trial.users() as users:
        trial.promotion("traffic", "stable", "--yes")
        trial.promotion("canary", "--image", "source", "--replicas", "3", "--yes")
        assert trial.tracks()["canary"]["share"] == 0, "a dark canary"
        trial.promotion("traffic", "canary", "--force", "--yes")  # nobody has used it yet, so it has no verdict
        assert trial.tracks()["canary"]["share"] == 100
        trial.promotion("traffic", "stable", "--yes")
        trial.promotion("rollback", "--yes")
        trial.promotion("traffic", "split", "--yes")
    assert_nothing_was_noticed(users.report)
    assert pods.minimum >= 2, pods.moments  # what stable promises beside a canary
