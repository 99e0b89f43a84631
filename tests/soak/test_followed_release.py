"""The page beside real releases under load: one that is promoted, and one that is rolled back."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from tests.e2e.trial import HEALTHY_TRIAL, UNHEALTHY_TRIAL, Trial


def page(trial: Trial) -> dict[str, Any]:
    """Return the stack's document, as the page shows it."""
    return json.loads(trial.promotion("dashboard", "--output", "json").stdout)["stacks"][0]


def status(trial: Trial) -> dict[str, Any]:
    """Return what `status` tells scripts, without the moment of the reading."""
    return {**json.loads(trial.promotion("status", "--output", "json").stdout), "time": ""}


def followed(trial: Trial, behaviour: str, length: tuple[str, ...]) -> tuple[int, list[dict[str, Any]]]:
    """Release a version under load; return the exit code and the page's documents meanwhile."""
    trial.candidate(behaviour, "followed")
    seen: list[dict[str, Any]] = []
    with trial.users():
        command = [sys.executable, "-m", "promotion", *trial.command("release", "--image", "source", *length, "--yes")]
        project = trial.project
        with (project.folder / "release.log").open("w") as log:
            release = subprocess.Popen(
                command, cwd=project.folder, env=project.environment, stdout=log, stderr=subprocess.STDOUT
            )
        while release.poll() is None:
            seen.append(page(trial))
    return release.returncode, seen


def test_the_page_follows_a_promotion(trial: Trial):
    code, seen = followed(trial, "good", HEALTHY_TRIAL)
    assert code == 0
    running = [each for each in seen if each["stage"] == "trial running"]
    assert running, [each["headline"] for each in seen]
    assert [len(each["trial"]["looks"]) for each in running] == sorted(len(each["trial"]["looks"]) for each in running)
    assert {*running[-1]["status"]["tracks"]} == {"stable", "canary"}
    last = page(trial)
    assert (last["stage"], last["trial"]["result"]) == ("promoted", "healthy")
    assert {**last["status"], "time": ""} == status(trial)
    assert last["history"]["moves"][0]["message"].startswith("release: ")


def test_the_page_follows_a_roll_back(trial: Trial):
    code, seen = followed(trial, "errors to 5 % of users", UNHEALTHY_TRIAL)
    assert code == 5
    assert any(each["stage"] == "trial running" for each in seen), [each["headline"] for each in seen]
    last = page(trial)
    assert (last["stage"], last["trial"]["result"]) == ("rolled back", "unhealthy")
    assert last["trial"]["rollback"]["diagnosis"]
    assert {**last["status"], "time": ""} == status(trial)
    file = trial.project.folder / "release.html"
    trial.promotion("dashboard", "--html", str(file))
    assert last["trial"]["reasons"][0][:40] in file.read_text()
