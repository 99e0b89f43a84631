"""`diagnose` on real pods, each broken in a way of its own: it names the cause and the remedy of every one."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from kubernetes import config as kubeconfigs

from promotion.diagnosis.diagnose import Finding, diagnose, diagnosis_json, diagnosis_text
from promotion.state.cluster.cluster import Cluster
from tests.e2e import broken_states
from tests.e2e.broken_states import LOGIN_REGISTRY_PORT, PASSWORD, SERVICE, manifests

CONTEXT = "addressbook-lab"
NAMESPACE = "diagnose-e2e"
#: Seconds in which the slowest row, a container that crashes after 15 s, has shown what it is.
PATIENCE = 150
#: Cause of each row, and what its remedy speaks of.
EXPECTED = {
    "image-absent": ("image-not-found", "canaryImage"),
    "image-denied": ("image-pull-denied", "let the cluster pull"),
    "registry-gone": ("registry-unreachable", "nodes reach it"),
    "image-name-wrong": ("image-name-invalid", "canaryImage"),
    "crash-at-start": ("crash-at-start", "log"),
    "crash-later": ("crash-later", "log"),
    "ends-well": ("ends-by-itself", "foreground"),
    "memory-hungry": ("out-of-memory", "memoryLimit"),
    "command-wrong": ("wrong-command", "migrateCommand"),
    "shell-command-wrong": ("wrong-command", "migrateCommand"),
    "never-ready": ("failing-readiness-probe", "readinessPath"),
    "port-closed": ("failing-readiness-probe", "port"),
    "liveness": ("failing-liveness-probe", "livenessPath"),
    "startup": ("failing-startup-probe", "livenessPath"),
    "secret-absent": ("missing-secret", "create it"),
    "config-absent": ("missing-config-map", "create it"),
    "key-absent": ("missing-secret-key", "secretEnvironment"),
    "secret-volume-absent": ("missing-secret", "create it"),
    "runs-as-root": ("runs-as-root", "USER"),
    "memory-asked": ("no-memory", "memoryRequest"),
    "cpu-asked": ("no-cpu", "cpuRequest"),
    "node-absent": ("node-selector", "label a node"),
    "unprovided": ("volume-claim-pending", "storageclass"),
    "claim-pending": ("volume-claim-pending", "storageclass"),
    "claim-absent": ("volume-claim-missing", "up"),
    "quota": ("quota", "quota raised"),
    "insecure": ("pod-security", "restricted"),
    "account-absent": ("missing-service-account", "create it"),
    "shop-migrate-abcdef": ("failed-migration", "migration"),
    "database-gone": ("database-unreachable", "NetworkPolicies"),
    "selects-nothing": ("no-endpoints", "selector"),
    "port-name-wrong": ("service-port", "targetPort"),
    "not-ready-behind": ("no-ready-endpoints", "pods"),
    "address-pending": ("load-balancer-pending", "addresses"),
}
#: A registry that asks everybody for a login, on the node's own loopback: simulated, but for the pull.
LOGIN_REGISTRY = f"""
import http.server
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="private"')
        self.send_header("Content-Length", "0")
        self.end_headers()
    do_HEAD = do_GET
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", {LOGIN_REGISTRY_PORT}), Answer).serve_forever()
"""


@pytest.fixture(scope="module")
def login_registry(lab: Mapping[str, str]) -> Iterator[None]:
    command = ["nsenter", f"--net=/run/netns/{CONTEXT}", sys.executable, "-c", LOGIN_REGISTRY]
    process = subprocess.Popen(command)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="module")
def broken(stack: Any, login_registry: None) -> Iterator[Cluster]:
    """The namespace with all broken states at once; gone afterwards."""
    image = stack.outputs()["tracks"]["stable"]["image"]
    stack.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found")
    stack.kubectl("create", "namespace", NAMESPACE)
    try:
        stack.kubectl("label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")
        applied = subprocess.run(
            ["kubectl", "--context", CONTEXT, "apply", "-n", NAMESPACE, "-f", "-"],
            input=json.dumps(manifests(image)),
            env=stack.environment,
            capture_output=True,
            text=True,
        )
        assert applied.returncode == 0, applied.stderr
        client = kubeconfigs.new_client_from_config(config_file=stack.environment["KUBECONFIG"], context=CONTEXT)
        yield Cluster(client, NAMESPACE, SERVICE)
    finally:
        stack.kubectl("delete", "namespace", NAMESPACE, "--wait=false", check=False)


@pytest.fixture(scope="module")
def findings(broken: Cluster) -> list[Finding]:
    """What `diagnose` finds when every row has shown what it is, or the time is over."""
    deadline = time.monotonic() + PATIENCE
    while True:
        found = diagnose(broken)
        missing = [
            row for row, (cause, _) in EXPECTED.items() if cause not in {each.cause for each in about(found, row)}
        ]
        if not missing or time.monotonic() > deadline:
            return found
        time.sleep(3)


def about(findings: list[Finding], row: str) -> list[Finding]:
    """Findings that name an object of the row."""
    names = [[each.partition(" ")[2] for each in finding.objects] for finding in findings]
    return [
        finding
        for finding, objects in zip(findings, names, strict=True)
        if any(name == row or name.startswith(f"{row}-") for name in objects)
    ]


@pytest.mark.parametrize("row", EXPECTED)
def test_names_cause_and_remedy(findings: list[Finding], row: str):
    cause, remedy = EXPECTED[row]
    found = {each.cause: each for each in about(findings, row)}
    assert cause in found, f"{row}: {sorted(found) or 'nothing'} found\n{diagnosis_text(about(findings, row))}"
    assert remedy in found[cause].remedy


def test_says_nothing_of_the_healthy_ones(findings: list[Finding]):
    assert not about(findings, "healthy")


def test_every_row_is_expected():
    """Rows that are added have to be looked for."""
    kinds = ("Deployment", "Job", "Service", "PersistentVolumeClaim")
    rows = {row["metadata"]["name"] for row in manifests("image")["items"] if row["kind"] in kinds}
    assert rows == {*EXPECTED, "healthy"}


def test_one_block_for_all_pods_that_suffer_alike(findings: list[Finding]):
    (found,) = about(findings, "image-absent")
    assert len(found.objects) == 2
    assert broken_states.ABSENT_DIGEST in found.what


def test_evidence_and_logs(findings: list[Finding]):
    by_row = {row: about(findings, row)[0] for row in EXPECTED}
    assert "panic: queue is full" in by_row["crash-later"].log
    assert any("reason OOMKilled" in line for line in by_row["memory-hungry"].evidence)
    assert "limit of 16Mi" in by_row["memory-hungry"].what
    assert "GET /ready on port 8080" in by_row["never-ready"].what
    assert "status 404" in by_row["never-ready"].what  # whatever else the kubelet has met
    assert any(line.startswith("asked now, it answers 404") for line in by_row["never-ready"].evidence)
    assert "nothing listens there" in by_row["port-closed"].what
    assert "999.0 GiB" in by_row["memory-asked"].what
    assert "the emptiest has" in by_row["memory-asked"].what
    assert any("already exists" in line for line in by_row["shop-migrate-abcdef"].log)


def test_secrets_are_shown_nowhere(findings: list[Finding]):
    (crash,) = about(findings, "crash-at-start")
    assert any("cannot log in with" in line for line in crash.log), crash
    for shown in (diagnosis_text(findings), json.dumps(diagnosis_json(findings), ensure_ascii=False)):
        assert PASSWORD not in shown


def test_of_one_track_alone(broken: Cluster):
    found = diagnose(broken, "stable")
    assert found  # what both tracks share
    assert all(not each.tracks or "stable" in each.tracks for each in found)


def test_a_healthy_release_has_no_findings(stack: Any):
    done = stack.run(sys.executable, "-m", "promotion", "diagnose", "--stack", stack.stack, "--output", "json")
    assert [each for each in json.loads(done.stdout)["findings"] if not each["notice"]] == []
