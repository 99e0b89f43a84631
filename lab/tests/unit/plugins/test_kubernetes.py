"""The Kubernetes stand-in without a cluster: what it covers, refuses and compares."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from lab.plugins.difference import format_path
from lab.plugins.engine import Engine
from lab.plugins.kubernetes import configuration
from lab.plugins.kubernetes.kinds import covered
from lab.plugins.kubernetes.provider import KubernetesProvider
from lab.plugins.kubernetes.quantities import canonical
from lab.plugins.kubernetes.writing import PROPAGATION, propagation
from lab.plugins.properties import UNKNOWN, Properties
from lab.plugins.provider import ProviderError, Resource
from lab.project import CHECKOUT

CLASS = re.compile(r"\bk8s\.(\w+)\.(\w+)\.([A-Z]\w+)\(")
GROUPS = {"networking": "networking.k8s.io", "rbac": "rbac.authorization.k8s.io"}
CONFIG_MAP = "kubernetes:core/v1:ConfigMap"
KUBECONFIG = '{"current-context": "a", "contexts": [{"name": "a", "context": {"cluster": "a"}}], "clusters": [%s]}'
CLUSTER = '{"name": "a", "cluster": {"server": "https://%s"}}'


def declared_by_the_program() -> set[str]:
    files = [file for folder in ("components", "stacks") for file in Path(CHECKOUT / folder).rglob("*.py")]
    found = {match for file in files for match in CLASS.findall(file.read_text())}
    return {
        f"kubernetes:{GROUPS.get(group, group)}/{version}:{kind}" for group, version, kind in found if group != "meta"
    }


def test_every_kind_of_the_program_is_covered() -> None:
    declared = declared_by_the_program()
    assert len(declared) >= 10
    for token in declared:
        assert covered(token).type == token


@pytest.mark.parametrize(
    "token",
    [
        "kubernetes:apps/v1:DaemonSet",
        "kubernetes:apps/v1:DeploymentPatch",
        "kubernetes:helm.sh/v3:Release",
        "kubernetes:yaml:ConfigFile",
        "kubernetes:example.com/v1:Custom",
    ],
)
def test_other_kinds_are_refused(token: str) -> None:
    with pytest.raises(
        ProviderError, match=f"no {token}, only .*ConfigMap, .* pulumi plugin install resource kubernetes"
    ):
        KubernetesProvider(Engine()).check(Resource("urn", token, "it"), {}, {})


@pytest.mark.parametrize(
    ("annotation", "is_refused"),
    [
        ({"pulumi.com/waitFor": "jsonpath={.status.loadBalancer.ingress}"}, False),
        ({"pulumi.com/waitFor": "condition=Ready"}, False),
        ({"pulumi.com/waitFor": "condition=Ready=Unknown"}, True),
        ({"pulumi.com/waitFor": "jsonpath={.status.phase}=Running"}, True),
        ({"pulumi.com/skipAwait": "true", "pulumi.com/timeoutSeconds": "5"}, False),
        ({"pulumi.com/patchFieldManager": "me"}, True),
        ({"other.example.com/anything": "x"}, False),
    ],
    ids=str,
)
def test_unknown_annotations_are_refused(annotation: Properties, is_refused: bool) -> None:
    inputs = {"metadata": {"name": "it", "annotations": annotation}}
    checked = KubernetesProvider(Engine()).check(Resource("urn", CONFIG_MAP, "it"), {}, inputs)
    assert bool(checked.failures) == is_refused


@pytest.mark.parametrize(
    ("arguments", "refused"),
    [
        ({"context": "a", "clusterIdentifier": "a", "enablePatchForce": "true", "enableServerSideApply": "true"}, []),
        ({"enableServerSideApply": "false"}, ["enableServerSideApply"]),
        (
            {"renderYamlToDirectory": "out", "upsertExistingObjects": "true"},
            ["renderYamlToDirectory", "upsertExistingObjects"],
        ),
        ({"skipUpdateUnreachable": "false"}, []),
    ],
    ids=str,
)
def test_unknown_arguments_are_refused(arguments: Properties, refused: list[str]) -> None:
    assert [failure.property for failure in configuration.failures(arguments)] == refused


def kubeconfig(server: str) -> str:
    return KUBECONFIG % (CLUSTER % server)


@pytest.mark.parametrize(
    ("old", "new", "replaced"),
    [
        ({"kubeconfig": kubeconfig("a")}, {"kubeconfig": kubeconfig("a") + " "}, set()),
        ({"kubeconfig": kubeconfig("a")}, {"kubeconfig": kubeconfig("b")}, {"kubeconfig"}),
        ({"kubeconfig": kubeconfig("a")}, {"kubeconfig": UNKNOWN}, {"kubeconfig"}),
        (
            {"kubeconfig": kubeconfig("a"), "clusterIdentifier": "x"},
            {"kubeconfig": kubeconfig("b"), "clusterIdentifier": "x"},
            set(),
        ),
        ({"clusterIdentifier": "x"}, {"clusterIdentifier": "y"}, {"clusterIdentifier"}),
        ({}, {"context": "a"}, set()),
    ],
    ids=str,
)
def test_another_cluster_replaces_the_provider(old: Properties, new: Properties, replaced: set[str]) -> None:
    changes = configuration.compare(old, new)
    assert changes
    assert {format_path(path) for path in changes.replace} == replaced


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("1000m", "1"),
        ("0.01", "10m"),
        ("0.5Gi", "512Mi"),
        ("16384Ki", "16Mi"),
        ("1e9", "1e9"),
        ("1.5k", "1500"),
        ("0", "0"),
        ("0.1m", "100u"),
        ("fast", "fast"),
    ],
)
def test_quantities_are_canonical(text: Any, stored: str) -> None:
    assert canonical(text) == stored


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (None, "Foreground"),
        ("background", "Background"),
        ("Background", "Background"),
        ("orphan", "Orphan"),
        ("foreground", "Foreground"),
        ("none", "Foreground"),
    ],
)
def test_annotation_chooses_how_dependents_are_deleted(policy: str | None, expected: str) -> None:
    assert propagation({"metadata": {"annotations": {} if policy is None else {PROPAGATION: policy}}}) == expected
