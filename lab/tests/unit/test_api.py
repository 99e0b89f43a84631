"""Which pods a restarted lab waits for, and when its node counts as ready."""

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
    ("pod", "expected"),
    [
        pytest.param(_pod(BEFORE, running={"startedAt": BEFORE}), True, id="ready before the restart"),
        pytest.param(_pod(BEFORE, running={"startedAt": AFTER}), False, id="ready again"),
        pytest.param(_pod(BEFORE, ready=False, running={"startedAt": AFTER}), True, id="started, not ready"),
        pytest.param(_pod(BEFORE, ready=False, terminated={"exitCode": 255}), True, id="terminated with the node"),
        pytest.param(_pod(BEFORE, ready=False, waiting={"reason": "CrashLoopBackOff"}), False, id="crash loop"),
        pytest.param(_pod(BEFORE, phase="Succeeded", ready=False, terminated={"exitCode": 0}), False, id="finished"),
        pytest.param(_pod(AFTER, ready=False, waiting={"reason": "ContainerCreating"}), False, id="new pod"),
    ],
)
def test_pods_to_return(lab: Lab, monkeypatch: pytest.MonkeyPatch, pod: dict[str, Any], expected: bool) -> None:
    monkeypatch.setattr(api, "get", lambda *_: {"items": [pod]})
    pods = api.pods_to_return(lab, Authority(lab.state), since=RESTART)
    assert pods == (["app/web"] if expected else [])


@pytest.mark.parametrize(
    ("status", "heartbeat", "ready"), [("True", AFTER, True), ("True", BEFORE, False), ("False", AFTER, False)]
)
def test_only_a_heartbeat_after_the_restart_makes_a_node_ready(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, status: str, heartbeat: str, ready: bool
) -> None:
    condition = {"type": "Ready", "status": status, "lastHeartbeatTime": heartbeat}
    monkeypatch.setattr(api, "get", lambda *_: {"status": {"conditions": [condition]}})
    assert api.node_ready(lab, Authority(lab.state), since=RESTART) is ready
