"""Autopilot finds nothing to change in the pods."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from components.gcp.autopilot import changed_requests
from contract.settings import ServiceSettings, quantity
from tests.unit.components.graphs import pod_templates


def test_every_pod_requests_what_autopilot_accepts(graph: Callable[..., Any]):
    for name, pod in pod_templates(graph(canaryImage="source", canaryReplicas=1)):
        for container in pod["containers"]:
            asked, limits = container["resources"]["requests"], container["resources"]["limits"]
            assert quantity(asked["cpu"]) >= quantity("50m"), name
            assert quantity(asked["memory"]) >= max(quantity("52Mi"), quantity(asked["cpu"]) * 2**30), name
            assert quantity("10Mi") <= quantity(asked["ephemeral-storage"]) <= quantity("10Gi"), name
            assert limits["ephemeral-storage"] == asked["ephemeral-storage"], "or Autopilot lowers the limit"


@pytest.mark.parametrize(
    ("config", "error"),
    [
        ({"cpuRequest": "10m"}, "cpuRequest = '10m': is below Autopilot's minimum; set 50m or more"),
        ({"memoryRequest": "32Mi"}, "memoryRequest = '32Mi': Autopilot would change it; with cpuRequest 50m, set 52Mi"),
        ({"memoryRequest": "1Gi", "memoryLimit": "1Gi"}, "memoryRequest = '1Gi': Autopilot would change it;"),
        ({"cpuRequest": "1"}, "memoryRequest = '96Mi': Autopilot would change it; with cpuRequest 1, set 1024Mi"),
        ({"ephemeralStorage": "20Gi"}, "ephemeralStorage = '20Gi': Autopilot allows 10Mi to 10Gi"),
        (
            {"canaryImage": "source", "canaryReplicas": "1", "canarySettings": '{"memoryRequest": "32Mi"}'},
            "canarySettings.memoryRequest = '32Mi': Autopilot would change it",
        ),
    ],
)
def test_a_request_that_autopilot_changes_is_refused(
    errors: Callable[..., list[str]], config: dict[str, str], error: str
):
    (line,) = errors(**config)
    assert line.startswith(error)


def test_the_defaults_are_accepted():
    assert changed_requests(ServiceSettings()) == []
