"""What is the same in the resource graph of every cloud."""

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
from tests.unit.components.graphs import foretells, in_component, leaves, made_in, protected, short
from tests.unit.components.simulated import SimulatedCloud

DIGEST = "sha256:" + "cd" * 32
ELSEWHERE = f"registry.example/team/addressbook@{DIGEST}"
#: What a release exports from its config, and so before anything is there.
KNOWN = {"service", "traffic", "tracks.stable.replicas", "tracks.stable.share"}


@pytest.fixture(params=CLOUDS, ids=lambda cloud: cloud.name)
def simulated(request: pytest.FixtureRequest) -> SimulatedCloud:
    return request.param


@pytest.fixture
def release(graph: Callable[..., Any], simulated: SimulatedCloud, cloud: Any) -> Callable[..., Any]:
    """The graph of a stack on the platform of another stack with those outputs."""

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


@pytest.mark.parametrize("changed", [{}, {"highAvailability": True}], ids=["as it is", "highly available"])
def test_nothing_deprecated_is_declared(
    graph: Callable[..., Any], simulated: SimulatedCloud, monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any]
):
    """The SDKs tell of deprecated resources, functions and properties as they are used, and in no other way."""
    told: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", lambda text, *_, **__: told.append(text))
    graph(**changed, **simulated.extra)
    assert [text for text in told if "deprecated" in text] == []


def test_production_is_protected_and_a_throw_away_stack_is_not(graph: Callable[..., Any], simulated: SimulatedCloud):
    made = graph()
    assert protected(made) == simulated.protected
    assert made.one("Service", "addressbook-lb").options.protect, "destroy begins here, so here it must be refused"
    assert protected(graph(deletionProtection=False)) == set()


def test_workloads_survive_new_credentials(graph: Callable[..., Any], simulated: SimulatedCloud):
    made = graph()
    (provider,) = made.all("kubernetes")
    assert provider.inputs["clusterIdentifier"] == simulated.access.cluster
    workloads = [each for each in made.resources if each.type.startswith("kubernetes:")]
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


def test_secrets_are_marked_wherever_they_go(graph: Callable[..., Any], simulated: SimulatedCloud):
    seen: set[str] = set()
    for resource in graph().resources:
        for path, value in leaves(resource.inputs):
            text = str(value)
            for secret in simulated.secrets | simulated.kept_back:
                if secret in text or base64.b64encode(secret.encode()).decode() in text:
                    seen.add(secret)
                    assert any(path.startswith(known) for known in resource.secret_paths), (resource.urn, path)
    assert seen == simulated.secrets


def test_images_are_pushed_to_the_stacks_registry(graph: Callable[..., Any], simulated: SimulatedCloud):
    image = graph().one("Image").inputs
    assert image["imageName"].startswith(f"{simulated.access.repository}:src-")
    assert image["registry"] == simulated.access.push


def test_images_of_another_registry_are_copied_to_the_stacks(
    graph: Callable[..., Any], simulated: SimulatedCloud, account: Path
):
    tool = account / "regctl"
    tool.write_text("#!/bin/sh\nexit 1\n")
    tool.chmod(0o755)
    made = graph(stableImage=ELSEWHERE)
    copy, push = made.one("ImageCopy"), simulated.access.push
    assert copy.inputs["source"] == ELSEWHERE
    assert copy.inputs["repository"] == simulated.access.repository
    assert copy.inputs["username"] == push["username"]
    assert copy.inputs["password"] == push["password"]
    assert "password" in copy.secret_paths
    (container,) = made.one("Deployment").inputs["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"{simulated.access.repository}@{DIGEST}"


def test_outputs(graph: Callable[..., Any], simulated: SimulatedCloud):
    made = graph()
    for name, value in simulated.outputs.items():
        assert made.outputs[name] == value, name
    assert made.outputs["kubeconfig"] == made.one("kubernetes").inputs["kubeconfig"]


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


def test_a_preview_of_an_empty_stack_knows_the_whole_graph_and_only_what_the_config_says(
    graph: Callable[..., Any], first_preview: Callable[[], Any], simulated: SimulatedCloud
):
    updated = graph()
    made, asked = first_preview()
    inputs = {resource.urn: resource.inputs for resource in updated.resources}
    assert {resource.urn for resource in made.resources} == inputs.keys()
    assert [each.urn for each in made.resources if not foretells(each.inputs, inputs[each.urn])] == []
    assert asked == simulated.first_preview.asked, "a function was asked for what is not there yet"
    for kind, path in simulated.first_preview.unknown:
        (resource,) = [each for each in made_in(made, simulated.name) if short(each) == kind]
        assert isinstance(resource.inputs[path], Unknown), kind
    assert isinstance(made.one("Secret", "db-params").inputs["data"], Unknown)
    assert isinstance(made.one("kubernetes").inputs["kubeconfig"], Unknown)

    assert made.outputs.keys() == updated.outputs.keys()
    assert foretells(made.outputs, updated.outputs)
    known = {path for path, value in leaves(made.outputs) if not isinstance(value, Unknown)}
    assert known == KNOWN | simulated.first_preview.outputs
    assert not [path for path, value in leaves(updated.outputs) if isinstance(value, Unknown)]


def test_a_release_stack_takes_up_what_the_platform_hands_over(
    graph: Callable[..., Any], release: Callable[..., Any], simulated: SimulatedCloud
):
    platform = dict(graph().outputs)
    made = release(platform)
    assert [each.type for each in made_in(made, simulated.name)] == list(simulated.made_by_a_release)
    provider = made.all("kubernetes")[0].inputs
    assert provider["kubeconfig"] == platform["kubeconfig"]
    assert provider["clusterIdentifier"] == simulated.access.cluster
    image = made.one("Image")
    assert image.inputs["imageName"].startswith(f"{simulated.access.repository}:")
    assert image.inputs["registry"] == simulated.access.push
    assert image.secret_paths & {"registry", "registry.password"}
    final = made.one("CleanupOnDestroy")
    assert final.inputs["kubeconfig"] == platform["kubeconfig"]
    assert final.options.protect, "a release's data is as safe as a platform's"
    assert made.outputs["databaseName"] == "release_branch_one"
    throw_away = release(platform, deletionProtection=False)
    assert not [each.urn for each in throw_away.resources if each.options.protect]
