"""Autopilot's webhook changes small requests, and none of the program's."""

from __future__ import annotations

from typing import Any

import pytest

from lab.plugins.kubernetes.autopilot import ANNOTATION, VARIABLE, admitted


def job(**resources: Any) -> dict[str, Any]:
    return {"kind": "Job", "spec": {"template": {"spec": {"containers": [{"name": "a", "resources": resources}]}}}}


def resources_of(obj: Any) -> dict[str, Any]:
    return obj["spec"]["template"]["spec"]["containers"][0]["resources"]


@pytest.fixture(autouse=True)
def _autopilot(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(VARIABLE, "1")


def test_small_requests_are_raised_and_missing_ones_added():
    given = job(requests={"cpu": "10m", "memory": "32Mi"}, limits={"memory": "128Mi"})
    stored = admitted(given)
    assert resources_of(stored)["requests"] == {"cpu": "50m", "memory": "52Mi", "ephemeral-storage": "1Gi"}
    assert ANNOTATION in stored["metadata"]["annotations"]
    assert resources_of(given)["requests"]["cpu"] == "10m", "the program's object is not changed"


def test_memory_follows_the_processors():
    requests = {"cpu": "500m", "memory": "96Mi", "ephemeral-storage": "64Mi"}
    assert resources_of(admitted(job(requests=requests)))["requests"]["memory"] == "512Mi"


def test_a_storage_limit_is_lowered_to_the_request():
    requests = {"cpu": "50m", "memory": "64Mi", "ephemeral-storage": "64Mi"}
    stored = admitted(job(requests=requests, limits={"ephemeral-storage": "1Gi"}))
    assert resources_of(stored)["limits"]["ephemeral-storage"] == "64Mi"


def test_without_autopilot_nothing_changes(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(VARIABLE)
    given = job(requests={"cpu": "10m"})
    assert admitted(given) is given
