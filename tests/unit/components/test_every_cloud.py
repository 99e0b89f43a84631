"""The resource graph that all clouds share."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi.output import Unknown

from stacks.platform_reference import READ_OUTPUTS
from tests.unit.components.clouds import CLOUDS
from tests.unit.components.graphs import (
    cloud_resources,
    in_component,
    leaves,
    pod_templates,
    predicts,
    protected,
    short,
)
from tests.unit.components.simulated import SimulatedCloud

DIGEST = "sha256:" + "cd" * 32
ELSEWHERE = f"registry.example/team/addressbook@{DIGEST}"
#: Outputs of a release that the config determines.
KNOWN = {"service", "traffic", "tracks.stable.replicas", "tracks.stable.share"}


@pytest.fixture(params=CLOUDS, ids=lambda cloud: cloud.name)
def simulated(request: pytest.FixtureRequest) -> SimulatedCloud:
    return request.param


@pytest.fixture
def release(graph: Callable[..., Any], simulated: SimulatedCloud, cloud: Any) -> Callable[..., Any]:
    """Provide a function that returns the graph of a release stack on a platform with given outputs."""

    def on(platform: dict[str, Any], **changed: Any) -> Any:
        answer = {"name": "prod", "outputs": platform, "secretOutputNames": []}
        cloud.functions[READ_OUTPUTS] = lambda args: {**answer, "name": args["name"]}
        return graph(
            platformStack="prod", namespace="branch-one", **dict.fromkeys(simulated.of_platform, ""), **changed
        )

    return on


def test_every_resource_belongs_to_a_component(graph: Callable[..., Any], simulated: SimulatedCloud):
    for resource in graph(**simulated.extra).resources:
        if resource.custom and not resource.type.endswith((":Namespace", "providers:aws")):
            assert in_component(resource), resource.urn


def test_no_pod_can_fill_the_disk_of_its_node(graph: Callable[..., Any], simulated: SimulatedCloud):
    pods = pod_templates(graph(canaryImage="source", canaryReplicas=1, ephemeralStorage="300Mi", **simulated.extra))
    assert len(pods) >= 3
    for name, pod in pods:
        for container in pod["containers"]:
            resources = container["resources"]
            assert resources["limits"]["ephemeral-storage"] == resources["requests"]["ephemeral-storage"], name
        for volume in pod["volumes"]:
            assert "emptyDir" not in volume or volume["emptyDir"] == {"sizeLimit": "300Mi"}, name


@pytest.mark.parametrize("changed", [{}, {"highAvailability": True}], ids=["as it is", "highly available"])
def test_no_deprecated_resource_is_declared(
    graph: Callable[..., Any], simulated: SimulatedCloud, monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any]
):
    """The SDKs warn about a deprecated resource, function or property when it is used."""
    warnings: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", lambda text, *_, **__: warnings.append(text))
    graph(**changed, **simulated.extra)
    assert [text for text in warnings if "deprecated" in text] == []


def test_deletion_protection_protects_data_and_entrance(graph: Callable[..., Any], simulated: SimulatedCloud):
    stack = graph()
    assert protected(stack) == simulated.protected
    assert stack.one("Service", "addressbook-lb").options.protect, "destroy deletes this first, so it must stop here"
    assert protected(graph(deletionProtection=False)) == set()


def test_new_credentials_do_not_replace_workloads(graph: Callable[..., Any], simulated: SimulatedCloud):
    stack = graph()
    (provider,) = stack.all("kubernetes")
    assert provider.inputs["clusterIdentifier"] == simulated.access.cluster
    workloads = [each for each in stack.resources if each.type.startswith("kubernetes:")]
    assert workloads
    for resource in workloads:
        assert resource.provider.startswith(provider.urn), resource.urn


def test_the_kubeconfig_holds_no_credentials(graph: Callable[..., Any], simulated: SimulatedCloud):
    (provider,) = graph().all("kubernetes")
    text = provider.inputs["kubeconfig"]
    kubeconfig = json.loads(text)
    (cluster,), (user,) = kubeconfig["clusters"], kubeconfig["users"]
    assert kubeconfig["current-context"] == simulated.outputs["clusterName"]
    assert cluster["cluster"] == {
        "server": simulated.outputs["clusterEndpoint"],
        "certificate-authority-data": "Y2E=",
    }
    assert user["user"].keys() == {"exec"}
    command = [user["user"]["exec"]["command"], *user["user"]["exec"]["args"]]
    assert " ".join(command) == simulated.access.kubeconfig_command
    for secret in simulated.secrets | simulated.kept_back:
        assert secret not in text
    assert "kubeconfig" in provider.secret_paths


def test_secrets_are_marked_in_every_resource(graph: Callable[..., Any], simulated: SimulatedCloud):
    seen: set[str] = set()
    for resource in graph().resources:
        for path, value in leaves(resource.inputs):
            text = str(value)
            for secret in simulated.secrets | simulated.kept_back:
                if secret in text or base64.b64encode(secret.encode()).decode() in text:
                    seen.add(secret)
                    assert any(path.startswith(secret_path) for secret_path in resource.secret_paths), (
                        resource.urn,
                        path,
                    )
    assert seen == simulated.secrets


def test_pods_spread_over_nodes_and_zones_with_labels(
    graph: Callable[..., Any], release: Callable[..., Any], simulated: SimulatedCloud
):
    """Kubernetes' scheduler ignores a node that lacks the label of any constraint, as on DigitalOcean."""
    zones = [] if simulated.name == "digitalocean" else ["topology.kubernetes.io/zone"]
    platform = graph()
    for stack in (platform, release(dict(platform.outputs))):
        constraints = stack.one("Deployment").inputs["spec"]["template"]["spec"]["topologySpreadConstraints"]
        assert [each["topologyKey"] for each in constraints] == [*zones, "kubernetes.io/hostname"]
        assert {each["whenUnsatisfiable"] for each in constraints} == {"ScheduleAnyway"}, "a zone may be down"


