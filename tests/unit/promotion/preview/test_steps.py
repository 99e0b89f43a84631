"""The canonical list of an update's steps: it shows what matters, and nothing else changes its digest."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest
from pulumi.automation.events import EngineEvent

from promotion.preview.planned import Plan, Preview, _resources  # pyright: ignore[reportPrivateUsage]
from promotion.preview.steps import digest_of_steps, steps_difference

RELEASE = "urn:pulumi:prod::addressbook::delivery:release:Release$delivery:release:Track$"
TYPE = "kubernetes:apps/v1:Deployment"
DEPLOYMENT = f"{RELEASE}{TYPE}::addressbook-stable"
TAG = "4dabf18193072939515e22adb298388d"
HIDDEN = {TAG: "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "[secret]"}
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


def step(
    operation: str,
    new: dict[str, Any] | None = None,
    old: dict[str, Any] | None = None,
    urn: str = DEPLOYMENT,
    type: str = TYPE,
    diff: tuple[str, ...] = (),
) -> dict[str, Any]:
    state = {"type": type, "urn": urn, "id": "1", "parent": "", "provider": "", "outputs": {}}
    metadata = {
        "op": operation,
        "urn": urn,
        "type": type,
        "provider": "",
        "new": None if new is None else {**state, "inputs": new},
        "old": None if old is None else {**state, "inputs": old},
        "detailedDiff": {path: {"diffKind": "update", "inputDiff": True} for path in diff},
    }
    return {"resourcePreEvent": {"metadata": metadata}}


def planned(*events: dict[str, Any]) -> Plan:
    preview = Preview()
    for number, event in enumerate(events):
        preview.event(EngineEvent.from_json({"sequence": number, "timestamp": 1_800_000_000 + number, **event}))
    return preview.plan("addressbook", "prod", {}, "")


def deployment(replicas: object, image: str = "a") -> dict[str, Any]:
    return {"spec": {"replicas": replicas, "template": {"spec": {"containers": [{"image": image}]}}}}


def test_update_lists_changed_paths_with_both_values():
    plan = planned(step("update", deployment(2, "b"), deployment(3, "a"), diff=("spec.replicas",)))
    assert plan.steps == (
        f"update {DEPLOYMENT}",
        "  spec.replicas: 3 -> 2",
        '  spec.template.spec.containers[0].image: "a" -> "b"',
    )


def test_create_lists_all_inputs():
    assert planned(step("create", {"data": {"a.b": "x\ny"}, "tags": [], "name": "é"})).steps == (
        f"create {DEPLOYMENT}",
        '  data["a.b"]: "x\\ny"',
        '  name: "é"',
        "  tags: []",
    )


def test_delete_and_unchanged_resources_have_no_properties():
    same = step("same", deployment(3), deployment(3), urn=f"{RELEASE}{TYPE}::other")
    assert planned(same, step("delete", old=deployment(3))).steps == (f"delete {DEPLOYMENT}",)


def test_property_that_appears_or_goes_is_none_on_one_side():
    assert planned(step("replace", {"a": 1}, {"b": 2})).steps == (
        f"replace {DEPLOYMENT}",
        "  a: (none) -> 1",
        "  b: 2 -> (none)",
    )


def test_secret_values_never_appear_but_their_change_does():
    plan = planned(
        step("create", {"data": {"password": HIDDEN}}, urn=f"{RELEASE}kubernetes:core/v1:Secret::a"),
        step("update", {"data": HIDDEN, "x": 1}, {"data": HIDDEN, "x": 0}, diff=("data.password", "x")),
    )
    assert plan.steps == (
        f"update {DEPLOYMENT}",
        "  data.password: changed",
        "  x: 0 -> 1",
        f"create {RELEASE}kubernetes:core/v1:Secret::a",
        "  data.password: [secret]",
    )
    assert HIDDEN[TAG] not in json.dumps(plan.steps)


def test_value_unknown_at_preview_is_marked():
    assert planned(step("create", {"image": UNKNOWN})).steps[1] == "  image: [unknown]"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"replicas": 3}, {"replicas": 3.0}),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({"name": "db-1a2b", "__defaults": ["name"]}, {"name": "db-3c4d", "__defaults": ["name"]}),
        (
            {"metadata": {"name": "migrate-1a", "annotations": {"pulumi.com/autonamed": "true"}}},
            {"metadata": {"name": "migrate-2b", "annotations": {"pulumi.com/autonamed": "true"}}},
        ),
        ({"__provider": "pickle of 3.11"}, {"__provider": "pickle of 3.12"}),
        (
            {"file": {TAG: "c44067f5952c0a294b673a41bacd8c17", "hash": "1", "path": "/home/me/a"}},
            {"file": {TAG: "c44067f5952c0a294b673a41bacd8c17", "hash": "1", "path": "/builds/a"}},
        ),
    ],
    ids=[
        "number",
        "order",
        "name that the provider chose",
        "name of a Kubernetes object",
        "provider's note",
        "path of a file",
    ],
)
def test_noise_does_not_change_the_digest(first: dict[str, Any], second: dict[str, Any]):
    assert planned(step("create", first)).digest == planned(step("create", second)).digest


def test_plugin_and_kubeconfig_path_do_not_change_the_digest():
    kind = "pulumi:providers:kubernetes"
    urn = f"urn:pulumi:prod::addressbook::{kind}::kubernetes"

    def provider(version: str) -> Plan:
        new = {"context": "prod", "version": version, "pluginDownloadURL": f"https://example.com/{version}"}
        return planned(step("create", new, urn=urn, type=kind))

    assert provider("4.1.0").digest == provider("4.2.0").digest
    new, old = ({"version": each, "kubeconfig": f"/home/{each}/config"} for each in ("4.2.0", "4.1.0"))
    assert planned(step("update", new, old, urn, kind, ("version", "kubeconfig"))).steps == ()


def test_order_of_events_does_not_change_the_digest():
    steps = [step("create", {"n": n}, urn=f"{RELEASE}{TYPE}::{n}") for n in range(5)]
    assert planned(*steps).digest == planned(*reversed(steps)).digest


@pytest.mark.parametrize(
    "other",
    [
        step("update", deployment(2), deployment(5)),
        step("update", deployment(2, "b"), deployment(3)),
        step("replace", deployment(2), deployment(3)),
        step("update", deployment(2), deployment(3), urn=f"{DEPLOYMENT}-2"),
    ],
    ids=["scaled by hand", "another image", "another operation", "another resource"],
)
def test_other_steps_have_another_digest(other: dict[str, Any]):
    plan = planned(step("update", deployment(2), deployment(3)))
    assert planned(other).digest != plan.digest
    assert planned(step("update", deployment(2), deployment(3)), other).digest != plan.digest


def test_failed_preview_has_no_digest():
    error = {"diagnosticEvent": {"message": "the config is wrong", "severity": "error", "color": "raw"}}
    assert planned(step("create", {}), error).digest == ""


def test_digest_is_that_of_the_lines_in_a_shell():
    steps = planned(step("update", deployment(2, "é"), deployment(3))).steps
    done = subprocess.run("sha256sum", input="".join(f"{line}\n" for line in steps).encode(), capture_output=True)
    assert digest_of_steps(steps) == f"sha256:{done.stdout.decode().split()[0]}"


def test_difference_shows_both_lists_whole():
    same = [f"create {n}" for n in range(20)]
    reviewed, now = [*same, "update a", "  n: 1 -> 2"], [*same, "update a", "  n: 1 -> 3"]
    assert steps_difference(reviewed, now).splitlines()[3:] == [
        *(f" {line}" for line in same),
        " update a",
        "-  n: 1 -> 2",
        "+  n: 1 -> 3",
    ]


def test_diff_omits_the_steps_of_the_refresh():
    diff = """Previewing update (prod):
~ pulumi:pulumi:Stack: (refresh)
    [urn=urn:pulumi:prod::addressbook::pulumi:pulumi:Stack::addressbook-prod]
        ~ kubernetes:core/v1:PersistentVolumeClaim: (refresh)
          ~ phase: "Pending" => "Bound"
  pulumi:pulumi:Stack: (same)
    [urn=urn:pulumi:prod::addressbook::pulumi:pulumi:Stack::addressbook-prod]
        ~ kubernetes:apps/v1:Deployment: (update)
          ~ replicas: 2 => 1
Resources:
    ~ 1 to update"""
    lines = _resources(diff).splitlines()
    assert lines[0] == "  pulumi:pulumi:Stack: (same)"
    assert lines[-1] == "          ~ replicas: 2 => 1"
    assert _resources(diff.replace("(refresh)", "(create)")).startswith("~ pulumi:pulumi:Stack: (create)")
