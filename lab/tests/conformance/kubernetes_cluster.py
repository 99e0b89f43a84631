"""The cluster of the Kubernetes conformance tests: the lab's, or the one that an environment variable names."""

from __future__ import annotations

import json
import os
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lab.layout import Lab
from lab.tests.conformance.pulumi_project import PATIENCE, find_tool

KUBECONFIG_VARIABLE, IMAGE_VARIABLE = "CONFORMANCE_KUBECONFIG", "CONFORMANCE_IMAGE"
# Any image with Python.
IMAGE = os.environ.get(IMAGE_VARIABLE) or "python:3.11-slim-bookworm"


class Namespace:
    """A temporary namespace, read and changed with kubectl."""

    def __init__(self, kubectl: str, kubeconfig: Path, name: str) -> None:
        self._kubectl = kubectl
        self.kubeconfig = kubeconfig
        self.name = name

    def kubectl(self, *arguments: str) -> str:
        """Run kubectl and return its output."""
        done = subprocess.run(
            [self._kubectl, "--kubeconfig", str(self.kubeconfig), "--namespace", self.name, *arguments],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}"
        return done.stdout

    def get(self, kind: str, name: str) -> dict[str, Any]:
        """Return the object, empty if it does not exist."""
        output = self.kubectl("get", kind, name, "--output", "json", "--ignore-not-found")
        return json.loads(output) if output.strip() else {}


@contextmanager
def temporary_namespace() -> Iterator[Namespace]:
    """Create a namespace, and delete it afterwards. Skip the test where there is no cluster."""
    configured = os.environ.get(KUBECONFIG_VARIABLE)
    kubeconfig = Path(configured) if configured else Lab.from_environment().state / "kubeconfig"
    if not kubeconfig.is_file():
        pytest.skip(f"no cluster: run `python -m lab up`, or set {KUBECONFIG_VARIABLE} to a kubeconfig")
    namespace = Namespace(find_tool("kubectl"), kubeconfig, f"conformance-{uuid.uuid4().hex[:8]}")
    namespace.kubectl("create", "namespace", namespace.name)
    try:
        yield namespace
    finally:
        namespace.kubectl("delete", "namespace", namespace.name, "--wait=false")
