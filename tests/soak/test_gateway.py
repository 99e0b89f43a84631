"""A Gateway whose engine and pods are killed: the next command finishes the move, and users notice little."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from tests.e2e.front_door import NEW, OLD, FrontDoor, front_door
from tests.e2e.trial import Trial
from tests.soak.test_kills import engine_of

SEED = 20_261_130
KILLS = 8
#: A weight change takes longer on any machine.
LATEST_SECONDS = 6.0


@pytest.fixture(scope="module")
def door(
    trial_stack: Trial, gateway_lab: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FrontDoor]:
    with front_door(trial_stack, tmp_path_factory.mktemp("authority")) as opened:
        yield opened


def test_killed_weight_changes_are_finished_next_time(door: FrontDoor):
    chance = random.Random(SEED)
    with door.users() as users:
        for number in range(KILLS):
            weight, seconds = chance.randrange(1, 100), chance.uniform(1, LATEST_SECONDS)
            print(f"kill {number}: the engine after {seconds:.1f} s of a change to weight {weight}", flush=True)
            door.trial.project.configure(canaryWeight=str(weight))
            kill_update(door.trial, seconds)
            door.trial.promotion("up", "--wait")
            assert door.weights() == {"addressbook-stable": 1000 - 10 * weight, "addressbook-canary": 10 * weight}
            door.trial.project.pulumi("preview", "--expect-no-changes")
    assert users.report["failed"] == 0, users.report["failures"]


def kill_update(trial: Trial, seconds: float) -> None:
    """Start an update and kill its engine after this many seconds."""
    command = [sys.executable, "-m", "promotion", *trial.command("up")]
    folder, environment = trial.project.folder, trial.project.environment
    silent = subprocess.DEVNULL
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=silent, stderr=silent) as update:
        try:
            update.wait(seconds)
        except subprocess.TimeoutExpired:
            if engine := engine_of(update.pid):
                subprocess.run(["kill", "-KILL", str(engine)], check=True)


def test_a_promotion_outlives_one_of_traefiks_pods(door: FrontDoor, until: Callable[..., None]):
    victim = door.pods()[0]["metadata"]["name"]
    promoted = {"stableImage": door.canary, "canaryImage": None, "canaryReplicas": None, "stableReplicas": 3}
    project = door.trial.project
    with door.users() as users:
        project.configure(**promoted)
        update = subprocess.Popen(
            ["pulumi", "up", "--yes", "--skip-preview", "--stack", project.stack, "--non-interactive"],
            cwd=project.folder,
            env=project.environment,
            stdout=subprocess.DEVNULL,
        )
        until(lambda: updating(door), "stable is being replaced")
        project.kubectl("delete", "pod", victim, "-n", door.trial.namespace, "--force", "--grace-period=0")
        assert update.wait() == 0
        ready = "--for=condition=Available"
        project.kubectl("wait", ready, "deployment/addressbook-traefik", "-n", door.trial.namespace, "--timeout=60s")
        assert door.versions(500) == {NEW: 500}
    # Connections to the dead pod break, until kube-proxy knows; then nobody notices.
    assert users.report["failed"] <= 0.02 * users.report["requests"], users.report["failures"]
    with door.users() as later:
        door.up(stableImage=door.trial.image)
    assert later.report["failed"] == 0, later.report["failures"]
    assert door.versions(100) == {OLD: 100}, "rolled back"


def updating(door: FrontDoor) -> bool:
    (stable,) = [
        each
        for each in door.trial.project.objects("deployments", door.trial.namespace)
        if each["metadata"]["name"] == "addressbook-stable"
    ]
    status = stable["status"]
    return 0 < status.get("updatedReplicas", 0) < status.get("replicas", 0)
