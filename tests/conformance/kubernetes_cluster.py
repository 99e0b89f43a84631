"""The cluster that the Kubernetes conformance tests use: the lab's, or the one that an environment variable names."""

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
from tests.conformance.pulumi_project import PATIENCE, find_tool

KUBECONFIG_VARIABLE, IMAGE_VARIABLE = "CONFORMANCE_KUBECONFIG", "CONFORMANCE_IMAGE"
# Any image with a Python will do.
IMAGE = os.environ.get(IMAGE_VARIABLE) or "python:3.11-slim-bookworm"


class Namespace:
    """A namespace of a test's own, looked at with kubectl."""

    def __init__(self, kubectl: str, kubeconfig: Path, name: str) -> None:
        self._kubectl = kubectl
        self.kubeconfig = kubeconfig
        self.name = name

    def kubectl(self, *arguments: str, text: str | None = None) -> str:
        """What kubectl prints; asserts that it succeeds."""
        answer = self._run(*arguments, text=text)
        assert answer.returncode == 0, f"kubectl {' '.join(arguments)}: {answer.stderr}"
        return answer.stdout

    def _run(self, *arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self._kubectl, "--kubeconfig", str(self.kubeconfig), "--namespace", self.name, *arguments],
            input=text,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def get(self, kind: str, name: str) -> dict[str, Any] | None:
        """The object, or None if there is none."""
        answer = self._run("get", kind, name, "--output", "json", "--ignore-not-found")
        assert answer.returncode == 0, answer.stderr
        return json.loads(answer.stdout) if answer.stdout.strip() else None

    def exists(self, kind: str, name: str) -> bool:
        return self.get(kind, name) is not None

    def has_ready_node(self) -> bool:
        path = "{.items[*].status.conditions[?(@.type=='Ready')].status}"
        answer = self._run("get", "nodes", "--output", f"jsonpath={path}", "--request-timeout", "5s")
        return "True" in answer.stdout


@contextmanager
def fresh_namespace() -> Iterator[Namespace]:
    """A new namespace, removed afterwards. Skips the test where there is no cluster for it."""
    named = os.environ.get(KUBECONFIG_VARIABLE)
    kubeconfig = Path(named) if named else Lab.from_environment().state / "kubeconfig"
    namespace = Namespace(find_tool("kubectl"), kubeconfig, f"conformance-{uuid.uuid4().hex[:8]}")
    if not kubeconfig.is_file() or not namespace.has_ready_node():
        pytest.skip(f"no cluster: run `python -m lab up`, or name a kubeconfig in {KUBECONFIG_VARIABLE}")
    namespace.kubectl("create", "namespace", namespace.name)
    try:
        yield namespace
    finally:
        namespace.kubectl("delete", "namespace", namespace.name, "--wait=false")
