"""`status` and `history` of a running stack, drift included."""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
import sys
from typing import Any

import pytest


def promotion(stack: Any, *arguments: str, check: bool = True) -> Any:
    command = [sys.executable, "-m", "promotion", *arguments, "--stack", stack.stack]
    return stack.run(*command, check=check)


def status(stack: Any) -> dict[str, Any]:
    return json.loads(promotion(stack, "status", "--output", "json").stdout)


def cluster_drift(stack: Any) -> list[str]:
    return [each["what"] for each in status(stack)["drift"] if each["between"] == "deployed and cluster"]


def test_status_shows_image_pods_share_and_requests(stack: Any, api: Any):
    for _ in range(20):
        assert api.call("GET", "/all")[0] == 200
    answer = status(stack)
    stable = answer["tracks"]["stable"]
    assert (stable["ready"], stable["wanted"], stable["share"]) == (2, 2, 100.0)
    assert stable["image"] == stack.outputs()["tracks"]["stable"]["image"]
    assert stable["served"]["requests"] >= 20
    assert stable["served"]["median_ms"] > 0
    assert answer["lastUpdate"]["result"] == "succeeded"
    assert cluster_drift(stack) == []


def test_drift_is_shown_and_up_removes_it(calm: Any):
    namespace = calm.outputs()["namespace"]
    calm.kubectl("scale", "deployment/addressbook-stable", "-n", namespace, "--replicas=3")
    calm.kubectl("delete", "service", "addressbook-stable", "-n", namespace)
    drift = "\n".join(cluster_drift(calm))
    assert "Deployment addressbook-stable was changed: spec.replicas is 3" in drift
    assert "Service addressbook-stable was deleted from the cluster" in drift
    promotion(calm, "up")
    assert cluster_drift(calm) == []


def test_remedy_for_an_added_field_works(calm: Any):
    patch = json.dumps({"spec": {"selector": {"track": "stable"}}})
    namespace = calm.outputs()["namespace"]
    calm.kubectl("patch", "service", "addressbook-lb", "-n", namespace, "-p", patch)
    (drift,) = [each for each in status(calm)["drift"] if each["between"] == "deployed and cluster"]
    assert "Service addressbook-lb was changed: spec.selector.track (stable) was added" in drift["what"]
    command = re.search(r"`(kubectl [^`]*)`", drift["remedy"])
    assert command
    calm.run(*shlex.split(command[1]))
    assert cluster_drift(calm) == []


def test_undeployed_config_is_shown(calm: Any):
    calm.configure(stableReplicas=3)
    assert any("stableReplicas: 2 -> 3" in each["what"] for each in status(calm)["drift"])


def test_status_without_the_cluster_uses_the_state(stack: Any):
    before = dict(stack.environment)
    stack.environment["KUBECONFIG"] = "/dev/null"
    try:
        done = promotion(stack, "status", check=False)
    finally:
        stack.environment.update(before)
    assert done.returncode == 1
    assert "The cluster cannot be reached" in done.stdout
    assert "stable" in done.stdout
    assert "Traceback" not in done.stderr


def test_ctrl_c_ends_watching(stack: Any):
    command = [sys.executable, "-m", "promotion", "status", "--watch", "1", "--output", "json", "--stack", stack.stack]
    with subprocess.Popen(
        command, cwd=stack.folder, env=stack.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        try:
            looks = [json.loads(process.stdout.readline()) for _ in range(2)]
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 0, err
    assert err == ""
    assert looks[0]["servedSeconds"] is None
    assert looks[1]["servedSeconds"] > 0


def test_history_lists_updates_with_their_changes(calm: Any):
    promotion(calm, "up")
    calm.configure(stableReplicas=1)
    calm.up("--message", "fewer pods")
    answer = json.loads(promotion(calm, "history", "--output", "json").stdout)
    newest = answer["moves"][0]
    assert (newest["kind"], newest["message"], newest["result"]) == ("update", "fewer pods", "succeeded")
    assert newest["changes"] == [{"key": "stableReplicas", "before": "2", "after": "1"}]
    assert answer["releases"]
    assert "fewer pods" in promotion(calm, "history").stdout


@pytest.mark.parametrize("command", ["status", "history", "diagnose"])
def test_unknown_stack_is_refused(stack: Any, command: str):
    done = stack.run(sys.executable, "-m", "promotion", command, "--stack", "nobody", check=False)
    assert done.returncode == 2
    assert "there is no Pulumi.nobody.yaml" in done.stderr
