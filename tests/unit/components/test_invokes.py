"""A function that the cloud refuses becomes a one-sentence error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import pulumi
import pytest

from tests.unit.components.aws.simulated import AWS
from tests.unit.components.digitalocean.simulated import DIGITALOCEAN
from tests.unit.components.simulated import SimulatedCloud


class Refusal(grpc.RpcError):
    """A function's failure as the engine reports it."""

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNKNOWN

    def details(self) -> str:
        return "invocation of it returned an error: 1 error occurred:\n\t* 404 there is no such thing.\n\n"


ANSWERS = [
    (
        DIGITALOCEAN,
        "digitalocean:index/getContainerRegistry:getContainerRegistry",
        {"registry": "nowhere"},
        "registry 'nowhere': 1 error occurred: * 404 there is no such thing; set the config key `registry`",
    ),
    (
        DIGITALOCEAN,
        "digitalocean:index/getDatabaseCa:getDatabaseCa",
        {},
        "certificate of the database's authority: 1 error occurred: * 404 there is no such thing; run the command",
    ),
    (AWS, "aws:index/getAvailabilityZones:getAvailabilityZones", {}, "availability zones of the region: 1 error"),
    (AWS, "aws:eks/getClusterVersions:getClusterVersions", {}, "Kubernetes versions of EKS: 1 error"),
    (AWS, "aws:rds/getInstances:getInstances", {}, "database servers of the account: 1 error"),
    (AWS, "aws:eks/getAddonVersion:getAddonVersion", {}, "version of the add-on "),
    (AWS, "aws:ecr/getAuthorizationToken:getAuthorizationToken", {}, "login to the registry: 1 error"),
]


@pytest.fixture
def simulated(request: pytest.FixtureRequest) -> SimulatedCloud:
    return request.param


@pytest.mark.parametrize(
    ("simulated", "function", "config", "message"), ANSWERS, indirect=["simulated"], ids=[row[1] for row in ANSWERS]
)
def test_a_refused_function_is_one_sentence(
    graph: Callable[..., Any], cloud: Any, function: str, config: dict[str, str], message: str
):
    def refuse(_: Any) -> Any:
        raise Refusal

    cloud.functions[function] = refuse
    with pytest.raises(pulumi.RunError) as raised:
        graph(**config)
    assert str(raised.value).startswith(f"stack `test`: {message}")
    assert "\n" not in str(raised.value)
