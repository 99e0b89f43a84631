"""A release that loses the cluster on its way: it says so, and the next command goes on from where things stand."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.e2e.trial import Trial
from tests.e2e.wire import Wire

#: Seconds until a release has come to where it is to be cut off, or has ended.
DEADLINE = 300


@pytest.fixture
def wire(trial: Trial, tmp_path: Path) -> Iterator[Wire]:
    with Wire(Path(trial.project.environment["KUBECONFIG"]), tmp_path / "kubeconfig") as wire:
        yield wire
        wire.mend()
        trial.project.up()  # not by refresh first: the state's provider goes by the wire still


@pytest.mark.parametrize("stage", ["Deployment addressbook-canary ", "addressbook ping: "])
def test_the_cluster_is_out_of_reach_for_a_while(trial: Trial, wire: Wire, tmp_path: Path, stage: str):
    """Cut off when the canary has come up and stable is next, or within the trial."""
    trial.candidate("good", f"cut off at {stage}")
    away = {**trial.project.environment, "KUBECONFIG": str(wire.kubeconfig)}
    with trial.users() as users:
        code, said = release_cut_at(trial, wire, away, stage, tmp_path / "said")
        assert code in (1, 3), said
        assert "Traceback" not in said
        assert "127.0.0.1" in said, "who reads it can tell what was out of reach"
        assert trial.config()["canaryImage"], "an unreachable cluster says nothing against the canary"
        assert "unhealthy" not in trial.project.stack_file.read_text()
        wire.mend()
        there = Trial(replace(trial.project, environment=away), trial.image)
        there.promotion("release", "--image", "source", "--for", "45s", "--yes")
    assert set(trial.tracks()) == {"stable"}
    assert trial.config()["stableImage"] == trial.tracks()["stable"]["image"]
    assert "canaryImage" not in trial.config()
    assert (users.report["failed"], users.report["lost"], users.report["doubled"]) == (0, [], []), users.report


def release_cut_at(trial: Trial, wire: Wire, environment: dict[str, str], stage: str, file: Path) -> tuple[int, str]:
    """Exit code and words of a release whose way to the cluster is cut once it has said ``stage``."""
    command = [*trial.command("release", "--image", "source", "--for", "30s", "--yes")]
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
