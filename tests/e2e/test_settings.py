"""Settings on trial under load: stable keeps its own until they are promoted."""

from __future__ import annotations

import json
from typing import Any

from tests.e2e.trial import UNHEALTHY_TRIAL, Trial

UNHEALTHY = 5
SECRET = "settings-on-trial"


def pods(trial: Trial, track: str) -> dict[str, dict[str, Any]]:
    """Return the track's pods by UID, without those being deleted."""
    found = trial.project.objects("pods", trial.namespace, f"app=addressbook,track={track}")
    return {each["metadata"]["uid"]: each for each in found if "deletionTimestamp" not in each["metadata"]}


def variables(trial: Trial, pod: dict[str, Any]) -> dict[str, str]:
    """Return the environment of a process in the pod."""
    script = "import json, os; print(json.dumps(dict(os.environ)))"
    command = ("exec", "-n", trial.namespace, pod["metadata"]["name"], "--", "python", "-c", script)
    return json.loads(trial.project.kubectl(*command).stdout)


def settings_objects(trial: Trial) -> set[str]:
    """Return the names of the tracks' ConfigMaps and Secrets."""
    found = trial.project.objects("configmaps,secrets", trial.namespace, "track")
    return {each["metadata"]["name"] for each in found}


def test_settings_reach_stable_only_by_promotion(trial: Trial):
    project, config = trial.project, trial.config()
    stable, objects = pods(trial, "stable"), settings_objects(trial)
    release = ("release", "--image", config["stableImage"], *UNHEALTHY_TRIAL, "--yes")
    with trial.users() as users:
        project.configure(canarySettings={"environment": {"DB_POOL_SIZE": "many"}, "rolloutTimeoutSeconds": 10})
        failed = trial.promotion(*release, check=UNHEALTHY)
        assert "DB_POOL_SIZE" in failed.stdout + failed.stderr
        assert trial.config() == config
        assert pods(trial, "stable").keys() == stable.keys()
        assert settings_objects(trial) == objects

        project.configure(canarySettings={"environment": {"DB_POOL_SIZE": "3"}})
        project.pulumi("config", "set", "--secret", "--path", "canarySecretEnvironment.TOKEN", SECRET)
        trial.promotion("canary", "--image", config["stableImage"], "--yes", "--force")
        (canary,) = pods(trial, "canary").values()
        assert variables(trial, canary).items() >= {"DB_POOL_SIZE": "3", "TOKEN": SECRET}.items()

        killed = next(iter(pods(trial, "stable").values()))["metadata"]["name"]
        project.kubectl("delete", "pod", "-n", trial.namespace, killed)
        project.kubectl("rollout", "status", "-n", trial.namespace, "deployment/addressbook-stable")
        for pod in pods(trial, "stable").values():
            assert not {"DB_POOL_SIZE", "TOKEN"} & variables(trial, pod).keys()

        trial.promotion("promote", "--yes", "--force")
        for pod in pods(trial, "stable").values():
            assert variables(trial, pod).items() >= {"DB_POOL_SIZE": "3", "TOKEN": SECRET}.items()
    assert users.report["failed"] == 0, users.report["failures"]
    assert not {name for name in settings_objects(trial) if "canary" in name or name in objects}
    assert SECRET not in project.stack_file.read_text()
    assert project.pulumi("config", "get", "--path", "secretEnvironment.TOKEN").stdout.strip() == SECRET
    project.pulumi("preview", "--expect-no-changes")
