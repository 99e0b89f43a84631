"""The APIs of the project."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from components.gcp.services import SERVICES
from tests.unit.components.graphs import all_before, cloud_resources


def test_apis_are_enabled_first_and_stay_enabled(graph: Callable[..., Any]):
    stack = graph()
    services = stack.all("Service")
    enabled = [each for each in services if each.type.startswith("gcp:")]
    assert {each.inputs["service"] for each in enabled} == {f"{name}.googleapis.com" for name in SERVICES}
    assert all(each.inputs["disableOnDestroy"] is False for each in enabled)
    urns = {each.urn for each in enabled}
    for resource in cloud_resources(stack, "gcp"):
        if resource.urn not in urns:
            assert urns <= all_before(stack, resource), resource.urn
