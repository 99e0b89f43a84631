"""Conformance of the provider `kubernetes`: objects created, compared, replaced, imported and deleted."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

from lab.tests.conformance.kubernetes_cluster import Namespace
from lab.tests.conformance.kubernetes_programs import EXISTING, OBJECTS, UNKNOWN_PROVIDER, program
from lab.tests.conformance.pulumi_project import PulumiProject

PLUGIN = ("kubernetes", "4.34.2")
UNREACHABLE = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "a",
    "clusters": [{"name": "a", "cluster": {"server": "https://127.0.0.1:9"}}],
    "contexts": [{"name": "a", "context": {"cluster": "a", "user": ""}}],
}


def test_objects_are_created_changed_and_deleted(project: PulumiProject, namespace: Namespace) -> None:
    hidden = ("hidden-1", base64.b64encode(b"hidden-1").decode())
    project.program(program(namespace, OBJECTS, value="one", password="hidden-1", label="x"))
    preview = project.run("preview", "--diff")
    assert "[secret]" in preview
    project.up()
    name = project.outputs()["name"]
    assert re.fullmatch(r"auto-[0-9a-f]{8}", name)
    assert namespace.get("configmap", name)["metadata"]["annotations"] == {"pulumi.com/autonamed": "true"}
    assert project.resource("auto")["id"] == f"{namespace.name}/{name}"
    assert namespace.get("secret", "secret")["data"] == {"password": hidden[1]}
    assert not any(text in preview + project.stored_state() for text in hidden)

    project.program(program(namespace, OBJECTS, value="two", password="hidden-2", label="y"))
    steps = project.steps()
    assert {name: steps[name]["op"] for name in ("auto", "secret", "policy")} == {
        "auto": "replace",
        "secret": "replace",
        "policy": "update",
    }
    assert list(steps["policy"]["detailedDiff"]) == ['metadata.labels["a.b/c"]']
    project.up()
    replaced = project.outputs()["name"]
    assert namespace.get("configmap", replaced)["data"] == {"key": "two"}
    assert not namespace.get("configmap", name)
    assert namespace.get("networkpolicy", "policy")["metadata"]["labels"] == {"a.b/c": "y"}
    assert {step["op"] for step in project.steps().values()} == {"same"}

    project.run("destroy", "--yes", "--skip-preview")
    assert not namespace.get("configmap", replaced)
    assert not namespace.get("secret", "secret")


def test_existing_object_is_kept_then_imported(project: PulumiProject, namespace: Namespace) -> None:
    namespace.kubectl("create", "configmap", "existing", "--from-literal", "key=theirs")
    before = namespace.get("configmap", "existing")
    project.program(program(namespace, EXISTING, value="ours"))
    assert 'configmaps "existing" already exists' in project.up(fails=True)
    assert namespace.get("configmap", "existing") == before

    project.program(program(namespace, EXISTING, value="theirs", import_=f'"{namespace.name}/existing"'))
    project.up()
    project.program(program(namespace, EXISTING, value="theirs"))
    assert project.steps()["existing"]["op"] == "same"
    assert namespace.get("configmap", "existing")["metadata"]["uid"] == before["metadata"]["uid"]

    # Somebody deletes it behind Pulumi's back.
    namespace.kubectl("delete", "configmap", "existing")
    project.run("refresh", "--yes")
    assert not [each for each in project.state() if each["urn"].endswith("::existing")]
    project.up()
    assert namespace.get("configmap", "existing")


def test_unknown_cluster_can_be_previewed(project: PulumiProject, namespace: Namespace) -> None:
    project.program(program(namespace, UNKNOWN_PROVIDER))
    steps = project.steps()
    assert steps["later"]["op"] == "create"
    assert steps["second"]["op"] == "create"
    project.up()
    assert namespace.get("configmap", "second")


def test_new_credentials_replace_nothing(project: PulumiProject, namespace: Namespace, tmp_path: Path) -> None:
    renewed = tmp_path / "renewed"
    renewed.write_text(namespace.kubeconfig.read_text().replace("https://", "https://other."))

    def previewed(identifier: str) -> tuple[str, str]:
        arguments = f'cluster_identifier="{identifier}"'
        project.program(program(namespace, EXISTING, value="ours", arguments=arguments, kubeconfig=renewed))
        steps = project.steps()
        return steps["provider"]["op"], steps["existing"]["op"]

    project.program(program(namespace, EXISTING, value="ours", arguments='cluster_identifier="one"'))
    project.up()
    assert previewed("one") == ("update", "same")
    assert previewed("another") == ("replace", "replace")


def test_unreachable_cluster_stops_an_update_only(project: PulumiProject, namespace: Namespace, tmp_path: Path) -> None:
    kubeconfig = tmp_path / "unreachable"
    kubeconfig.write_text(json.dumps(UNREACHABLE))
    arguments = 'cluster_identifier="unreachable"'
    project.program(program(namespace, EXISTING, value="ours", kubeconfig=kubeconfig, arguments=arguments))
    assert project.steps()["existing"]["op"] in ("create", "replace")
    assert "configured Kubernetes cluster is unreachable" in project.up(fails=True)
