"""The account's container registry."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pulumi
import pytest
from pulumi.output import Unknown

from components.digitalocean.registry import docker_login
from tests.unit.components.digitalocean.simulated import AUTH, CLUSTER, PULL_CONFIG, answer
from tests.unit.conftest import IMAGE_DIGEST


def test_the_state_keeps_no_login_for_pushing(graph: Callable[..., Any]):
    """Only a refresh would renew it, so a plain update would fail to push once it has expired."""
    stack = graph()
    credentials = stack.one("ContainerRegistryDockerCredentials")
    assert credentials.inputs["write"] is False
    assert credentials.inputs["expirySeconds"] == 1_576_800_000, "pods pull long after the last update"
    assert [each.name for each in credentials.options.aliases[0:1] for each in [each.spec]] == ["push"]
    assert stack.one("ContainerRegistry").urn in stack.one("KubernetesCluster").dependencies


def test_an_existing_registry_is_used_and_not_owned(graph: Callable[..., Any]):
    stack = graph(registry="ours")
    assert not stack.all("ContainerRegistry")
    assert stack.one("ContainerRegistryDockerCredentials").inputs["registryName"] == "ours"
    assert stack.outputs["registryUrl"] == "registry.digitalocean.com/ours"


def test_a_registry_that_does_not_exist_has_no_login_yet(graph: Callable[..., Any], account: Path, cloud: Any):
    """A first preview knows the registry's name, but not what the provider computes."""
    answer(account, **{"registries docker-config": None})
    kind = "digitalocean:index/containerRegistry:ContainerRegistry"
    cloud.computed[kind] = lambda _: {"endpoint": Unknown()}
    cloud.computed["docker:index/image:Image"] = lambda _: {"repoDigest": f"registry/addressbook@{IMAGE_DIGEST}"}
    assert graph(preview=True).one("ContainerRegistry")


def test_pods_bring_their_own_login_to_pull(graph: Callable[..., Any]):
    """The integration's login comes to a new namespace later than its first pods."""
    stack = graph()
    secret = stack.one("Secret", "registry")
    assert secret.inputs["stringData"] == {".dockerconfigjson": PULL_CONFIG}
    assert secret.secret_paths & {"stringData", "stringData..dockerconfigjson"}
    workloads = [each for each in stack.resources if each.type.endswith((":Deployment", ":Job"))]
    pods = [each.inputs["spec"]["template"]["spec"] for each in workloads]
    assert len(pods) == 3, "the track, its migration, and the database's rights"
    assert [pod["imagePullSecrets"] for pod in pods] == [[{"name": "registry"}]] * 3


def test_the_accounts_plan_is_left_alone(graph: Callable[..., Any]):
    registry = graph(registryPlan="professional").one("ContainerRegistry")
    assert registry.inputs["subscriptionTierSlug"] == "professional"
    assert list(registry.options.ignoreChanges) == ["subscriptionTierSlug"]


def test_a_registry_name_is_asked_for_first(
    graph: Callable[..., Any], account: Path, api: list[tuple[str, Any]], monkeypatch: pytest.MonkeyPatch
):
    graph(registryName="free")
    assert api == [("/v2/registry/validate-name", {"name": "free"})]
    with pytest.raises(pulumi.RunError, match="registryName = 'taken': another account has a container registry"):
        graph(registryName="taken")
    answer(account, registries_list=[{"name": "taken"}])
    assert graph(registryName="taken").one("ContainerRegistry").inputs["name"] == "taken", "an interrupted `up`"
    del api[:]
    answer(account, kubernetes_cluster_list=[CLUSTER])
    graph(registryName="taken")
    assert api == [], "the registry exists"


def test_nothing_is_made_before_the_registry(graph: Callable[..., Any]):
    stack = graph()
    assert stack.one("ContainerRegistry").urn in stack.one("Vpc").dependencies


@pytest.fixture
def api(account: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, Any]]]:
    """Provide an API that answers 409 for the registry name `taken`; return the requests that it gets."""
    requests: list[tuple[str, Any]] = []

    class Api(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            requests.append((self.path, body))
            self.send_response(409 if body["name"] == "taken" else 204)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            del format, args

    server = HTTPServer(("127.0.0.1", 0), Api)
    Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("DIGITALOCEAN_API_URL", f"http://127.0.0.1:{server.server_port}")
    yield requests
    server.shutdown()


def test_the_provider_chooses_the_region_if_it_has_no_registry(graph: Callable[..., Any]):
    assert graph(region="fra1").one("ContainerRegistry").inputs["region"] == "fra1"
    assert "region" not in graph(region="lon1").one("ContainerRegistry").inputs


def test_docker_login_reads_the_only_entry():
    assert docker_login({"auths": {"any.example": {"auth": AUTH}}}) == ("robot", "push-token")
