"""Bad canaries of every kind: judged, rolled back automatically, and explained."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.e2e.trial import UNHEALTHY_TRIAL, Trial

UNHEALTHY = 5
PROMISED_PODS = 3
#: Share of the users' connections that one canary beside two stable pods gets: the most that it may spoil.
SHARE = 1 / 3


@pytest.mark.parametrize(
    ("behaviour", "cause", "allowed_failures"),
    [
        pytest.param("crashes at start", "no more disk for the journal", 0.0, marks=pytest.mark.soak),
        pytest.param("crashes after a while", "70", SHARE, marks=pytest.mark.soak),
        pytest.param("never ready", "readiness", 0.0, marks=pytest.mark.soak),
        pytest.param("missing secret", "PAYMENT_TOKEN", 0.0, marks=pytest.mark.soak),
        pytest.param("too much memory", "memory", 0.0, marks=pytest.mark.soak),
        pytest.param("loses a route", "the canary never answers PUT /person", 0.08 * SHARE * 2, marks=pytest.mark.soak),
        ("slower by half a second", "slow", 0.0),
        ("broken migration", "relation person has no column email", 0.0),
    ],
)
def test_bad_canary_is_rolled_back(trial: Trial, behaviour: str, cause: str, allowed_failures: float):
    config, tracks = trial.config(), trial.tracks()
    trial.candidate(behaviour)
    with trial.ready_pods() as pods, trial.users() as users:
        done = trial.promotion("release", "--image", "source", *UNHEALTHY_TRIAL, "--yes", check=UNHEALTHY)
    assert cause in (done.stdout + done.stderr)
    assert "Traceback" not in done.stderr
    assert trial.config() == config
    assert trial.tracks() == tracks
    report = users.report
    assert report["failed"] <= allowed_failures * report["requests"], report["failures"]
    assert report["lost"] == []
    assert report["doubled"] == []
    assert pods.minimum >= PROMISED_PODS - 1, pods.moments  # minus one that has crashed


def test_missing_image_is_rolled_back(trial: Trial):
    config = trial.config()
    absent = f"{trial.image.partition('@')[0]}@sha256:{'0' * 64}"
    with trial.users() as users:
        done = trial.promotion("release", "--image", absent, *UNHEALTHY_TRIAL, "--yes", check=UNHEALTHY)
    assert "image" in done.stdout + done.stderr
    assert trial.config() == config
    assert users.report["failed"] == 0, users.report["failures"]


def test_verdict_command_rolls_back_an_unhealthy_canary(trial: Trial):
    config, tracks = trial.config(), trial.tracks()
    trial.candidate("errors to 5 % of users")
    trial.promotion("canary", "--image", "source", "--yes")
    image = trial.config()["canaryImage"]
    with trial.users() as users:
        done = trial.promotion("verdict", *UNHEALTHY_TRIAL, "--output", "json", check=UNHEALTHY)
    verdict = json.loads(done.stdout)
    assert (verdict["result"], verdict["digest"], verdict["takenBack"]) == ("unhealthy", image.partition("@")[2], True)
    assert "of the canary's requests are answered with an error" in " ".join(verdict["reasons"])
    assert "rolling back the canary" in done.stderr
    assert trial.config() == config
    assert trial.tracks() == tracks
    assert users.report["failed"] <= 0.05 * SHARE * 2 * users.report["requests"], users.report["failures"]
    assert "was judged unhealthy" in trial.promotion("canary", "--image", image, check=2).stderr


@pytest.mark.soak
def test_a_canary_fixes_a_crashing_stable(trial: Trial, until: Callable[..., None]):
    """Neither the canary, nor its removal, waits for a stable whose pods crash again and again."""
    trial.candidate("crashes after a while", "as stable")
    trial.promotion("canary", "--image", "source", "--yes")
    trial.promotion("promote", "--force", "--yes")

    def crashing() -> bool:
        (stable,) = trial.project.objects("deployments", trial.namespace, "track=stable")
        return not stable["status"].get("availableReplicas")

    until(crashing, "all pods of stable have crashed")
    trial.candidate("good", "the fix")
    trial.promotion("canary", "--image", trial.image, "--yes")
    trial.promotion("rollback", "--yes")
    started = trial.promotion("canary", "--image", "source", "--yes")
    assert "leaves stable as it is" in started.stdout
    fix = trial.tracks()["canary"]["image"]
    trial.promotion("promote", "--force", "--yes")
    assert trial.tracks() == {"stable": {"image": fix, "replicas": PROMISED_PODS, "share": 100}}
    trial.project.pulumi("preview", "--expect-no-changes")