def test_images_are_pushed_to_the_stacks_registry(graph: Callable[..., Any], simulated: SimulatedCloud):
    image = graph().one("Image").inputs
    assert image["imageName"].startswith(f"{simulated.access.repository}:src-")
    assert image["registry"] == simulated.access.push


def test_images_are_copied_to_the_stacks_registry(graph: Callable[..., Any], simulated: SimulatedCloud, account: Path):
    tool = account / "regctl"
    tool.write_text("#!/bin/sh\nexit 1\n")
    tool.chmod(0o755)
    stack = graph(stableImage=ELSEWHERE)
    copy, push = stack.one("ImageCopy"), simulated.access.push
    assert copy.inputs["source"] == ELSEWHERE
    assert copy.inputs["repository"] == simulated.access.repository
    assert copy.inputs["username"] == push["username"]
    assert copy.inputs["password"] == push["password"]
    assert "password" in copy.secret_paths
    (container,) = stack.one("Deployment").inputs["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"{simulated.access.repository}@{DIGEST}"


def test_outputs(graph: Callable[..., Any], simulated: SimulatedCloud):
    stack = graph()
    for name, value in simulated.outputs.items():
        assert stack.outputs[name] == value, name
    assert stack.outputs["kubeconfig"] == stack.one("kubernetes").inputs["kubeconfig"]


def test_secret_outputs_are_secret(graph: Callable[..., Any]):
    graph()
    exported = dict(pulumi.runtime.get_root_resource().outputs)  # pyright: ignore[reportOptionalMemberAccess, reportAttributeAccessIssue]
    checked: list[str] = []

    @pulumi.runtime.test
    def look() -> Any:
        async def secret(name: str) -> None:
            assert await exported[name].is_secret(), name
            checked.append(name)

        return pulumi.Output.all(*[secret(name) for name in ("kubeconfig", "databasePassword")])

    look()
    assert checked == ["kubeconfig", "databasePassword"]


def test_the_first_preview_shows_the_graph_without_guesses(
    graph: Callable[..., Any], first_preview: Callable[[], Any], simulated: SimulatedCloud
):
    updated = graph()
    stack, calls = first_preview()
    inputs = {resource.urn: resource.inputs for resource in updated.resources}
    assert {resource.urn for resource in stack.resources} == inputs.keys()
    assert [each.urn for each in stack.resources if not predicts(each.inputs, inputs[each.urn])] == []
    assert calls == simulated.first_preview.calls, "a function was called for a resource that does not exist yet"
    for kind, path in simulated.first_preview.unknown:
        (resource,) = [each for each in cloud_resources(stack, simulated.name) if short(each) == kind]
        assert isinstance(resource.inputs[path], Unknown), kind
    assert isinstance(stack.one("Secret", "db-params").inputs["data"], Unknown)
    assert isinstance(stack.one("kubernetes").inputs["kubeconfig"], Unknown)

    assert stack.outputs.keys() == updated.outputs.keys()
    assert predicts(stack.outputs, updated.outputs)
    known = {path for path, value in leaves(stack.outputs) if not isinstance(value, Unknown)}
    assert known == KNOWN | simulated.first_preview.outputs
    assert not [path for path, value in leaves(updated.outputs) if isinstance(value, Unknown)]


def test_a_release_stack_uses_the_shared_platform(
    graph: Callable[..., Any], release: Callable[..., Any], simulated: SimulatedCloud
):
    platform = dict(graph().outputs)
    stack = release(platform)
    assert [each.type for each in cloud_resources(stack, simulated.name)] == list(simulated.release_resources)
    provider = stack.all("kubernetes")[0].inputs
    assert provider["kubeconfig"] == platform["kubeconfig"]
    assert provider["clusterIdentifier"] == simulated.access.cluster
    image = stack.one("Image")
    assert image.inputs["imageName"].startswith(f"{simulated.access.repository}:")
    assert image.inputs["registry"] == simulated.access.push
    assert image.secret_paths & {"registry", "registry.password"}
    cleanup = stack.one("CleanupOnDestroy")
    assert cleanup.inputs["kubeconfig"] == platform["kubeconfig"]
    assert cleanup.options.protect, "a release's data is protected like a platform's"
    assert stack.outputs["databaseName"] == "release_branch_one"
    unprotected = release(platform, deletionProtection=False)
    assert not [each.urn for each in unprotected.resources if each.options.protect]
