"""The account's container registry."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from components.digitalocean.registry import docker_login
from tests.unit.components.digitalocean.simulated import AUTH


def test_credentials_to_push_with_expire(graph: Callable[..., Any]):
    stack = graph()
    credentials = stack.one("ContainerRegistryDockerCredentials")
    assert credentials.inputs["write"] is True
    assert credentials.inputs["expirySeconds"] < 366 * 24 * 3600
    assert stack.one("ContainerRegistry").urn in stack.one("KubernetesCluster").dependencies


def test_an_existing_registry_is_used_and_not_owned(graph: Callable[..., Any]):
    stack = graph(registry="ours")
    assert not stack.all("ContainerRegistry")
    assert stack.one("ContainerRegistryDockerCredentials").inputs["registryName"] == "ours"
    assert stack.outputs["registryUrl"] == "registry.digitalocean.com/ours"


def test_the_provider_chooses_the_region_if_it_has_no_registry(graph: Callable[..., Any]):
    assert graph(region="fra1").one("ContainerRegistry").inputs["region"] == "fra1"
    assert "region" not in graph(region="lon1").one("ContainerRegistry").inputs


def test_docker_login_reads_the_only_entry():
    assert docker_login(json.dumps({"auths": {"any.example": {"auth": AUTH}}})) == ("robot", "push-token")
