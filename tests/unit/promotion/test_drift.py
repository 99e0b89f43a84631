"""Differences between config, state and cluster."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from contract.project import declared_defaults
from promotion.state.history import Change, Update
from promotion.state.stack_file import StackFile
from promotion.status.drift import _drift_of, changed_fields, config_drift, kept_image, plural, unpinned

DEPLOYED = Update(
    number=1,
    time=datetime(2026, 1, 1, tzinfo=UTC),
    kind="update",
    message="up",
    result="succeeded",
    author="Ada",
    commit="f" * 40,
    edited=False,
    config={**declared_defaults(), "cloud": "local", "secretEnvironment": "[secret]"},
)


def file(tmp_path: Path, **config: str) -> StackFile:
    path = tmp_path / "Pulumi.dev.yaml"
    lines = [f"  addressbook:{key}: {value}\n" for key, value in {"cloud": "local", **config}.items()]
    path.write_text("config:\n" + "".join(lines))
    return StackFile(path)


def test_the_deployed_config_is_no_drift(tmp_path: Path):
    assert config_drift(file(tmp_path), DEPLOYED, "dev") == []


def test_an_undeployed_config_says_how_to_deploy_it(tmp_path: Path):
    (drift,) = config_drift(file(tmp_path, stableReplicas='"5"', memoryLimit="1Gi"), DEPLOYED, "dev")
    assert "stableReplicas: 3 -> 5, memoryLimit: 256Mi -> 1Gi" in drift.what
    assert drift.summary == "Pulumi.dev.yaml has changes that are not deployed: stableReplicas, memoryLimit"
    assert "promotion up --stack dev" in drift.remedy


def test_an_ignored_image_is_no_drift_and_is_kept(tmp_path: Path):
    """On staging, CI deploys an image before Git has it."""
    last = replace(DEPLOYED, config={**DEPLOYED.config, "stableImage": "registry/new"})
    behind = file(tmp_path, stableImage="registry/old")
    kept = kept_image(behind, last)
    assert config_drift(behind, last, "dev", ("stableImage",), kept) == []
    assert "stableImage" in config_drift(behind, last, "dev")[0].what
    (drift,) = config_drift(file(tmp_path, stableReplicas='"5"'), last, "dev", ("stableImage",), kept)
    assert "stableReplicas: 3 -> 5" in drift.what
    assert "stableImage" not in drift.what
    assert "up --stack dev --set stableImage=registry/new`" in drift.remedy
    assert kept_image(file(tmp_path, stableImage="registry/new"), last) == ""


def test_a_verdict_needs_no_update(tmp_path: Path):
    assert config_drift(file(tmp_path, canaryVerdict="healthy sha256:ab 2026"), DEPLOYED, "dev") == []


def test_json_is_compared_by_meaning(tmp_path: Path):
    assert config_drift(file(tmp_path, migrateCommand='["addressbook","migrate"]'), DEPLOYED, "dev") == []


def test_a_failed_update_is_partly_deployed(tmp_path: Path):
    (drift,) = config_drift(file(tmp_path), replace(DEPLOYED, result="failed"), "dev")
    assert "failed, so its config is only partly deployed" in drift.what


SPEC: dict[str, Any] = {
    "replicas": 2,
    "selector": {"app": "addressbook"},
    "template": {"spec": {"containers": [{"image": "a", "resources": {"requests": {"cpu": "0.5"}}}]}},
}


def live(**container: Any) -> dict[str, Any]:
    """The spec as the cluster returns it: with defaults, and quantities in its own form."""
    own = {"image": "a", "resources": {"requests": {"cpu": "500m"}}, "imagePullPolicy": "IfNotPresent", **container}
    return {**SPEC, "revisionHistoryLimit": 10, "template": {"spec": {"containers": [own], "dnsPolicy": "Default"}}}


def test_defaults_and_forms_of_quantities_are_no_drift():
    assert changed_fields(SPEC, live(), "/spec") == []


@pytest.mark.parametrize(
    ("there", "change"),
    [
        ({**live(), "replicas": 5}, Change("/spec/replicas", "2", "5")),
        (live(image="b"), Change("/spec/template/spec/containers/0/image", "a", "b")),
        (live(resources={}), Change("/spec/template/spec/containers/0/resources/requests/cpu", "0.5", "")),
        ({**live(), "selector": {"app": "x"}}, Change("/spec/selector/app", "addressbook", "x")),
        (
            {**live(), "selector": {"app": "addressbook", "track": "canary"}},
            Change("/spec/selector/track", "", "canary"),
        ),
        (live(env=[{"name": "TOKEN", "value": "hush"}]), Change("/spec/template/spec/containers/0/env", "", "set")),
    ],
)
def test_changes_are_named(there: dict[str, Any], change: Change):
    assert changed_fields(SPEC, there, "/spec") == [change]


def test_an_added_container_is_named():
    there = live()
    there["template"]["spec"]["containers"].append({"name": "sidecar"})
    assert changed_fields(SPEC, there, "/spec") == [Change("/spec/template/spec/containers", "1 entries", "2 entries")]


def test_secret_values_are_not_compared():
    assert changed_fields({"key": {"4dabf18193072939515e22adb298388d": "secret"}}, {"key": "x"}, "/data") == []


def test_empty_and_none_are_equal():
    assert changed_fields({"volumes": [{"emptyDir": {}}], "egress": []}, {"volumes": [{}]}, "/spec") == []


def test_unpinned_tracks():
    assert unpinned({}) == ["stable"]
    assert unpinned({"stableImage": "a@sha256:b", "canaryImage": "source"}) == ["canary"]
    assert unpinned({"stableImage": "a@sha256:b"}) == []


def test_changes_and_additions_have_remedies():
    declared = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "shop-lb", "namespace": "shop"},
        "spec": {"type": "LoadBalancer", "selector": {"app": "shop"}},
    }
    there = {**declared, "spec": {"type": "ClusterIP", "selector": {"app": "shop", "example.com/track": "x"}}}
    changed, added = _drift_of(declared, there, "up reverts it")
    assert "spec.type is ClusterIP in the cluster and was deployed as LoadBalancer" in changed.what
    assert changed.remedy == "up reverts it"
    assert "spec.selector.example.com/track (x) was added" in added.what
    assert [each.summary for each in (changed, added)] == [
        "Service shop-lb was changed: spec.type differs in the cluster",
        "Service shop-lb was changed: spec.selector.example.com/track was added in the cluster",
    ]
    assert "kubectl patch service shop-lb -n shop --type=json" in added.remedy
    assert '"path": "/spec/selector/example.com~1track"' in added.remedy
    (deleted,) = _drift_of(declared, None, "up reverts it")
    assert deleted.what == "Service shop-lb was deleted from the cluster"


@pytest.mark.parametrize(
    ("kind", "resource"),
    [
        ("ConfigMap", "configmaps"),
        ("Gateway", "gateways"),
        ("HealthCheckPolicy", "healthcheckpolicies"),
        ("Ingress", "ingresses"),
        ("NetworkPolicy", "networkpolicies"),
    ],
)
def test_the_plural_of_a_kind_is_kubernetes_own(kind: str, resource: str):
    assert plural(kind) == resource


def test_the_content_of_secrets_is_not_compared():
    declared = {"kind": "Secret", "metadata": {"name": "x", "namespace": "y"}, "data": {"key": "hush"}}
    assert _drift_of(declared, {"metadata": {}}, "") == []


def test_adjustments_of_autopilot_are_no_drift():
    spec = {"containers": [{"resources": {"requests": {"cpu": "50m"}}}]}
    declared = {"kind": "Deployment", "metadata": {"name": "x", "namespace": "y"}, "spec": spec}
    bigger = {"containers": [{"resources": {"requests": {"cpu": "250m"}}}]}
    annotations = {"autopilot.gke.io/resource-adjustment": "{}"}
    assert _drift_of(declared, {"metadata": {"annotations": annotations}, "spec": bigger}, "") == []
    assert len(_drift_of(declared, {"metadata": {}, "spec": bigger}, "")) == 1
