"""A release killed at random points, command or engine: the next command finds the true state, and stable serves on."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time

from tests.e2e.processes import descendants
from tests.e2e.trial import Trial

#: The whole series is `KILLS=20`; a run of all tests takes a part of it.
KILLS = int(os.environ.get("KILLS", "5"))
SEED = 20_260_101
#: A release takes longer than this, so that it is cut off in its midst wherever the machine is slow or fast.
LATEST_SECONDS = 70.0
#: Bound of the users' load, for each kill.
MOST_SECONDS_EACH = 240.0
#: Long enough for the requests that a verdict wants of a canary, which has at least a tenth of them.
TRIAL = ("--for", "45s")


def engine_of(command: int) -> int | None:
    """Process of the engine that the command has started; None between two of its runs."""
    return next((each.pid for each in descendants(command) if each.name == "pulumi"), None)


def killed_release(trial: Trial, seconds: float, victim: str) -> None:
    """Start a release and kill it, or the engine that it runs, after so many seconds."""
    release = subprocess.Popen(
        [sys.executable, "-m", "promotion", *trial.command("release", "--image", "source", *TRIAL, "--yes")],
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


def test_whatever_is_killed_the_next_command_goes_on_and_stable_serves(trial: Trial):
    chance = random.Random(SEED)
    with trial.users(most_seconds=KILLS * MOST_SECONDS_EACH) as users:
        for number in range(KILLS):
            trial.candidate("good", f"killed {number}")
            seconds, victim = chance.uniform(1, LATEST_SECONDS), chance.choice(["command", "engine"])
            print(f"kill {number}: the {victim} after {seconds:.1f} s", flush=True)
            killed_release(trial, seconds, victim)
            if number % 2:
                trial.promotion("release", "--image", "source", *TRIAL, "--yes")
            else:
                goes_back(trial)
            assert set(trial.tracks()) == {"stable"}
            config = trial.config()
            assert config["stableImage"] == trial.tracks()["stable"]["image"]
            assert config["stableReplicas"] == "3"
            assert "canaryImage" not in config
            trial.project.pulumi("preview", "--expect-no-changes")
    assert users.report["failed"] == 0, users.report["failures"]
    assert users.report["lost"] == []
    assert users.report["doubled"] == []


def goes_back(trial: Trial) -> None:
    """Rollback; where the killed run had left no canary there is none to remove, and `up` is the next command."""
    done = trial.promotion("rollback", "--yes", "--wait", check=None)
    if done.returncode:
        assert "there is no canary" in done.stderr, done.stderr
        trial.promotion("up", "--wait")
