"""Conformance of the provider `kubernetes`: objects made, compared, replaced, imported, deleted, logged in for."""

from __future__ import annotations

import base64
import re
from pathlib import Path

from tests.conformance.kubernetes_cluster import Namespace
from tests.conformance.kubernetes_programs import EXISTING, OBJECTS, UNKNOWN_PROVIDER, program
from tests.conformance.pulumi_project import PulumiProject

PLUGIN = ("kubernetes", "4.34.2")


def objects(namespace: Namespace, **values: str) -> str:
    return program(namespace, OBJECTS, **{"value": "one", "password": "hidden-1", "label": "x", **values})


def test_objects_are_made_kept_changed_replaced_and_deleted(project: PulumiProject, namespace: Namespace) -> None:
    project.program(objects(namespace))
    project.up()
    name = project.outputs()["name"]
    made = namespace.get("configmap", name)
    assert re.fullmatch(r"auto-[0-9a-f]{8}", name)
    assert made is not None
    assert made["metadata"]["annotations"] == {"pulumi.com/autonamed": "true"}
    assert project.resource("auto")["id"] == f"{namespace.name}/{name}"
    secret = namespace.get("secret", "secret")
    assert secret is not None
    assert base64.b64decode(secret["data"]["password"]) == b"hidden-1"

    project.program(objects(namespace, value="two", password="hidden-2", label="y"))
    steps = project.steps()
    assert steps["auto"]["op"] == "replace"
    assert steps["secret"]["op"] == "replace"
    assert steps["account"]["op"] == "update"
    assert list(steps["account"]["detailedDiff"]) == ['metadata.labels["a.b/c"]']
    project.up()
    replaced = project.outputs()["name"]
    assert replaced != name
    assert namespace.exists("configmap", replaced)
    assert not namespace.exists("configmap", name)
    account = namespace.get("serviceaccount", "account")
    assert account is not None
    assert account["metadata"]["labels"] == {"a.b/c": "y"}

    assert {step["op"] for step in project.steps().values()} == {"same"}
    project.run("destroy", "--yes", "--skip-preview")
    assert not namespace.exists("configmap", replaced)
    assert not namespace.exists("secret", "secret")


def test_secrets_stay_secret(project: PulumiProject, namespace: Namespace) -> None:
    project.program(objects(namespace, password="hidden-1"))
    encoded = base64.b64encode(b"hidden-1").decode()
    preview = project.run("preview", "--diff")
    assert "[secret]" in preview
    assert "hidden-1" not in preview
    assert encoded not in preview
    project.up()
    stored = "".join(path.read_text() for path in project.folder.parent.joinpath("state").rglob("*.json"))
    assert "account" in stored
    assert "hidden-1" not in stored
    assert encoded not in stored


def test_an_object_of_the_same_name_is_left_alone(project: PulumiProject, namespace: Namespace) -> None:
    namespace.kubectl("create", "configmap", "existing", "--from-literal", "key=theirs")
    project.program(program(namespace, EXISTING, value="ours"))
    output = project.up(fails=True)
    assert 'configmaps "existing" already exists' in output
    existing = namespace.get("configmap", "existing")
    assert existing is not None
    assert existing["data"] == {"key": "theirs"}


def test_an_object_is_imported(project: PulumiProject, namespace: Namespace) -> None:
    namespace.kubectl("create", "configmap", "existing", "--from-literal", "key=theirs")
    before = namespace.get("configmap", "existing")
    project.program(program(namespace, EXISTING, value="theirs", import_=f'"{namespace.name}/existing"'))
    project.up()
    project.program(program(namespace, EXISTING, value="theirs"))
    assert project.steps()["existing"]["op"] == "same"
    after = namespace.get("configmap", "existing")
    assert before is not None
    assert after is not None
    assert after["metadata"]["uid"] == before["metadata"]["uid"]


def test_what_was_deleted_behind_its_back_is_made_again(project: PulumiProject, namespace: Namespace) -> None:
    project.program(program(namespace, EXISTING, value="ours"))
    project.up()
    namespace.kubectl("delete", "configmap", "existing")
    project.run("refresh", "--yes")
    assert not [each for each in project.state() if each["urn"].endswith("::existing")]
    project.up()
    assert namespace.exists("configmap", "existing")


def test_a_cluster_that_is_still_to_be_made_can_be_previewed(project: PulumiProject, namespace: Namespace) -> None:
    project.program(program(namespace, UNKNOWN_PROVIDER))
    steps = project.steps()
    assert steps["later"]["op"] == "create"
    assert steps["second"]["op"] == "create"
    project.up()
    assert namespace.exists("configmap", "second")


def test_new_credentials_replace_nothing(project: PulumiProject, namespace: Namespace, tmp_path: Path) -> None:
    renewed = tmp_path / "renewed"
    renewed.write_text(namespace.kubeconfig.read_text().replace("https://", "https://other."))
    assert renewed.read_text() != namespace.kubeconfig.read_text()
    identified = 'cluster_identifier="this one"'
    project.program(program(namespace, EXISTING, value="ours", arguments=identified))
    project.up()
    project.program(program(namespace, EXISTING, value="ours", arguments=identified, kubeconfig=renewed))
    steps = project.steps()
    assert steps["provider"]["op"] == "update"
    assert steps["existing"]["op"] == "same"
    project.program(
        program(namespace, EXISTING, value="ours", arguments='cluster_identifier="another"', kubeconfig=renewed)
    )
    steps = project.steps()
    assert steps["provider"]["op"] == "replace"
    assert steps["existing"]["op"] == "replace"


def test_a_cluster_that_does_not_answer_stops_an_update_only(
    project: PulumiProject, namespace: Namespace, tmp_path: Path
) -> None:
    silent = tmp_path / "silent"
    silent.write_text(
        '{"apiVersion": "v1", "kind": "Config", "current-context": "a", '
        '"clusters": [{"name": "a", "cluster": {"server": "https://127.0.0.1:9"}}], '
        '"contexts": [{"name": "a", "context": {"cluster": "a", "user": ""}}]}'
    )
    project.program(program(namespace, EXISTING, value="ours", kubeconfig=silent))
    assert project.steps()["existing"]["op"] == "create"
    assert "configured Kubernetes cluster is unreachable" in project.up(fails=True)
