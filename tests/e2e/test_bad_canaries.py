"""Canaries that are bad in every way the book names: judged, rolled back by themselves, and the cause named."""

from __future__ import annotations

import json

import pytest

from tests.e2e.trial import Trial

UNHEALTHY = 1
PROMISED = 3
#: A canary of 1 beside 2 has a third of the users; what it may cost them at the most.
SHARE = 1 / 3


@pytest.mark.parametrize(
    ("behaviour", "cause", "most_failures"),
    [
        ("crashes at start", "no more disk for the journal", 0.0),
        ("crashes after a while", "70", SHARE),
        ("never ready", "readiness", 0.0),
        ("missing secret", "PAYMENT_TOKEN", 0.0),
        ("too much memory", "memory", 0.0),
        ("errors to 5 %", "error", 0.05 * SHARE * 2),
        ("10 times slower", "slow", 0.0),
        ("broken migration", "relation person has no column email", 0.0),
    ],
)
def test_a_bad_canary_is_rolled_back_by_itself(trial: Trial, behaviour: str, cause: str, most_failures: float):
    before, pods_before = trial.config(), trial.tracks()
    trial.candidate(behaviour)
    with trial.ready_pods() as pods, trial.users() as users:
        done = trial.promotion("release", "--image", "source", "--for", "40s", "--yes", check=UNHEALTHY)
    assert cause in (done.stdout + done.stderr)
    assert "Traceback" not in done.stderr
    assert trial.config() == before, "config included"
    assert trial.tracks() == pods_before
    report = users.report
    assert report["failed"] <= most_failures * report["requests"], report["failures"]
    assert report["lost"] == []
    assert report["doubled"] == []
    assert pods.least >= PROMISED - 1, pods.moments  # a crashed canary is one pod less


def test_an_image_that_does_not_exist(trial: Trial):
    before = trial.config()
    absent = f"{trial.image.partition('@')[0]}@sha256:{'0' * 64}"
    with trial.users() as users:
        done = trial.promotion("release", "--image", absent, "--for", "40s", "--yes", check=UNHEALTHY)
    assert "image" in done.stdout + done.stderr
    assert trial.config() == before
    assert users.report["failed"] == 0, users.report["failures"]


def test_the_verdict_alone_rolls_back_too(trial: Trial):
    before, pods_before = trial.config(), trial.tracks()
    trial.candidate("errors to 5 % of users")
    trial.promotion("canary", "--image", "source", "--yes")
    image = trial.config()["canaryImage"]
    with trial.users() as users:
        done = trial.promotion("verdict", "--for", "40s", "--output", "json", check=UNHEALTHY)
    said = json.loads(done.stdout)
    assert (said["result"], said["digest"], said["takenBack"]) == ("unhealthy", image.partition("@")[2], True)
    assert "of the canary's requests are answered with an error" in " ".join(said["reasons"])
    assert "the canary is taken back" in done.stderr
    assert trial.config() == before
    assert trial.tracks() == pods_before
    assert users.report["failed"] <= 0.05 * SHARE * 2 * users.report["requests"], users.report["failures"]
    assert "was found unhealthy" in trial.promotion("canary", "--image", image, check=2).stderr
