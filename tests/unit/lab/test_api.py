"""Which pods a restarted lab waits for, by what the API says of them."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from lab import api
from lab.certificates import Authority
from lab.layout import Lab

RESTART = datetime.datetime.fromisoformat("2026-09-21T13:30:00Z").timestamp()
BEFORE, AFTER = "2026-09-21T13:00:00Z", "2026-09-21T13:34:00Z"


def _pod(created: str, phase: str = "Running", ready: bool = True, **state: Any) -> dict[str, Any]:
    condition = {"type": "Ready", "status": "True" if ready else "False"}
    return {
        "metadata": {"namespace": "app", "name": "web", "creationTimestamp": created},
        "status": {"phase": phase, "conditions": [condition], "containerStatuses": [{"state": state}]},
    }


@pytest.mark.parametrize(
    ("pod", "waited_for"),
    [
        pytest.param(_pod(BEFORE, running={"startedAt": BEFORE}), True, id="ready by an old word"),
        pytest.param(_pod(BEFORE, running={"startedAt": AFTER}), False, id="ready again"),
        pytest.param(_pod(BEFORE, ready=False, running={"startedAt": AFTER}), True, id="started, not ready"),
        pytest.param(_pod(BEFORE, ready=False, terminated={"exitCode": 255}), True, id="ended with the node"),
        pytest.param(_pod(BEFORE, ready=False, waiting={"reason": "CrashLoopBackOff"}), False, id="fails by itself"),
        pytest.param(_pod(BEFORE, phase="Succeeded", ready=False, terminated={"exitCode": 0}), False, id="a job's end"),
        pytest.param(_pod(AFTER, ready=False, waiting={"reason": "ContainerCreating"}), False, id="a new pod"),
    ],
)
def test_pods_to_return(lab: Lab, monkeypatch: pytest.MonkeyPatch, pod: dict[str, Any], waited_for: bool) -> None:
    monkeypatch.setattr(api, "get", lambda *_: {"items": [pod]})
    found = api.pods_to_return(lab, Authority(lab.state), since=RESTART)
    assert found == (["app/web"] if waited_for else [])


@pytest.mark.parametrize(
    ("status", "heard", "ready"), [("True", AFTER, True), ("True", BEFORE, False), ("False", AFTER, False)]
)
def test_a_node_is_ready_by_the_word_of_the_kubelet_that_runs_now(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, status: str, heard: str, ready: bool
) -> None:
    condition = {"type": "Ready", "status": status, "lastHeartbeatTime": heard}
    monkeypatch.setattr(api, "get", lambda *_: {"status": {"conditions": [condition]}})
    assert api.node_ready(lab, Authority(lab.state), since=RESTART) is ready
