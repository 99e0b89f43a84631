"""Where a stack stands, by the engine's state, and what becomes of operations that were cut off."""

from __future__ import annotations

from typing import Any

import pytest

from promotion.errors import CommandError
from promotion.state.stack_state import read_stack_state, settled

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


def test_a_stack_that_was_never_up():
    found = read_stack_state({})
    assert (found.tracks, found.parts, found.interrupted) == ({}, frozenset(), [])


def test_what_each_track_was_told_to_run():
    found = read_stack_state({"resources": [track("stable"), deployment("stable"), track("canary")]})
    assert found.tracks["stable"].image == IMAGE
    assert found.tracks["stable"].digest == f"sha256:{'a' * 64}"
    assert found.parts == {"stable", "canary"}, "of the canary there is something, but it is not up"
    assert set(found.tracks) == {"stable"}


def test_a_deployment_on_its_way_out_is_no_track():
    assert not read_stack_state({"resources": [deployment("canary", delete=True)]}).tracks


def test_nothing_was_cut_off():
    assert settled({"resources": [deployment("stable")], "pending_operations": []}) is None


def test_a_creation_that_was_cut_off_is_looked_for_by_name():
    state = {"resources": [deployment("stable")], "pending_operations": [creating(deployment("canary"))]}
    after = settled(state)
    assert after is not None
    assert after["pending_operations"] == []
    stable, canary = after["resources"]
    assert stable == deployment("stable")
    assert canary["id"] == "shop/addressbook-canary"
    assert canary["outputs"] == canary["inputs"], "until the refresh has read what is there"


def test_the_one_that_was_to_be_replaced_goes_when_the_new_one_is_in_place():
    state = {"resources": [deployment("stable", id="shop/old")], "pending_operations": [creating(deployment("stable"))]}
    after = settled(state)
    assert after is not None
    assert [each.get("delete", False) for each in after["resources"]] == [True, False]


def test_what_is_in_no_namespace_is_known_by_its_name_alone():
    space = {"urn": "urn::namespace", "type": "kubernetes:core/v1:Namespace", "inputs": {"metadata": {"name": "shop"}}}
    after = settled({"pending_operations": [creating(space)]})
    assert after is not None
    assert after["resources"][0]["id"] == "shop"


@pytest.mark.parametrize("kind", ["updating", "deleting", "reading"])
def test_other_operations_are_found_by_the_refresh(kind: str):
    state = {
        "resources": [deployment("stable")],
        "pending_operations": [{**creating(deployment("stable")), "type": kind}],
    }
    assert settled(state) == {"resources": [deployment("stable")], "pending_operations": []}


def test_a_password_or_an_image_is_simply_made_again():
    made = [
        {"urn": "urn::password", "type": "random:index/randomPassword:RandomPassword", "inputs": {}},
        {"urn": "urn::source", "type": "docker:index/image:Image", "inputs": {}},
    ]
    assert settled({"pending_operations": [creating(each) for each in made]}) == {
        "resources": [],
        "pending_operations": [],
    }


def test_a_clouds_cluster_is_left_to_a_person():
    cluster = {
        "urn": "urn:pulumi:prod::addressbook::digitalocean:index/kubernetesCluster:KubernetesCluster::cluster",
        "type": "digitalocean:index/kubernetesCluster:KubernetesCluster",
        "inputs": {"name": "prod"},
    }
    with pytest.raises(CommandError, match=r"creating KubernetesCluster cluster was cut off.*--clear-pending-creates"):
        settled({"pending_operations": [creating(cluster)]})


def test_what_is_in_kubernetes_is_named_too_where_a_person_clears_the_notes():
    cluster = {"urn": "urn::nodes", "type": "aws:eks/nodeGroup:NodeGroup", "inputs": {}}
    with pytest.raises(
        CommandError, match="creating NodeGroup nodes, Deployment addressbook-canary was cut off"
    ) as raised:
        settled({"pending_operations": [creating(cluster), creating(deployment("canary"))]})
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
def test_how_to_take_it_in_is_said_with_its_place_in_the_stack(provider: str, option: str):
    nodes = {
        "urn": "urn:pulumi:prod::shop::delivery:aws:Cluster$aws:eks/nodeGroup:NodeGroup::nodes",
        "type": "aws:eks/nodeGroup:NodeGroup",
        "parent": "urn:pulumi:prod::shop::delivery:aws:Cluster::a$b",
        "provider": provider,
        "inputs": {},
    }
    with pytest.raises(CommandError) as raised:
        settled({"pending_operations": [creating(nodes)]})
    command = (
        "`pulumi import aws:eks/nodeGroup:NodeGroup nodes ID"
        f" --parent=parent='urn:pulumi:prod::shop::delivery:aws:Cluster::a$b'{option} --protect=false`"
    )
    assert command in str(raised.value)
