"""A release that loses the cluster midway: it says so, and the next command continues."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from tests.e2e.trial import HEALTHY_TRIAL, Trial
from tests.e2e.wire import Wire

pytestmark = pytest.mark.soak
#: Seconds until a release has reached the stage where it is interrupted, or has ended.
DEADLINE = 300


@pytest.fixture
def wire(trial: Trial, tmp_path: Path) -> Iterator[Wire]:
    with Wire(Path(trial.project.environment["KUBECONFIG"]), tmp_path / "kubeconfig") as wire:
        yield wire
        wire.restore()
        trial.project.up()  # without a refresh: the provider in the state still uses the wire


@pytest.mark.parametrize(
    "stage",
    [
        pytest.param("Deployment addressbook-canary ", id="while the canary starts"),
        pytest.param("addressbook ping: ", id="during the trial"),
    ],
)
def test_release_continues_after_the_cluster_was_unreachable(trial: Trial, wire: Wire, tmp_path: Path, stage: str):
    trial.candidate("good", f"interrupted at {stage}")
    environment = {**trial.project.environment, "KUBECONFIG": str(wire.kubeconfig)}
    with trial.users() as users:
        code, output = release_interrupted_at(trial, wire, environment, stage, tmp_path / "output")
        assert code in (1, 3), output
        assert "Traceback" not in output
        assert "127.0.0.1" in output, "the message names the address that was unreachable"
        assert trial.config()["canaryImage"], "an unreachable cluster says nothing about the canary"
        assert "unhealthy" not in trial.project.stack_file.read_text()
        wire.restore()
        again = replace(trial, project=replace(trial.project, environment=environment))
        again.promotion("release", "--image", "source", *HEALTHY_TRIAL, "--yes")
    assert set(trial.tracks()) == {"stable"}
    assert trial.config()["stableImage"] == trial.tracks()["stable"]["image"]
    assert "canaryImage" not in trial.config()
    assert (users.report["failed"], users.report["lost"], users.report["doubled"]) == (0, [], []), users.report


def release_interrupted_at(
    trial: Trial, wire: Wire, environment: Mapping[str, str], stage: str, file: Path
) -> tuple[int, str]:
    """Run a release and cut the wire once it prints ``stage``; return its exit code and output."""
    command = [*trial.command("release", "--image", "source", *HEALTHY_TRIAL, "--yes")]
    with file.open("wb") as output:
        release = subprocess.Popen(
            [sys.executable, "-m", "promotion", *command],
            cwd=trial.project.folder,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + DEADLINE
        while stage not in file.read_text():
            assert release.poll() is None, file.read_text()
            assert time.monotonic() < deadline, file.read_text()
            time.sleep(0.1)
        wire.cut()
        return release.wait(DEADLINE), file.read_text()
    finally:
        release.kill()
        release.wait()
