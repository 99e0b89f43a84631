"""The APIs of the project."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import pulumi
import pytest

from components.gcp import services
from components.gcp.services import SERVICES
from tests.unit.components.gcp.simulated import LISTS, REGIONS
from tests.unit.components.graphs import all_before, cloud_resources

#: As Google words it, for minutes after an API is enabled.
DISABLED = "googleapi: Error 403: Cloud SQL Admin API has not been used in project acme-prod-1 before or it is disabled"


class Refusal(grpc.RpcError):
    """A function's failure as the engine reports it."""

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNKNOWN

    def details(self) -> str:
        return f"invocation of getTiers returned an error: {DISABLED}."


def test_resource_manager_is_enabled_before_the_other_apis(graph: Callable[..., Any]):
    first, *others = [each for each in graph().all("Service") if each.type.startswith("gcp:")]
    assert first.inputs["service"] == "cloudresourcemanager.googleapis.com"
    assert all(first.urn in each.dependencies for each in others)


def test_resources_wait_until_each_api_answers(graph: Callable[..., Any], cloud: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(services, "POLL_SECONDS", 0.01)
    events: list[str] = []
    cloud.computed["gcp:compute/network:Network"] = lambda args: events.append("network") or {}

    def refuse_twice(_: Any) -> dict[str, Any]:
        events.append("asked")
        if events.count("asked") < 3:
            raise Refusal
        return {}

    cloud.functions["gcp:sql/getTiers:getTiers"] = refuse_twice
    graph()
    assert events == ["asked", "asked", "asked", "network"]


def test_an_api_that_never_answers_is_reported(graph: Callable[..., Any], cloud: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(services, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(services, "USABLE_SECONDS", 0)

    def refuse(_: Any) -> dict[str, Any]:
        raise Refusal

    cloud.functions["gcp:sql/getTiers:getTiers"] = refuse
    with pytest.raises(pulumi.RunError, match=r"still refuses requests after 0 seconds .*Cloud SQL Admin API"):
        graph()


def test_a_new_projects_region_is_checked_before_the_network(graph: Callable[..., Any], cloud: Any):
    created: list[str] = []
    cloud.computed["gcp:compute/network:Network"] = lambda args: created.append(args.name) or {}
    asked: list[Any] = []

    def enabled_meanwhile(arguments: Any) -> dict[str, Any]:
        asked.append(arguments)
        if len(asked) == 1:
            raise Refusal
        return {"names": ["europe-west3"]}

    cloud.functions[REGIONS] = enabled_meanwhile
    cloud.functions["gcp:projects/getProjectService:getProjectService"] = lambda _: {}
    with pytest.raises(pulumi.RunError, match=r"region = 'europe-wset3': Google Cloud has no such region"):
        graph(region="europe-wset3")
    assert created == []


def test_a_preview_asks_no_api_whether_it_answers(first_preview: Callable[[], Any]):
    _, calls = first_preview()
    assert not set(LISTS) & set(calls)
    assert calls[REGIONS] == 1


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
