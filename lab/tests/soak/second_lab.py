"""A second lab beside whatever lab is running, and a workload to run on it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from tests.project import ROOT

NAME, NETWORK = "lab-under-test", "10.213.0.0/16"
PATIENCE = 120  # seconds that anything in a lab may take before a test gives up


@dataclass
class SecondLab:
    """A lab with another name and network than the user's, but the same cache."""

    environment: dict[str, str]

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "lab", *arguments]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*arguments), cwd=ROOT, env=self.environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def run(self, *arguments: str, fails_with: int = 0, seconds: float = 600) -> str:
        """Run a lab command, check its exit code, and return its output."""
        process = self.start(*arguments)
        output, progress = process.communicate(timeout=seconds)
        assert process.returncode == fails_with, f"{arguments} ended with {process.returncode}\n{output}\n{progress}"
        return output + progress

    def up(self, seconds: float = 600) -> str:
        return self.run("up", "--context", NAME, seconds=seconds)

    def status(self) -> dict[str, Any]:
        process = self.start("status", "--output", "json")
        return json.loads(process.communicate(timeout=PATIENCE)[0])

    def supervisor(self) -> int:
        """Return the process id of the lab's supervisor."""
        script = "from lab.layout import Lab; from lab import supervisor; print(supervisor.pid(Lab.from_environment()))"
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=ROOT, env=self.environment, capture_output=True, text=True, check=True
        )
        return int(done.stdout)

    def shell(self) -> dict[str, str]:
        """Return the environment that `lab env` exports."""
        printed = self.run("env", "--context", NAME)
        done = subprocess.run(
            ["bash", "-c", f"{printed}\nenv -0"], env=self.environment, capture_output=True, text=True, check=True
        )
        return dict(pair.split("=", 1) for pair in done.stdout.split("\0") if "=" in pair)

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        done = subprocess.run(
            ["kubectl", *arguments], env=self.shell(), input=stdin, capture_output=True, text=True, timeout=PATIENCE
        )
        assert done.returncode == 0, f"kubectl {arguments}: {done.stderr}"
        return done.stdout


def second_lab(**environment: str) -> SecondLab:
    names = {"ADDRESSBOOK_LAB_NAME": NAME, "ADDRESSBOOK_LAB_NETWORK": NETWORK}
    return SecondLab({**os.environ, **names, **environment})


def workload() -> list[dict[str, Any]]:
    restricted = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": True}
    pod_security = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    grace = {"terminationGracePeriodSeconds": 1}
    label = {"pod-security.kubernetes.io/enforce": "restricted"}
    database = {
        "name": "database",
        "image": "postgres:15-bookworm",
        "securityContext": restricted,
        "env": [
            {"name": "POSTGRES_PASSWORD_FILE", "value": "/secret/password"},
            {"name": "POSTGRES_USER", "value": "keeper"},
            {"name": "POSTGRES_DB", "value": "book"},
            {"name": "PGDATA", "value": "/var/lib/postgresql/data/cluster"},
        ],
        "readinessProbe": {"exec": {"command": ["pg_isready", "-U", "keeper", "-h", "127.0.0.1"]}, "periodSeconds": 1},
        "volumeMounts": [
            {"name": "data", "mountPath": "/var/lib/postgresql/data"},
            {"name": "run", "mountPath": "/var/run/postgresql"},
            {"name": "tmp", "mountPath": "/tmp"},
            {"name": "secret", "mountPath": "/secret", "readOnly": True},
        ],
    }
    web = {
        "name": "web",
        "image": "python:3.11-slim-bookworm",
        "command": ["python", "-m", "http.server", "3000", "--directory", "/usr/local/bin"],
        "securityContext": restricted,
        "readinessProbe": {"httpGet": {"path": "/", "port": 3000}, "periodSeconds": 1},
    }
    return [
        manifest("v1", "Namespace", "try", {"labels": label}, namespace=None),
        {**manifest("v1", "Secret", "password"), "stringData": {"password": "correct horse"}},
        manifest("v1", "PersistentVolumeClaim", "data", spec={
            "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "64Mi"}},
        }),
        manifest("v1", "Pod", "database", {"labels": {"app": "database"}}, spec={
            **grace, "securityContext": {**pod_security, "runAsUser": 999, "runAsGroup": 999, "fsGroup": 999},
            "containers": [database],
            "volumes": [
                {"name": "data", "persistentVolumeClaim": {"claimName": "data"}},
                {"name": "run", "emptyDir": {}},
                {"name": "tmp", "emptyDir": {}},
                {"name": "secret", "secret": {"secretName": "password"}},
            ],
        }),
        manifest("v1", "Service", "database", spec={"selector": {"app": "database"}, "ports": [{"port": 5432}]}),
        manifest("apps/v1", "Deployment", "web", spec={
            "replicas": 2,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {**grace, "securityContext": {**pod_security, "runAsUser": 10001}, "containers": [web]},
            },
        }),
        manifest("v1", "Service", "web", spec={
            "type": "LoadBalancer", "selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 3000}],
        }),
    ]  # fmt: skip


def manifest(
    version: str, kind: str, name: str, metadata: dict[str, Any] | None = None, namespace: str | None = "try",
    spec: dict[str, Any] | None = None,
) -> dict[str, Any]:  # fmt: skip
    place = {"namespace": namespace} if namespace else {}
    result: dict[str, Any] = {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": name, **place, **(metadata or {})},
    }
    return {**result, "spec": spec} if spec else result
