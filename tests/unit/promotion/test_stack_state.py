"""What the engine's state says about the tracks, and how interrupted operations are resolved."""

from __future__ import annotations

from typing import Any

import pytest

from promotion.errors import CommandError
from promotion.state.stack_state import StackState, resolve_pending, without_dependencies_on

IMAGE = f"registry.example/addressbook@sha256:{'a' * 64}"
RELEASE = "urn:pulumi:dev::addressbook::delivery:release:Release"


def deployment(track: str, image: Any = IMAGE, **more: Any) -> dict[str, Any]:
    name = f"addressbook-{track}"
    return {
        "urn": f"{RELEASE}$delivery:release:Track$kubernetes:apps/v1:Deployment::{name}",
        "type": "kubernetes:apps/v1:Deployment",
        "inputs": {
            "metadata": {"name": name, "namespace": "shop"},
            "spec": {"replicas": 2, "template": {"spec": {"containers": [{"image": image}]}}},
        },
        **more,
    }


def track(name: str) -> dict[str, Any]:
    return {"urn": f"{RELEASE}$delivery:release:Track::{name}", "type": "delivery:release:Track"}


def creating(resource: dict[str, Any]) -> dict[str, Any]:
    return {"type": "creating", "resource": resource}


def test_a_stack_that_was_never_updated():
    state = StackState.of({})
    assert (state.tracks, state.known_tracks, state.interrupted) == ({}, frozenset(), [])


def test_what_each_track_runs():
    state = StackState.of({"resources": [track("stable"), deployment("stable"), track("canary")]})
    assert state.tracks["stable"].image == IMAGE
    assert state.tracks["stable"].digest == f"sha256:{'a' * 64}"
    assert state.known_tracks == {"stable", "canary"}, "the canary is known, but has no Deployment"
    assert set(state.tracks) == {"stable"}


def test_a_deployment_being_deleted_is_no_track():
    assert not StackState.of({"resources": [deployment("canary", delete=True)]}).tracks


def test_no_pending_operations():
    assert resolve_pending({"resources": [deployment("stable")], "pending_operations": []}) is None


def test_an_interrupted_creation_is_found_by_name():
    state = {"resources": [deployment("stable")], "pending_operations": [creating(deployment("canary"))]}
    after = resolve_pending(state)
    assert after is not None
    assert after["pending_operations"] == []
    stable, canary = after["resources"]
    assert stable == deployment("stable")
    assert canary["id"] == "shop/addressbook-canary"
    assert canary["outputs"] == canary["inputs"], "until the refresh reads the object"


def test_a_replaced_object_is_deleted_after_the_new_one():
    state = {"resources": [deployment("stable", id="shop/old")], "pending_operations": [creating(deployment("stable"))]}
    after = resolve_pending(state)
    assert after is not None
    assert [each.get("delete", False) for each in after["resources"]] == [True, False]


def test_an_object_without_a_namespace_is_found_by_name():
    space = {"urn": "urn::namespace", "type": "kubernetes:core/v1:Namespace", "inputs": {"metadata": {"name": "shop"}}}
    after = resolve_pending({"pending_operations": [creating(space)]})
    assert after is not None
    assert after["resources"][0]["id"] == "shop"


@pytest.mark.parametrize("kind", ["updating", "deleting", "reading"])
def test_other_operations_are_left_to_the_refresh(kind: str):
    state = {
        "resources": [deployment("stable")],
        "pending_operations": [{**creating(deployment("stable")), "type": kind}],
    }
    assert resolve_pending(state) == {"resources": [deployment("stable")], "pending_operations": []}


def test_passwords_and_images_are_made_again():
    made = [
        {"urn": "urn::password", "type": "random:index/randomPassword:RandomPassword", "inputs": {}},
        {"urn": "urn::source", "type": "docker:index/image:Image", "inputs": {}},
    ]
    assert resolve_pending({"pending_operations": [creating(each) for each in made]}) == {
        "resources": [],
        "pending_operations": [],
    }


def test_a_clouds_cluster_is_left_to_a_person():
    cluster = {
        "urn": "urn:pulumi:prod::addressbook::digitalocean:index/kubernetesCluster:KubernetesCluster::cluster",
        "type": "digitalocean:index/kubernetesCluster:KubernetesCluster",
        "inputs": {"name": "prod"},
    }
    with pytest.raises(
        CommandError, match=r"creating KubernetesCluster cluster was interrupted.*--clear-pending-creates"
    ):
        resolve_pending({"pending_operations": [creating(cluster)]})


def test_kubernetes_objects_are_named_beside_a_cluster():
    cluster = {"urn": "urn::nodes", "type": "aws:eks/nodeGroup:NodeGroup", "inputs": {}}
    with pytest.raises(
        CommandError, match="creating NodeGroup nodes, Deployment addressbook-canary was interrupted"
    ) as raised:
        resolve_pending({"pending_operations": [creating(cluster), creating(deployment("canary"))]})
    for what in ("aws:eks/nodeGroup:NodeGroup nodes ID", "kubernetes:apps/v1:Deployment addressbook-canary shop/addr"):
        assert f"`pulumi import {what}" in str(raised.value)


@pytest.mark.parametrize(
    ("provider", "option"),
    [
        (
            "urn:pulumi:prod::shop::pulumi:providers:aws::aws::1234",
            " --provider=provider=urn:pulumi:prod::shop::pulumi:providers:aws::aws",
        ),
        ("urn:pulumi:prod::shop::pulumi:providers:aws::default_7_0_0::1234", ""),
    ],
)
def test_the_import_command_has_parent_and_provider(provider: str, option: str):
    nodes = {
        "urn": "urn:pulumi:prod::shop::delivery:aws:Cluster$aws:eks/nodeGroup:NodeGroup::nodes",
        "type": "aws:eks/nodeGroup:NodeGroup",
        "parent": "urn:pulumi:prod::shop::delivery:aws:Cluster::a$b",
        "provider": provider,
        "inputs": {},
    }
    with pytest.raises(CommandError) as raised:
        resolve_pending({"pending_operations": [creating(nodes)]})
    command = (
        "`pulumi import aws:eks/nodeGroup:NodeGroup nodes ID"
        f" --parent=parent='urn:pulumi:prod::shop::delivery:aws:Cluster::a$b'{option} --protect=false`"
    )
    assert command in str(raised.value)


def test_a_dependency_is_removed_from_every_resource():
    canary, other = "urn:canary", "urn:other"
    resources = [
        {"urn": canary, "dependencies": [other]},
        {"urn": "urn:stable", "dependencies": [canary, other], "propertyDependencies": {"spec": [canary], "id": None}},
    ]
    remaining = without_dependencies_on({"resources": resources, "manifest": {}}, canary)
    assert remaining is not None
    assert remaining == {
        "resources": [
            resources[0],
            {"urn": "urn:stable", "dependencies": [other], "propertyDependencies": {"spec": [], "id": []}},
        ],
        "manifest": {},
    }
    assert without_dependencies_on(remaining, canary) is None
