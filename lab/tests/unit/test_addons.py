"""The add-ons' Kubernetes objects."""

from __future__ import annotations

from typing import Any

import yaml

from lab import addons


def _objects(kind: str) -> list[dict[str, Any]]:
    documents = [document for document in yaml.safe_load_all(addons.manifest()) if document]
    return [document for document in documents if document["kind"] == kind]


def test_each_add_on_has_a_cluster_role_binding() -> None:
    bound = {subject["name"] for binding in _objects("ClusterRoleBinding") for subject in binding["subjects"]}
    assert bound == {addons.DNS.user, addons.LOAD_BALANCER.user, addons.STORAGE.user}


def test_every_binding_refers_to_an_existing_role() -> None:
    roles = {("ClusterRole", role["metadata"]["name"]) for role in _objects("ClusterRole")}
    roles |= {("Role", role["metadata"]["name"]) for role in _objects("Role")}
    for binding in _objects("ClusterRoleBinding") + _objects("RoleBinding"):
        assert (binding["roleRef"]["kind"], binding["roleRef"]["name"]) in roles


def test_the_default_storage_class_waits_for_the_first_pod() -> None:
    (storage,) = _objects("StorageClass")
    assert storage["metadata"]["name"] == "standard"
    assert storage["metadata"]["annotations"]["storageclass.kubernetes.io/is-default-class"] == "true"
    assert storage["volumeBindingMode"] == "WaitForFirstConsumer"


def test_volume_scripts_keep_their_shell_variables() -> None:
    (config,) = _objects("ConfigMap")
    assert 'mkdir -m 0777 -p "$VOL_DIR"' in config["data"]["setup"]
    assert 'rm -rf "$VOL_DIR"' in config["data"]["teardown"]
