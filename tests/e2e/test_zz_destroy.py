"""The end of the shared stack. The file's name makes it the last of the tests that use it."""

from __future__ import annotations

from typing import Any

NAMESPACE = "addressbook-e2e"


def test_destroy_leaves_nothing(stack: Any):
    stack.pulumi("destroy", "--yes", "--skip-preview")
    assert stack.state().get("resources", []) == []
    assert stack.kubectl("get", "namespace", NAMESPACE, check=False).returncode != 0
    volumes = [
        v
        for v in stack.objects("persistentvolumes", "default")
        if (v["spec"].get("claimRef") or {}).get("namespace") == NAMESPACE and v["status"]["phase"] == "Bound"
    ]
    assert volumes == []
