"""Releases killed at random moments: the next command recovers, and stable keeps serving."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time

from tests.e2e.processes import descendants
from tests.e2e.trial import HEALTHY_TRIAL, Trial

SEED = 20_260_101
#: A release takes longer than this on any machine, so every kill interrupts one.
LATEST_SECONDS = 45.0
#: Bound of the users' load for each kill.
LONGEST_SECONDS_EACH = 240.0


def test_five_killed_releases_are_recovered(trial: Trial):
    kill_releases(trial, 5)


def test_fifteen_killed_releases_are_recovered(trial: Trial):
    kill_releases(trial, 15)


def kill_releases(trial: Trial, number_of_kills: int) -> None:
    """Kill the command or its engine each time, and check that the next command recovers and that no user notices."""
    chance = random.Random(SEED)
    with trial.users(longest_seconds=number_of_kills * LONGEST_SECONDS_EACH) as users:
        for number in range(number_of_kills):
            trial.candidate("good", f"killed {number}")
            seconds, victim = chance.uniform(1, LATEST_SECONDS), chance.choice(["command", "engine"])
            print(f"kill {number}: the {victim} after {seconds:.1f} s", flush=True)
            kill_release(trial, seconds, victim)
            if number % 2:
                trial.promotion("release", "--image", "source", *HEALTHY_TRIAL, "--yes")
            else:
                roll_back(trial)
            assert set(trial.tracks()) == {"stable"}
            config = trial.config()
            assert config["stableImage"] == trial.tracks()["stable"]["image"]
            assert config["stableReplicas"] == "3"
            assert "canaryImage" not in config
            trial.project.pulumi("preview", "--expect-no-changes")
    assert users.report["failed"] == 0, users.report["failures"]
    assert users.report["lost"] == []
    assert users.report["doubled"] == []


def kill_release(trial: Trial, seconds: float, victim: str) -> None:
    """Start a release and kill it, or its engine, after this many seconds."""
    release = subprocess.Popen(
        [sys.executable, "-m", "promotion", *trial.command("release", "--image", "source", *HEALTHY_TRIAL, "--yes")],
        cwd=trial.project.folder,
        env=trial.project.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        release.wait(seconds)
    except subprocess.TimeoutExpired:
        engine = engine_of(release.pid) if victim == "engine" else None
        os.kill(engine or release.pid, signal.SIGKILL)
    finally:
        deadline = time.monotonic() + 120
        while release.poll() is None and time.monotonic() < deadline:
            time.sleep(0.2)
        release.kill()
        release.wait()


def engine_of(command: int) -> int | None:
    """Return the process id of the engine that the command runs, if it is running one now."""
    return next((each.pid for each in descendants(command) if each.name == "pulumi"), None)


def roll_back(trial: Trial) -> None:
    """Roll back; if the killed run had not created a canary, `up` is the next command."""
    done = trial.promotion("rollback", "--yes", "--wait", check=None)
    if done.returncode:
        assert "has no canary" in done.stderr, done.stderr
        trial.promotion("up", "--wait")
